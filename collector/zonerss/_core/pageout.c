// Paging out: see pageout.h.

#include "pageout.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "foreign.h"
#include "kinds.h"
#include "page_bytes.h"
#include "pageflags.h"
#include "slices.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define ATTEMPTS 100 // of a call that is interrupted

// Words of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
#define WORD_PRESENT (UINT64_C(1) << 63)
#define WORD_SWAPPED (UINT64_C(1) << 62)
#define WORD_FILE (UINT64_C(1) << 61)	   // a page of a file, or shared
#define WORD_EXCLUSIVE (UINT64_C(1) << 56) // mapped once
#define WORD_FRAME ((UINT64_C(1) << 55) - 1)

// The pages of one call.
struct batch {
	struct iovec ranges[PAGEOUT_PAGES];
	size_t count;
	uint64_t pages;
	uint32_t kind;
	uint64_t words[PAGEOUT_PAGES];
};

static uint64_t pages_of(uint64_t start, uint64_t end)
{
	return (end - start) / page_bytes();
}

// The words of so many pages from an address on. 0 or a negative errno.
static int words_read(int pagemap_fd, uint64_t address, uint64_t *words, size_t count)
{
	int64_t got = foreign_words(NULL, pagemap_fd, words, count, address / page_bytes());
	if (got < 0)
		return -errno;
	// Of an address space that has been given up there is nothing to read.
	return (size_t)got == count ? 0 : -ESRCH;
}

// ---- what is to go ----

static bool is_to_go(uint64_t word, uint32_t kind)
{
	return word & WORD_PRESENT && word & WORD_EXCLUSIVE && !(word & WORD_FILE) == (kind == KIND_ANON);
}

static void batch_add(struct batch *b, uint64_t address)
{
	struct iovec *last = &b->ranges[b->count - 1];
	if (b->count && (uint64_t)last->iov_base + last->iov_len == address)
		last->iov_len += page_bytes();
	else
		b->ranges[b->count++] = (struct iovec){ (void *)address, page_bytes() };
	b->pages++;
}

// Leaves out pages of large folios of which others are not to go, too: the kernel would split the folio, and that unmaps all of a
// file's. words[from..to) are of consecutive frames; what is left out becomes 0. 0 or a negative errno.
static int leave_out_parts(int kpageflags_fd, uint64_t *words, uint64_t from, uint64_t to, struct paged_out *ret)
{
	uint64_t flags[PAGEOUT_PAGES + 1], pfn = words[from] & WORD_FRAME, count = to - from;
	int64_t got = kpage_words(kpageflags_fd, pfn, flags, count + 1);
	if (got < 0)
		return got;
	if ((uint64_t)got < count) {
		memset(words + from, 0, count * sizeof(*words));
		return 0;
	}
	if ((uint64_t)got == count)
		flags[count] = 0; // the end of memory
	uint64_t first = 0, end = count;
	while (first < count && kpage_has(flags[first], KPF_COMPOUND_TAIL))
		first++;
	if (kpage_has(flags[count], KPF_COMPOUND_TAIL)) {
		while (end > first && kpage_has(flags[end - 1], KPF_COMPOUND_TAIL))
			end--;
		end -= end > first; // its head
	}
	memset(words + from, 0, first * sizeof(*words));
	memset(words + from + end, 0, (count - end) * sizeof(*words));
	ret->large_pages += count - (end - first);
	return 0;
}

// Pages of a slice from an address on. 0 or a negative errno.
static int batch_add_pages(struct batch *b, const struct page_files *files, const struct slice *slice, uint64_t start,
			   uint64_t count, struct paged_out *ret)
{
	uint64_t *words = b->words, fit = 0;
	int error = words_read(files->pagemap_fd, start, words, count);
	if (error || (start == slice->start && (words[0] & WORD_FRAME) != slice->pfn))
		return error;
	for (uint64_t i = 0; i < count; i++)
		words[i] = is_to_go(words[i], slice->kind) ? words[i] & WORD_FRAME : 0;
	for (uint64_t from = 0, to; !error && from < count; from = to) {
		for (to = from + 1; to < count && words[from] && words[to] == words[from] + (to - from); to++)
			;
		if (words[from])
			error = leave_out_parts(files->kpageflags_fd, words, from, to, ret);
	}
	if (error)
		return error;
	for (uint64_t i = 0; i < count; i++)
		fit += words[i] != 0;
	for (uint64_t i = 0; i < count && (fit == count || !slice->huge); i++)
		if (words[i])
			batch_add(b, start + i * page_bytes());
	return 0;
}

// From the slices what fits into one call. 0 or a negative errno.
static int batch_fill(struct batch *b, const struct page_files *files, const struct slice *slices, size_t count,
		      uint64_t cut, uint64_t most_pages, struct paged_out *ret)
{
	uint64_t room = most_pages < PAGEOUT_PAGES ? most_pages : PAGEOUT_PAGES;
	int error = 0;
	b->kind = count ? slices->kind : KIND_ANON;
	while (!error && ret->slices < count && b->pages < room) {
		const struct slice *slice = &slices[ret->slices];
		uint64_t start = cut ? cut : slice->start, left = room - b->pages, pages = pages_of(start, slice->end);
		if (pages > left && (slice->huge || room == PAGEOUT_PAGES))
			break;
		pages = pages < left ? pages : left;
		error = batch_add_pages(b, files, slice, start, pages, ret);
		cut = start + pages * page_bytes();
		ret->slices += cut == slice->end;
		cut = cut == slice->end ? 0 : cut;
	}
	ret->cut = cut;
	return error;
}

// ---- what has gone ----

// One call, or more where a range is refused. 0 or a negative errno.
static int advise(int pidfd, const struct batch *b, const int32_t *stop, uint64_t *longest_ns)
{
	int attempts = 0;
	for (size_t at = 0; at < b->count;) {
		if (__atomic_load_n(stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		uint64_t began = now_ns();
		ssize_t done = syscall(SYS_process_madvise, pidfd, b->ranges + at, b->count - at, MADV_PAGEOUT, 0U);
		int error = done < 0 ? errno : 0;
		uint64_t took = now_ns() - began;
		*longest_ns = took > *longest_ns ? took : *longest_ns;
		if ((error == EINTR || error == EAGAIN) && attempts++ < ATTEMPTS)
			continue;
		// EINVAL: locked, hugetlb or a device by now. ENOMEM: not mapped any more, or not all of it.
		if (error && error != EINVAL && error != ENOMEM)
			return -error;
		for (; at < b->count && done > 0 && (size_t)done >= b->ranges[at].iov_len; at++)
			done -= b->ranges[at].iov_len;
		at += at < b->count; // the one that it stopped at
	}
	return 0;
}

// Has a page left that was there before? One of anonymous memory that is not in swap was given up by the process itself.
static bool has_left(uint64_t word, uint32_t kind)
{
	return !(word & WORD_PRESENT) && (kind != KIND_ANON || word & WORD_SWAPPED);
}

static void note_left(struct page_run *runs, struct paged_out *ret, uint64_t address)
{
	struct page_run *last = &runs[ret->runs - 1];
	uint64_t end = address + page_bytes();
	if (ret->runs && last->end == address)
		last->end = end;
	else
		runs[ret->runs++] = (struct page_run){ address, end };
	ret->left_pages++;
}

// 0 or a negative errno.
static int see_what_left(struct batch *b, int pagemap_fd, struct page_run *runs, struct paged_out *ret)
{
	for (size_t i = 0; i < b->count; i++) {
		uint64_t start = (uint64_t)b->ranges[i].iov_base, pages = b->ranges[i].iov_len / page_bytes();
		int error = words_read(pagemap_fd, start, b->words, pages);
		if (error)
			return error;
		for (uint64_t at = 0; at < pages; at++)
			if (has_left(b->words[at], b->kind))
				note_left(runs, ret, start + at * page_bytes());
	}
	return 0;
}

// 0; -ESRCH: it has; or another negative errno: it is not known.
static int has_ended(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int got;
	do
		got = poll(&ended, 1, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got ? -ESRCH : 0;
}

int page_out(const struct page_files *files, const struct slice *slices, size_t count, uint64_t cut,
	     uint64_t most_pages, const int32_t *stop, struct page_run *runs, struct paged_out *ret)
{
	struct batch b = { 0 };
	*ret = (struct paged_out){ 0 };
	int error = batch_fill(&b, files, slices, count, cut, most_pages, ret);
	if (error || !b.count)
		return error;
	error = advise(files->pidfd, &b, stop, &ret->longest_ns);
	if (error)
		return error;
	ret->tried_pages = b.pages;
	error = see_what_left(&b, files->pagemap_fd, runs, ret);
	if (!error)
		error = has_ended(files->pidfd);
	if (error)
		ret->left_pages = ret->runs = 0;
	return error;
}

int pages_present(int pagemap_fd, const struct page_run *runs, size_t count, uint64_t *ret)
{
	uint64_t words[PAGEOUT_PAGES];
	*ret = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t pages = pages_of(runs[i].start, runs[i].end);
		if (pages > PAGEOUT_PAGES)
			return -EINVAL;
		int error = words_read(pagemap_fd, runs[i].start, words, pages);
		if (error)
			return error;
		for (uint64_t at = 0; at < pages; at++)
			*ret += words[at] >> 63;
	}
	return 0;
}
