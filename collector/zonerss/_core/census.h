// The marking side of the census, for the walkers (walk.c, pagetable.c).
//
// Every frame has one 32-bit word: which set of zones maps it, and its kind. A zone that meets a frame of set
// S moves it to the set S + {zone}; a zone that is in S already leaves it alone, which costs a load and a compare.
// A set is found by the sum of a random 128-bit number per zone, so each set exists once in whatever order zones
// come (DESIGN: Zobrist), and several threads may mark at once: moving a frame is one compare-and-swap, and
// whoever wins it does the counting.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core.h"

// Frames to 2^40, and swap slots in as many numbers above them.
#define FRAME_BITS 40
#define SWAP_FRAMES (UINT64_C(1) << FRAME_BITS)
#define CHUNK_BITS 19 // 2 MiB of words, one huge page
#define CHUNK_FRAMES (UINT64_C(1) << CHUNK_BITS)
#define CHUNKS (UINT64_C(1) << (FRAME_BITS + 1 - CHUNK_BITS))
#define KIND_BITS 3

typedef _Atomic(uint32_t) frame_word;

struct zone_key {
	uint64_t lo, hi;
};

struct census {
	_Atomic(frame_word *) *chunks;
	uint32_t base; // words below base << KIND_BITS belong to an earlier census
	uint32_t zones;
	struct zone_key *zone_keys;

	pthread_mutex_t lock; // for all below
	uint32_t *zone_first; // sets made before a zone was first marked cannot hold it
	uint32_t sets, room;
	uint32_t *parent, *zone;
	struct zone_key *keys;
	uint64_t (*pages)[KINDS];
	uint32_t *table; // open addressing: set by key, 0 is free
	uint32_t table_mask;
	uint64_t seed;
	uint64_t *chunk_index; // of the chunks that there are
	uint64_t chunk_count, chunk_room;
};

// One thread's view: the zone that it marks for, what each set becomes with that zone, and what it counted.
struct marker {
	struct census *census;
	uint32_t base;
	uint32_t zone;
	uint32_t stamp; // one per change of zone: older notes are void
	uint32_t room;
	uint64_t *next; // [set] = stamp << 32 | the set with this zone added
	int64_t (*moved)[KINDS]; // [set]: pages gained, summed up at the end
	int error;
};

int marker_init(struct marker *marker, struct census *census);
// Adds what the marker counted to the census; returns the first error that it met.
int marker_deinit(struct marker *marker);
void marker_zone(struct marker *marker, uint32_t zone);

// Slow paths.
frame_word *census_chunk_create(struct census *census, uint64_t chunk);
bool marker_move(struct marker *marker, frame_word *slot, uint32_t word);
void marker_first(struct marker *marker, uint64_t pfn, enum kind kind);

// Mark a run of frames of one kind, as a huge page is. alone: nobody else maps them, so that no other thread will
// mark them, and what is new of them needs no compare-and-swap.
void marker_run(struct marker *marker, uint64_t pfn, uint64_t count, enum kind kind, bool alone);

static inline frame_word *census_slot(struct census *census, uint64_t pfn)
{
	frame_word *chunk = atomic_load_explicit(&census->chunks[pfn >> CHUNK_BITS], memory_order_acquire);
	if (__builtin_expect(!chunk, 0)) {
		chunk = census_chunk_create(census, pfn >> CHUNK_BITS);
		if (!chunk)
			return NULL;
	}
	return chunk + (pfn & (CHUNK_FRAMES - 1));
}

// Has the marker's zone this frame already? Any number may be asked for.
static inline bool marker_has(const struct marker *marker, uint64_t pfn)
{
	if (pfn >= 2 * SWAP_FRAMES)
		return false;
	frame_word *chunk = atomic_load_explicit(&marker->census->chunks[pfn >> CHUNK_BITS], memory_order_acquire);
	if (!chunk)
		return false;
	uint32_t word = atomic_load_explicit(chunk + (pfn & (CHUNK_FRAMES - 1)), memory_order_relaxed);
	uint32_t set = (word >> KIND_BITS) - marker->base; // beyond the room where the word is of an earlier census
	return set < marker->room && marker->next[set] == ((uint64_t)marker->stamp << 32 | set);
}

// Mark a frame that this census has met before. false: it has not; find out its kind and call marker_first().
// pfn must be below 2 * SWAP_FRAMES.
static inline bool marker_known(struct marker *marker, uint64_t pfn)
{
	frame_word *slot = census_slot(marker->census, pfn);
	if (__builtin_expect(!slot, 0)) {
		marker->error = -ENOMEM;
		return true;
	}
	uint32_t word = atomic_load_explicit(slot, memory_order_relaxed);
	if ((int32_t)((word >> KIND_BITS) - marker->base) < 0)
		return false;
	return marker_move(marker, slot, word);
}

static inline void marker_mark(struct marker *marker, uint64_t pfn, enum kind kind)
{
	if (!marker_known(marker, pfn))
		marker_first(marker, pfn, kind);
}
