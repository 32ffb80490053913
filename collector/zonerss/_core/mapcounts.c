// How often the frames of a census are mapped on the whole machine, by /proc/kpagecount.
//
// One word per frame holds the page's mapcount (fs/proc/page.c, Linux 2.6.25). With CONFIG_NO_PAGE_MAPCOUNT (Linux 6.15,
// commit ae4192b7691c) the word of a page of a large folio is the folio's average, and so says nothing of the page; those of
// hugetlb are always mapped as a whole.

#include "mapcounts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "pageflags.h"
#include "parts.h"

_Static_assert((int)MAPPED_CLASSES == (int)KINDS, "parts hold one number for each kind");

struct mapcounts {
	const struct census *census;
	int kpagecount_fd, kpageflags_fd;
	struct parts *parts;
};

// Who marks what is mapped more than once.
struct several {
	struct marker marker;
	const struct census *census;
	const uint8_t *wanted; // [owners], or NULL: all frames are asked about
	int kpagecount_fd;
};

// The set of a frame whose count is asked for; 0: it is none of the census, or hugetlb.
static uint32_t memory_set(const struct census *census, uint32_t word)
{
	return word_kind(word) <= KIND_SHMEM ? set_of(census, word) : 0;
}

static enum mapcount_class class_of(uint64_t mapcount)
{
	static const uint64_t most[] = { [MAPPED_1] = 1, [MAPPED_2] = 2, [MAPPED_3] = 9, [MAPPED_10] = 99 };
	int found = MAPPED_1;
	while (found < MAPPED_100 && mapcount > most[found])
		found++;
	return found;
}

// Frames [first + from, first + to).
static int count_run(void *context, uint64_t first, const frame_word *words, uint32_t from, uint32_t to)
{
	const struct mapcounts *m = context;
	uint64_t counts[BLOCK_FRAMES], flags[BLOCK_FRAMES];
	int64_t count = kpage_words(m->kpagecount_fd, first + from, counts, to - from);
	if (count > 0 && m->kpageflags_fd >= 0)
		count = kpage_words(m->kpageflags_fd, first + from, flags, count);
	for (int64_t i = 0; i < count; i++) {
		uint32_t set = memory_set(m->census, block_word(words, from + i));
		if (set && counts[i] && (m->kpageflags_fd < 0 || !kpage_is_large(flags[i])))
			m->parts->pages[set][class_of(counts[i])]++;
	}
	return count < 0 ? count : 0;
}

static int count_block(void *context, uint64_t first, const frame_word *words)
{
	const struct mapcounts *m = context;
	return runs_of_block(m->census, first, words, count_run, context);
}

int census_mapcounts(const struct census *census, int kpagecount_fd, int kpageflags_fd, struct parts **ret)
{
	struct mapcounts m = { census, kpagecount_fd, kpageflags_fd, NULL };
	int error = census_parts(census, &m.parts);
	if (error)
		return error;
	memset(m.parts->pages, 0, m.parts->sets * sizeof(*m.parts->pages));
	error = blocks_for_each(census, count_block, &m);
	if (error)
		parts_free(m.parts);
	else
		*ret = m.parts;
	return error;
}

// Of a set of several owners it is known without counting.
static bool is_asked(const struct several *m, uint32_t word)
{
	uint32_t set = memory_set(m->census, word);
	if (!set || !m->wanted)
		return set;
	const struct set *found = &m->census->sets[set];
	return !found->parent && m->wanted[found->owner];
}

// The first of the words [from, to) that is asked about; to: there is none.
static uint32_t next_asked(const struct several *m, const frame_word *words, uint32_t from, uint32_t to)
{
	while (from < to && !is_asked(m, block_word(words, from)))
		from++;
	return from;
}

// Frames [first + from, first + to).
static int mark_piece(struct several *m, uint64_t first, const frame_word *words, uint32_t from, uint32_t to)
{
	uint64_t counts[BLOCK_FRAMES];
	int64_t count = kpage_words(m->kpagecount_fd, first + from, counts, to - from);
	for (int64_t i = 0; i < count; i++)
		if (counts[i] > 1 && is_asked(m, block_word(words, from + i)))
			marker_known(&m->marker, first + from + i);
	return count < 0 ? count : 0;
}

// What lies between frames that are asked about is left out where that costs less than another read.
static int mark_run(void *context, uint64_t first, const frame_word *words, uint32_t from, uint32_t to)
{
	struct several *m = context;
	int error = 0;
	from = next_asked(m, words, from, to);
	while (!error && from < to) {
		uint32_t end = from + 1, next = next_asked(m, words, end, to);
		for (; next < to && next - end < MOST_BETWEEN; next = next_asked(m, words, end, to))
			end = next + 1;
		error = mark_piece(m, first, words, from, end);
		from = next;
	}
	return error;
}

static int mark_block(void *context, uint64_t first, const frame_word *words)
{
	const struct several *m = context;
	return runs_of_block(m->census, first, words, mark_run, context);
}

int census_mark_several(struct census *census, uint32_t owner, const uint8_t *wanted, int kpagecount_fd)
{
	struct several m = { .census = census, .wanted = wanted, .kpagecount_fd = kpagecount_fd };
	int error = owner < census->owners ? marker_init(&m.marker, census) : -EINVAL;
	if (error)
		return error;
	marker_owner(&m.marker, owner);
	error = blocks_for_each(census, mark_block, &m);
	int marking = marker_deinit(&m.marker);
	return error ? error : marking;
}
