// A hash table over the elements of an array: open addressing, at most half full. It holds indices, not elements, so the array
// may move. Nothing is taken out of it.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

struct table {
	uint32_t *slots; // index + 1; 0 is free
	uint32_t mask;	 // slots - 1; 0: there are none yet
	uint32_t count;
};

#define TABLE_NONE UINT32_MAX
#define TABLE_INLINE static inline __attribute__((always_inline))

static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
	uint64_t hash = a * UINT64_C(0x9e3779b97f4a7c15) ^ b * UINT64_C(0xc2b2ae3d27d4eb4f);
	return hash ^ hash >> 29;
}

static inline uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
	uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325); // FNV-1a
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 29;
}

// The index of an element, TABLE_NONE where it is not in. same: whether the element of an index is the one of the key.
TABLE_INLINE uint32_t table_find(const struct table *table, uint64_t hash,
				 bool (*same)(const void *array, uint32_t index, const void *key), const void *array,
				 const void *key)
{
	if (!table->mask)
		return TABLE_NONE;
	for (uint32_t at = hash & table->mask, found; (found = table->slots[at]); at = (at + 1) & table->mask)
		if (same(array, found - 1, key))
			return found - 1;
	return TABLE_NONE;
}

static inline void table_fill(struct table *table, uint64_t hash, uint32_t index)
{
	uint32_t at = hash & table->mask;
	while (table->slots[at])
		at = (at + 1) & table->mask;
	table->slots[at] = index + 1;
}

// Puts an element in that is not in yet. hash_of: the hash of the element of an index, asked where the table is built anew.
// 0 or -ENOMEM.
TABLE_INLINE int table_add(struct table *table, uint64_t hash, uint32_t index,
			   uint64_t (*hash_of)(const void *array, uint32_t index), const void *array)
{
	if (2 * ((uint64_t)table->count + 1) > table->mask) {
		uint64_t slots = 2 * (table->mask + UINT64_C(1)) < 64 ? 64 : 4 * (table->mask + UINT64_C(1));
		uint32_t *made = slots <= UINT32_MAX ? calloc(slots, sizeof(*made)) : NULL;
		if (!made)
			return -ENOMEM;
		struct table old = *table;
		*table = (struct table){ .slots = made, .mask = slots - 1, .count = old.count };
		for (uint64_t at = 0; old.mask && at <= old.mask; at++)
			if (old.slots[at])
				table_fill(table, hash_of(array, old.slots[at] - 1), old.slots[at] - 1);
		free(old.slots);
	}
	table_fill(table, hash, index);
	table->count++;
	return 0;
}

// The index of the row that is like wanted, put in if there is none: table and array grow together. rows: address of the pointer
// to the first. same: as for table_find(), wanted being the key. TABLE_NONE: no memory.
TABLE_INLINE uint32_t table_row(struct table *table, void *rows, size_t *room, size_t row_bytes,
				uint64_t (*hash_of)(const void *array, uint32_t index),
				bool (*same)(const void *array, uint32_t index, const void *key), const void *wanted)
{
	char *all;
	uint64_t hash = hash_of(wanted, 0);
	uint32_t count = table->count;
	memcpy(&all, rows, sizeof(all));
	uint32_t found = table_find(table, hash, same, all, wanted);
	if (found != TABLE_NONE)
		return found;
	if (array_reserve(rows, room, count + UINT64_C(1), row_bytes))
		return TABLE_NONE;
	memcpy(&all, rows, sizeof(all));
	memcpy(all + count * row_bytes, wanted, row_bytes);
	return table_add(table, hash, count, hash_of, all) ? TABLE_NONE : count;
}

#define TABLE_ROW(table, rows, room, hash_of, same, wanted) \
	table_row(&(table), &(rows), &(room), sizeof(*(rows)), hash_of, same, wanted)

static inline void table_clear(struct table *table)
{
	if (table->mask)
		memset(table->slots, 0, (table->mask + UINT64_C(1)) * sizeof(*table->slots));
	table->count = 0;
}

static inline void table_free(struct table *table)
{
	free(table->slots);
	*table = (struct table){ 0 };
}
