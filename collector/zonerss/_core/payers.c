// Who pays for the frames of a census: the memory cgroup that each is charged to, by /proc/kpagecgroup.
//
// One word per frame holds the inode of the cgroup (fs/proc/page.c, kpagecgroup_read(); Linux 4.3, commit
// 80ae2fdceba8). Words are read a block at a time and only where the block holds a frame of the census, so that a large
// machine with little mapped costs little.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "census.h"
#include "explain.h"

#define BLOCK_FRAMES 4096

struct payers {
	struct payer *rows;
	uint32_t count, room; // room is a power of two
	uint32_t *table; // open addressing, twice as large: row + 1 by (set, inode); 0 is free
	uint32_t last; // the row that was counted last: neighbours are often alike
};

static uint32_t payers_place(const struct payers *p, uint32_t set, uint64_t inode)
{
	uint64_t hash = (inode * UINT64_C(0x9e3779b97f4a7c15)) ^ (set * UINT64_C(0xbf58476d1ce4e5b9));
	uint32_t mask = p->room * 2 - 1;
	for (uint32_t at = (hash ^ hash >> 32) & mask;; at = (at + 1) & mask) {
		const struct payer *row = &p->rows[p->table[at] - 1];
		if (!p->table[at] || (row->set == set && row->inode == inode))
			return at;
	}
}

static int payers_grow(struct payers *p)
{
	uint32_t room = p->room ? p->room * 2 : 256;
	uint32_t *table = calloc(room * 2, sizeof(*table));
	struct payer *rows = realloc(p->rows, room * sizeof(*rows));
	if (rows)
		p->rows = rows;
	if (!rows || !table) {
		free(table);
		return -ENOMEM;
	}
	free(p->table);
	p->table = table;
	p->room = room;
	for (uint32_t i = 0; i < p->count; i++)
		table[payers_place(p, rows[i].set, rows[i].inode)] = i + 1;
	return 0;
}

static int payers_count(struct payers *p, uint32_t set, uint32_t kind, uint64_t inode)
{
	struct payer *last = &p->rows[p->last];
	if (p->count && last->set == set && last->inode == inode) {
		last->pages[kind]++;
		return 0;
	}
	if (p->count == p->room && payers_grow(p))
		return -ENOMEM;
	uint32_t at = payers_place(p, set, inode);
	if (!p->table[at]) {
		p->rows[p->count] = (struct payer){ .set = set, .inode = inode };
		p->table[at] = ++p->count;
	}
	p->last = p->table[at] - 1;
	p->rows[p->last].pages[kind]++;
	return 0;
}

static uint32_t set_of(const struct census *census, uint32_t word)
{
	uint32_t set = (word >> KIND_BITS) - census->base;
	return (int32_t)set > 0 ? set : 0;
}

// first: the frame number of words[0]. Frames that the file does not reach are nobody's.
static int payers_block(struct payers *p, const struct census *census, int fd, uint64_t first, const frame_word *words)
{
	uint64_t inodes[BLOCK_FRAMES];
	uint32_t from = 0, to = BLOCK_FRAMES;
	while (from < to && !set_of(census, atomic_load_explicit(&words[from], memory_order_relaxed)))
		from++;
	while (to > from && !set_of(census, atomic_load_explicit(&words[to - 1], memory_order_relaxed)))
		to--;
	memset(inodes + from, 0, (to - from) * sizeof(*inodes));
	for (uint32_t at = from; at < to;) {
		ssize_t got = pread(fd, inodes + at, (to - at) * sizeof(*inodes), (first + at) * sizeof(*inodes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got < (ssize_t)sizeof(*inodes))
			break;
		at += got / sizeof(*inodes);
	}
	for (uint32_t i = from; i < to; i++) {
		uint32_t word = atomic_load_explicit(&words[i], memory_order_relaxed), set = set_of(census, word);
		if (set && payers_count(p, set, word & ((1 << KIND_BITS) - 1), inodes[i]))
			return -ENOMEM;
	}
	return 0;
}

int census_payers(const struct census *census, int kpagecgroup_fd, struct payer **ret, size_t *count)
{
	struct payers p = { 0 };
	int error = payers_grow(&p);
	for (uint64_t i = 0; !error && i < census->chunk_count; i++) {
		uint64_t first = census->chunk_index[i] << CHUNK_BITS;
		const frame_word *words = atomic_load_explicit(&census->chunks[census->chunk_index[i]], memory_order_relaxed);
		for (uint64_t at = 0; !error && first < SWAP_FRAMES && at < CHUNK_FRAMES; at += BLOCK_FRAMES)
			error = payers_block(&p, census, kpagecgroup_fd, first + at, words + at);
	}
	free(p.table);
	if (error) {
		free(p.rows);
		return error;
	}
	*ret = p.rows;
	*count = p.count;
	return 0;
}

void payers_free(struct payer *rows)
{
	free(rows);
}
