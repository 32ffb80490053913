// Overlaps of two censuses: one pass over the frames, which mostly come in runs of one pair of sets.

#include "overlap.h"

#include <errno.h>
#include <stdlib.h>

#include "blocks.h"

struct overlaps {
	struct overlap *rows;
	size_t room;
	struct table table; // rows, by both sets
};

static uint64_t overlap_hash(const void *rows, uint32_t index)
{
	const struct overlap *row = (const struct overlap *)rows + index;
	return hash_pair(row->set, row->other);
}

static bool overlap_same(const void *rows, uint32_t index, const void *key)
{
	const struct overlap *row = (const struct overlap *)rows + index, *wanted = key;
	return row->set == wanted->set && row->other == wanted->other;
}

// The row of two sets, made if it is new; NULL: no memory.
static struct overlap *overlap_of(struct overlaps *o, uint32_t set, uint32_t other)
{
	struct overlap wanted = { .set = set, .other = other };
	uint32_t row = TABLE_ROW(o->table, o->rows, o->room, overlap_hash, overlap_same, &wanted);
	return row == TABLE_NONE ? NULL : &o->rows[row];
}

static int overlap_chunk(struct overlaps *o, const struct census *census, const struct census *others, uint64_t chunk,
			 const uint8_t *wanted, size_t sets)
{
	const frame_word *words = census_chunk(census, chunk), *other_words = census_chunk(others, chunk);
	struct overlap *row = NULL;
	for (uint32_t i = next_met(census, words, 0, CHUNK_FRAMES); i < CHUNK_FRAMES;
	     i = next_met(census, words, i + 1, CHUNK_FRAMES)) {
		uint32_t word = block_word(words, i), set = set_of(census, word);
		if (wanted && (set >= sets || !wanted[set]))
			continue;
		uint32_t other_word = other_words ? block_word(other_words, i) : 0;
		uint32_t other = set_of(others, other_word);
		if ((!row || set != row->set || other != row->other) && !(row = overlap_of(o, set, other)))
			return -ENOMEM;
		row->pages[word_kind(word)]++;
	}
	return 0;
}

int64_t census_overlaps(const struct census *census, const struct census *others, const uint8_t *wanted, size_t sets,
			struct overlap **ret)
{
	struct overlaps o = { 0 };
	int error = 0;
	for (size_t i = 0; !error && i < census->chunk_count; i++)
		error = overlap_chunk(&o, census, others, census->chunk_index[i], wanted, sets);
	int64_t count = o.table.count;
	table_free(&o.table);
	if (error) {
		free(o.rows);
		return error;
	}
	*ret = o.rows;
	return count;
}

void overlaps_free(struct overlap *overlaps)
{
	free(overlaps);
}
