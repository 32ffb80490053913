// Page tables that an owner has met before: processes that were forked from one another map the same frames at the same
// addresses, so most tables of a large one are copies of tables of its sibling, and all of their frames are known.
//
// For an address range of one table (2 MiB) and an owner, a seen table holds the entries that were met there, less all flags
// that differ without meaning anything. An entry that equals the one seen maps a frame that its owner has.
#pragma once

#include <stdint.h>

#define SEEN_ENTRIES 512
#define SEEN_STRIDE 32

struct seen_key {
	uint64_t table; // address >> 21
	uint32_t owner;
	uint32_t walk; // 0: free
};

struct seen_tables {
	uint64_t (*entries)[SEEN_ENTRIES];
	struct seen_key *keys;
	uint32_t mask; // slots - 1
	uint32_t walk;
};

// slots: for how many tables there is room. 0, or -ENOMEM.
int seen_create(struct seen_tables *seen, uint64_t slots);
void seen_destroy(struct seen_tables *seen);
// A new walk begins: all that is known is void.
void seen_restart(struct seen_tables *seen);
// What was seen of a table, empty if it is new; NULL: there is no room.
uint64_t *seen_find(struct seen_tables *seen, uint32_t owner, uint64_t address);
// How many of the first entries equal those seen in the bits of mask, in whole strides; *present of them are not empty.
uint32_t seen_same(const uint64_t *entries, const uint64_t *seen, uint32_t count, uint64_t mask, uint64_t *present);
