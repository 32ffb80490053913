// Tables that an owner has met before: see seen.h.

#include "seen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PROBES 8

// Eight entries, as wide as the widest registers; the compiler makes of it what the processor has.
typedef uint64_t lanes __attribute__((vector_size(64)));

int seen_create(struct seen_tables *seen, uint64_t slots)
{
	uint64_t room = 64;
	while (room < slots)
		room *= 2;
	void *entries = mmap(NULL, room * sizeof(*seen->entries), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct seen_key *keys = calloc(room, sizeof(*keys));
	if (entries == MAP_FAILED || !keys) {
		if (entries != MAP_FAILED)
			munmap(entries, room * sizeof(*seen->entries));
		free(keys);
		return -ENOMEM;
	}
	*seen = (struct seen_tables){ .entries = entries, .keys = keys, .mask = room - 1 };
	return 0;
}

void seen_destroy(struct seen_tables *seen)
{
	if (seen->entries)
		munmap(seen->entries, (seen->mask + UINT64_C(1)) * sizeof(*seen->entries));
	free(seen->keys);
	*seen = (struct seen_tables){ 0 };
}

void seen_restart(struct seen_tables *seen)
{
	if (!++seen->walk) {
		memset(seen->keys, 0, (seen->mask + UINT64_C(1)) * sizeof(*seen->keys));
		seen->walk = 1;
	}
}

uint64_t *seen_find(struct seen_tables *seen, uint32_t owner, uint64_t address)
{
	uint64_t table = address >> 21;
	uint64_t hash = (table ^ (uint64_t)owner << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
	for (uint32_t probe = 0; probe < PROBES; probe++) {
		uint32_t slot = (hash + probe) & seen->mask;
		struct seen_key *key = &seen->keys[slot];
		if (key->walk != seen->walk) {
			*key = (struct seen_key){ table, owner, seen->walk };
			memset(seen->entries[slot], 0, sizeof(seen->entries[slot]));
			return seen->entries[slot];
		}
		if (key->table == table && key->owner == owner)
			return seen->entries[slot];
	}
	return NULL;
}

// Which clone it is to be is found out before ThreadSanitizer is there to be called.
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

FOR_EACH_PROCESSOR
uint32_t seen_same(const uint64_t *entries, const uint64_t *seen, uint32_t count, uint64_t mask, uint64_t *present)
{
	lanes all = { 0 };
	uint32_t i = 0;
	for (; i + SEEN_STRIDE <= count; i += SEEN_STRIDE) {
		lanes differ = { 0 }, there = { 0 };
		for (int at = 0; at < SEEN_STRIDE; at += 8) {
			lanes a, b;
			memcpy(&a, entries + i + at, sizeof(a));
			memcpy(&b, seen + i + at, sizeof(b));
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
