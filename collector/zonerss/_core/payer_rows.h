// Frames counted by a set and the cgroup that is charged for them.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "marker.h"
#include "payers.h"

struct payer_rows {
	struct payer *rows;
	size_t room;
	struct table table; // rows, by set and inode
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
	uint32_t row = TABLE_ROW(r->table, r->rows, r->room, payer_hash, payer_same, &wanted);
	return row == TABLE_NONE ? NULL : &r->rows[row];
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
	*count = r->table.count;
	table_free(&r->table);
	if (error) {
		free(r->rows);
		return error;
	}
	*ret = r->rows;
	return 0;
}
