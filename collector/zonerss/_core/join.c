// Two censuses of the same frames, one by zone and one by object: how many pages each pair of their parts has in
// common. One pass over the frames, which mostly come in runs of one pair.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "census.h"

struct join {
	struct piece *pieces;
	size_t count, room;
	uint32_t *table, mask; // piece + 1, 0 is free
};

// The set of a frame in a census; 0 where it has not met the frame.
static inline uint32_t set_of(const struct census *census, uint32_t word)
{
	uint32_t set = (word >> KIND_BITS) - census->base;
	return (int32_t)set < 0 ? 0 : set;
}

static uint32_t slot_of(const struct join *join, uint32_t set, uint32_t other)
{
	uint64_t hash = ((uint64_t)set << 32 | other) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t i = (uint32_t)(hash >> 32) & join->mask;
	for (uint32_t at; (at = join->table[i]); i = (i + 1) & join->mask)
		if (join->pieces[at - 1].set == set && join->pieces[at - 1].other == other)
			break;
	return i;
}

static int join_grow(struct join *join)
{
	size_t room = join->room * 2;
	struct piece *pieces = realloc(join->pieces, room * sizeof(*pieces));
	if (!pieces)
		return -ENOMEM;
	join->pieces = pieces;
	uint32_t *table = calloc(4 * room, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(join->table);
	join->table = table;
	join->room = room;
	join->mask = 4 * room - 1;
	for (size_t i = 0; i < join->count; i++)
		table[slot_of(join, pieces[i].set, pieces[i].other)] = i + 1;
	return 0;
}

// The number of a piece, made if it is new; -ENOMEM.
static int64_t join_piece(struct join *join, uint32_t set, uint32_t other)
{
	uint32_t slot = slot_of(join, set, other);
	if (join->table[slot])
		return join->table[slot] - 1;
	if (join->count == join->room) {
		int error = join_grow(join);
		if (error)
			return error;
		slot = slot_of(join, set, other);
	}
	join->pieces[join->count] = (struct piece){ .set = set, .other = other };
	join->table[slot] = ++join->count;
	return join->count - 1;
}

static int join_chunk(struct join *join, const struct census *census, const struct census *others, uint64_t chunk,
		      const uint8_t *wanted)
{
	const frame_word *words = atomic_load_explicit(&census->chunks[chunk], memory_order_acquire);
	const frame_word *other_words = atomic_load_explicit(&others->chunks[chunk], memory_order_acquire);
	uint32_t last_set = 0, last_other = 0;
	int64_t piece = 0;
	for (uint64_t i = 0; i < CHUNK_FRAMES; i++) {
		uint32_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
		uint32_t set = set_of(census, word);
		if (!set || (wanted && !wanted[set]))
			continue;
		uint32_t other_word = other_words ? atomic_load_explicit(&other_words[i], memory_order_relaxed) : 0;
		uint32_t other = set_of(others, other_word);
		if (set != last_set || other != last_other) {
			piece = join_piece(join, set, other);
			if (piece < 0)
				return (int)piece;
			last_set = set;
			last_other = other;
		}
		join->pieces[piece].pages[word & ((1 << KIND_BITS) - 1)]++;
	}
	return 0;
}

int64_t census_join(const struct census *census, const struct census *others, const uint8_t *wanted,
		    struct piece **ret)
{
	struct join join = { .room = 256, .mask = 1023 };
	join.pieces = malloc(join.room * sizeof(*join.pieces));
	join.table = calloc(join.mask + UINT64_C(1), sizeof(*join.table));
	int error = join.pieces && join.table ? 0 : -ENOMEM;
	for (uint64_t i = 0; !error && i < census->chunk_count; i++)
		error = join_chunk(&join, census, others, census->chunk_index[i], wanted);
	free(join.table);
	if (error) {
		free(join.pieces);
		return error;
	}
	*ret = join.pieces;
	return join.count;
}

void pieces_free(struct piece *pieces)
{
	free(pieces);
}
