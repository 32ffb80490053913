// Who pays for the frames of a census, by /proc/kpagecgroup.
//
// One word per frame holds the inode of the cgroup (fs/proc/page.c, kpagecgroup_read(); Linux 4.3, commit
// 80ae2fdceba8). Words are read a block at a time and only where the block holds a frame of the census, so that a large
// machine with little mapped costs little.

#include "payers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "marker.h"

#define BLOCK_FRAMES 4096

struct payers {
	struct payer *rows;
	size_t count, room;
	struct table table; // by set and inode
	struct payer *last; // the row that was counted last: neighbours are often alike
};

static uint64_t payer_hash(const void *rows, uint32_t index)
{
	const struct payer *row = (const struct payer *)rows + index;
	return hash_pair(row->inode, row->set);
}

static bool payer_same(const void *rows, uint32_t index, const void *key)
{
	const struct payer *row = (const struct payer *)rows + index, *wanted = key;
	return row->set == wanted->set && row->inode == wanted->inode;
}

static struct payer *payer_of(struct payers *p, uint32_t set, uint64_t inode)
{
	struct payer wanted = { .set = set, .inode = inode };
	uint64_t hash = hash_pair(inode, set);
	uint32_t found = table_find(&p->table, hash, payer_same, p->rows, &wanted);
	if (found != TABLE_NONE)
		return &p->rows[found];
	if (ARRAY_RESERVE(p->rows, p->room, p->count + 1))
		return NULL;
	p->rows[p->count] = wanted;
	if (table_add(&p->table, hash, p->count, payer_hash, p->rows))
		return NULL;
	return &p->rows[p->count++];
}

static int payers_count(struct payers *p, uint32_t set, uint32_t kind, uint64_t inode)
{
	if (!p->last || p->last->set != set || p->last->inode != inode)
		p->last = payer_of(p, set, inode);
	if (!p->last)
		return -ENOMEM;
	p->last->pages[kind]++;
	return 0;
}

static uint32_t block_set(const struct census *census, const frame_word *words, uint32_t at)
{
	return set_of(census, atomic_load_explicit(&words[at], memory_order_relaxed));
}

// first: the frame number of words[0]. Frames that the file does not reach are nobody's.
static int payers_block(struct payers *p, const struct census *census, int fd, uint64_t first, const frame_word *words)
{
	uint64_t inodes[BLOCK_FRAMES];
	uint32_t from = 0, to = BLOCK_FRAMES;
	while (from < to && !block_set(census, words, from))
		from++;
	while (to > from && !block_set(census, words, to - 1))
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
		if (set && payers_count(p, set, word_kind(word), inodes[i]))
			return -ENOMEM;
	}
	return 0;
}

int census_payers(const struct census *census, int kpagecgroup_fd, struct payer **ret, size_t *count)
{
	struct payers p = { 0 };
	int error = 0;
	for (size_t i = 0; !error && i < census->chunk_count; i++) {
		uint64_t first = census->chunk_index[i] << CHUNK_BITS;
		const frame_word *words = census_chunk(census, census->chunk_index[i]);
		for (uint64_t at = 0; !error && first < SWAP_FRAMES && at < CHUNK_FRAMES; at += BLOCK_FRAMES)
			error = payers_block(&p, census, kpagecgroup_fd, first + at, words + at);
	}
	table_free(&p.table);
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
