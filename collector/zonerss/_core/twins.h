// Page tables that a zone has met before: processes that were forked from one another map the same frames at the same
// addresses, so most tables of a large one are copies of tables of its sibling, and all of their frames are known.
//
// For an address range of one table (2 MiB) and a zone, a twin holds the entries that were met there, bare of all flags that
// differ without meaning anything. An entry that equals its twin maps a frame that its zone has.
#pragma once

#include <stdint.h>

#define TWIN_ENTRIES 512
#define TWIN_STRIDE 32

struct twin_key {
	uint64_t table; // address >> 21
	uint32_t zone;
	uint32_t walk; // 0: free
};

struct twins {
	uint64_t (*entries)[TWIN_ENTRIES];
	struct twin_key *keys;
	uint32_t mask; // slots - 1
	uint32_t walk;
};

// Room for one twin for every so many frames of RAM. 0, or -ENOMEM.
int twins_create(struct twins *twins, uint64_t slots);
void twins_destroy(struct twins *twins);
// A new walk begins: all that is known is void.
void twins_restart(struct twins *twins);
// The twin of a table, empty if it is new; NULL: there is no room.
uint64_t *twins_find(struct twins *twins, uint32_t zone, uint64_t address);
// How many of the first entries equal their twins in the bits of mask, in whole strides; *present of them are not empty.
uint32_t twins_same(const uint64_t *entries, const uint64_t *twin, uint32_t count, uint64_t mask, uint64_t *present);
