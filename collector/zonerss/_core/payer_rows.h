// Frames counted by a set and the cgroup that is charged for them.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "array.h"
#include "marker.h"
#include "payers.h"

struct payer_rows {
	struct payer *rows;
	size_t count, room;
	struct table table; // by set and inode
	struct payer *last; // the row that was counted last: neighbours are often alike
};

static inline uint64_t payer_hash(const void *rows, uint32_t index)
{
	const struct payer *row = (const struct payer *)rows + index;
	return hash_pair(row->inode, row->set);
}

static inline bool payer_same(const void *rows, uint32_t index, const void *key)
{
	const struct payer *row = (const struct payer *)rows + index, *wanted = key;
	return row->set == wanted->set && row->inode == wanted->inode;
}

// The row of a set and a cgroup, made if it is new. NULL: no memory.
static inline struct payer *payer_row(struct payer_rows *r, uint32_t set, uint64_t inode)
{
	struct payer wanted = { .set = set, .inode = inode };
	uint64_t hash = hash_pair(inode, set);
	uint32_t found = table_find(&r->table, hash, payer_same, r->rows, &wanted);
	if (found != TABLE_NONE)
		return &r->rows[found];
	if (ARRAY_RESERVE(r->rows, r->room, r->count + 1))
		return NULL;
	r->rows[r->count] = wanted;
	if (table_add(&r->table, hash, r->count, payer_hash, r->rows))
		return NULL;
	return &r->rows[r->count++];
}

// One frame more. 0 or -ENOMEM.
static inline int payer_rows_count(struct payer_rows *r, uint32_t set, uint32_t kind, uint64_t inode)
{
	if (!r->last || r->last->set != set || r->last->inode != inode)
		r->last = payer_row(r, set, inode);
	if (!r->last)
		return -ENOMEM;
	r->last->pages[kind]++;
	return 0;
}

// The rows in *ret, to be freed with payers_free(); after an error they are freed here. Returns the error.
static inline int payer_rows_finish(struct payer_rows *r, int error, struct payer **ret, size_t *count)
{
	table_free(&r->table);
	if (error) {
		free(r->rows);
		return error;
	}
	*ret = r->rows;
	*count = r->count;
	return 0;
}
