// The pages of one address space, one record each, for `zonerss frames`: no census, no hurry.

#include "pages.h"

#include <errno.h>
#include <stdbool.h>

#include "foreign.h"
#include "maps.h"
#include "pageflags.h"
#include "scan.h"
#include "walk.h"

#define WORDS 8192
#define REGIONS 256

struct pages {
	const struct walk_host *host;
	const struct vma *vma;
	int pagemap_fd;
	struct kpages kpagecount, kpageflags;
	bool averages;
	struct page *pages;
	size_t room;
	int64_t count;
};

static int class_of(struct pages *p, uint64_t pfn, uint64_t word)
{
	if (pfn == p->host->zero_pfn)
		return PAGE_ZERO;
	int kind = kind_of_frame(&p->kpageflags, pfn, word & WORD_FILE ? SAYS_FILE : SAYS_ANON);
	// Pages of a shared mapping belong to a file, or to nobody.
	return kind == KIND_ANON && p->vma->flags & VMA_SHARED ? (int)PAGE_DEVICE : kind;
}

// How often a frame is mapped on the whole machine; UINT64_MAX: unknown.
static uint64_t mapcount_of(struct pages *p, uint64_t pfn)
{
	uint64_t mapcount, flags;
	if (p->kpagecount.fd < 0 || !kpage_read(&p->kpagecount, pfn, &mapcount))
		return UINT64_MAX;
	if (p->averages && (!kpage_read(&p->kpageflags, pfn, &flags) || kpage_is_large(flags)))
		return UINT64_MAX;
	return mapcount;
}

static void add(struct pages *p, uint64_t address, uint64_t word, bool huge)
{
	struct page page = { .address = address, .mapcount = UINT64_MAX, .huge = huge };
	if (word & WORD_PRESENT) {
		page.pfn = word & WORD_PFN;
		page.kind = class_of(p, page.pfn, word);
		if (page.kind != PAGE_DEVICE)
			page.mapcount = mapcount_of(p, page.pfn);
	} else {
		page.pfn = word_swap_frame(word);
		page.kind = KIND_SWAP;
	}
	if ((size_t)p->count < p->room)
		p->pages[p->count] = page;
	p->count++;
}

static int take(struct pages *p, uint64_t start, uint64_t end, bool huge)
{
	uint64_t words[WORDS], page = p->host->page_bytes;
	while (start < end) {
		uint64_t count = (end - start) / page < WORDS ? (end - start) / page : WORDS;
		int64_t got = foreign_words(NULL, p->pagemap_fd, words, count, start / page);
		if (got < 0)
			return -errno;
		if ((uint64_t)got < count)
			return -ESRCH;
		for (uint64_t i = 0; i < count; i++)
			if (words[i] & WORD_PRESENT || word_is_swap(words[i]))
				add(p, start + i * page, words[i], huge);
		start += count * page;
	}
	return 0;
}

int64_t pages_read(int pagemap_fd, int kpagecount_fd, int averages, const struct vma *vma, const struct walk_host *host,
		   uint64_t start, uint64_t end, struct page *pages, size_t room)
{
	struct pages p = {
		.host = host,
		.vma = vma,
		.pagemap_fd = pagemap_fd,
		.kpagecount.fd = kpagecount_fd,
		.kpageflags.fd = host->kpageflags_fd,
		.averages = averages,
		.pages = pages,
		.room = room,
	};
	struct scan_region regions[REGIONS];
	int error = 0;
	if (!host->can_scan)
		error = take(&p, start, end, false);
	while (host->can_scan && !error && start < end) {
		int64_t found = scan_pages(NULL, pagemap_fd, &start, end, regions, REGIONS, 0);
		error = found < 0 ? (int)found : 0;
		for (int64_t i = 0; !error && i < found; i++)
			error = take(&p, regions[i].start, regions[i].end, regions[i].categories & SCAN_HUGE);
	}
	error = error ? error : -p.kpageflags.error;
	error = error ? error : -p.kpagecount.error;
	return error ? error : p.count;
}
