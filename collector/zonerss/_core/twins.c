// Tables that a zone has met before: see twins.h.

#include "twins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PROBES 8

// Eight entries, as wide as the widest registers; the compiler makes of it what the processor has.
typedef uint64_t lanes __attribute__((vector_size(64)));

int twins_create(struct twins *twins, uint64_t slots)
{
	uint64_t room = 64;
	while (room < slots)
		room *= 2;
	void *entries = mmap(NULL, room * sizeof(*twins->entries), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct twin_key *keys = calloc(room, sizeof(*keys));
	if (entries == MAP_FAILED || !keys) {
		if (entries != MAP_FAILED)
			munmap(entries, room * sizeof(*twins->entries));
		free(keys);
		return -ENOMEM;
	}
	*twins = (struct twins){ .entries = entries, .keys = keys, .mask = room - 1 };
	return 0;
}

void twins_destroy(struct twins *twins)
{
	if (twins->entries)
		munmap(twins->entries, (twins->mask + UINT64_C(1)) * sizeof(*twins->entries));
	free(twins->keys);
	*twins = (struct twins){ 0 };
}

void twins_restart(struct twins *twins)
{
	if (!++twins->walk) {
		memset(twins->keys, 0, (twins->mask + UINT64_C(1)) * sizeof(*twins->keys));
		twins->walk = 1;
	}
}

uint64_t *twins_find(struct twins *twins, uint32_t zone, uint64_t address)
{
	uint64_t table = address >> 21;
	uint64_t hash = (table ^ (uint64_t)zone << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	for (uint32_t probe = 0; probe < PROBES; probe++) {
		uint32_t slot = (hash + probe) & twins->mask;
		struct twin_key *key = &twins->keys[slot];
		if (key->walk != twins->walk) {
			*key = (struct twin_key){ table, zone, twins->walk };
			memset(twins->entries[slot], 0, sizeof(twins->entries[slot]));
			return twins->entries[slot];
		}
		if (key->table == table && key->zone == zone)
			return twins->entries[slot];
	}
	return NULL;
}

#if defined(__x86_64__) && defined(__GLIBC__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint32_t twins_same(const uint64_t *entries, const uint64_t *twin, uint32_t count, uint64_t mask, uint64_t *present)
{
	lanes all = { 0 };
	uint32_t i = 0;
	for (; i + TWIN_STRIDE <= count; i += TWIN_STRIDE) {
		lanes differ = { 0 }, there = { 0 };
		for (int at = 0; at < TWIN_STRIDE; at += 8) {
			lanes a, b;
			memcpy(&a, entries + i + at, sizeof(a));
			memcpy(&b, twin + i + at, sizeof(b));
			differ |= (a ^ b) & mask;
			there += b & 1;
		}
		uint64_t any = 0;
		for (int lane = 0; lane < 8; lane++)
			any |= differ[lane];
		if (any)
			break;
		all += there;
	}
	uint64_t sum = 0;
	for (int lane = 0; lane < 8; lane++)
		sum += all[lane];
	*present += sum;
	return i;
}
