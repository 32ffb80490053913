// Who pays for the frames of a census, by /proc/kpagecgroup.
//
// One word per frame holds the inode of the cgroup (fs/proc/page.c, kpagecgroup_read(); Linux 4.3, commit
// 80ae2fdceba8).
//
// Until Linux 6.3 the word of a huge page's tail is 0: its charge is noted in the head alone (mm/memcontrol.c,
// page_cgroup_ino(); commit ec342603e6d7, Linux 6.4, asks the head). So of frames whose word is 0 it is asked whether they
// are tails, and of tails the head.

#include "payers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "pageflags.h"
#include "payer_rows.h"

#define LOOK_FRAMES 64 // looked at by one read on the way down to a head

struct payers {
	const struct census *census;
	int kpagecgroup_fd, kpageflags_fd;
	struct payer_rows rows;
};

static uint32_t block_set(const struct census *census, const frame_word *words, uint32_t at)
{
	return set_of(census, block_word(words, at));
}

// The inode of the head of a tail's huge page; 0: there is none, or it is charged to none. 0 or a negative errno.
static int head_inode(const struct payers *p, uint64_t tail, uint64_t *ret)
{
	uint64_t flags[LOOK_FRAMES];
	*ret = 0;
	for (uint64_t to = tail; to;) {
		uint64_t from = to > LOOK_FRAMES ? to - LOOK_FRAMES : 0;
		int64_t count = kpage_words(p->kpageflags_fd, from, flags, to - from);
		if (count < (int64_t)(to - from))
			return count < 0 ? count : 0;
		for (; to > from; to--) {
			if (kpage_has(flags[to - 1 - from], KPF_COMPOUND_TAIL))
				continue;
			if (!kpage_has(flags[to - 1 - from], KPF_COMPOUND_HEAD))
				return 0; // it was split meanwhile
			count = kpage_words(p->kpagecgroup_fd, to - 1, ret, 1);
			return count < 0 ? count : 0;
		}
	}
	return 0;
}

// Frames [first + from, first + to), whose flags are read: a word of 0 that is a tail's becomes its head's. 0 or a negative errno:
// who is charged for these is then not known.
static int ask_heads_of(const struct payers *p, uint64_t first, uint32_t from, uint32_t to, uint64_t *inodes)
{
	uint64_t flags[BLOCK_FRAMES], head = 0;
	bool known = false; // head is that of the huge page that the frame before was of
	int64_t count = kpage_words(p->kpageflags_fd, first + from, flags, to - from);
	for (int64_t i = 0; i < count; i++) {
		bool tail = kpage_has(flags[i], KPF_COMPOUND_TAIL);
		known = known && tail;
		if (!tail || inodes[from + i])
			continue;
		int error = known ? 0 : head_inode(p, first + from + i, &head);
		if (error)
			return error;
		known = true;
		inodes[from + i] = head;
	}
	return count < 0 ? count : 0;
}

// The same of those among [first + from, first + to) that have no word.
static int ask_heads(const struct payers *p, uint64_t first, const frame_word *words, uint32_t from, uint32_t to,
		     uint64_t *inodes)
{
	int error = 0;
	for (uint32_t at = from, end; !error && at < to; at = end) {
		end = at + 1;
		if (inodes[at] || !block_set(p->census, words, at))
			continue;
		for (uint32_t next = end; next < to && next - end <= MOST_BETWEEN; next++)
			if (!inodes[next] && block_set(p->census, words, next))
				end = next + 1;
		error = ask_heads_of(p, first, at, end, inodes);
	}
	return error;
}

// Frames that the file does not reach are nobody's.
static int payers_run(void *context, uint64_t first, const frame_word *words, uint32_t from, uint32_t to)
{
	struct payers *p = context;
	uint64_t inodes[BLOCK_FRAMES];
	memset(inodes + from, 0, (to - from) * sizeof(*inodes));
	int64_t count = kpage_words(p->kpagecgroup_fd, first + from, inodes + from, to - from);
	int error = count < 0 ? count : 0;
	if (!error && p->kpageflags_fd >= 0)
		error = ask_heads(p, first, words, from, from + count, inodes);
	if (error)
		return error;
	for (uint32_t i = from; i < to; i++) {
		uint32_t word = block_word(words, i), set = set_of(p->census, word);
		if (set && payer_rows_count(&p->rows, set, word_kind(word), inodes[i]))
			return -ENOMEM;
	}
	return 0;
}

static int payers_block(void *context, uint64_t first, const frame_word *words)
{
	const struct payers *p = context;
	return runs_of_block(p->census, first, words, payers_run, context);
}

int census_payers(const struct census *census, int kpagecgroup_fd, int kpageflags_fd, struct payer **ret, size_t *count)
{
	struct payers p = { .census = census, .kpagecgroup_fd = kpagecgroup_fd, .kpageflags_fd = kpageflags_fd };
	int error = blocks_for_each(census, payers_block, &p);
	return payer_rows_finish(&p.rows, error, ret, count);
}

void payers_free(struct payer *rows)
{
	free(rows);
}
