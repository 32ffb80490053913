// The pages of one address space, one record each, for `zonerss frames`: no census, no hurry.

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "core.h"
#include "kinds.h"
#include "scan.h"

#define WORDS 8192
#define REGIONS 256

struct pages {
	const struct walk_settings *settings;
	const struct vma *vma;
	int pagemap_fd, kpagecount_fd;
	struct page *pages;
	size_t room;
	int64_t count;
};

static int class_of(const struct pages *p, uint64_t pfn, uint64_t word)
{
	int kind = pfn == p->settings->zero_pfn ? (int)PAGE_ZERO : kind_of_frame(p->settings->kpageflags_fd, pfn);
	if (kind == PAGE_ZERO || kind == KIND_HUGETLB)
		return kind;
	if (word & WORD_FILE)
		return kind == KIND_SHMEM ? KIND_SHMEM : KIND_FILE;
	return kind == KIND_ANON && !(p->vma->flags & VMA_SHARED) ? (int)KIND_ANON : (int)PAGE_DEVICE;
}

static void add(struct pages *p, uint64_t address, uint64_t word, bool huge)
{
	struct page page = { .address = address, .mapcount = UINT64_MAX, .huge = huge };
	if (word & WORD_PRESENT) {
		page.pfn = word & WORD_PFN;
		page.kind = class_of(p, page.pfn, word);
		if (p->kpagecount_fd >= 0 && page.kind != PAGE_DEVICE &&
		    !kpage_read(p->kpagecount_fd, page.pfn, &page.mapcount))
			page.mapcount = UINT64_MAX;
	} else {
		page.pfn = swap_frame(word & 31, (word & WORD_PFN) >> SWAP_TYPE_BITS);
		page.kind = KIND_SWAP;
	}
	if ((size_t)p->count < p->room)
		p->pages[p->count] = page;
	p->count++;
}

static int take(struct pages *p, uint64_t start, uint64_t end, bool huge)
{
	uint64_t words[WORDS], page = p->settings->page_bytes;
	while (start < end) {
		uint64_t count = (end - start) / page < WORDS ? (end - start) / page : WORDS;
		ssize_t got = pread(p->pagemap_fd, words, count * sizeof(*words), start / page * sizeof(*words));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ESRCH;
		count = got / sizeof(*words);
		for (uint64_t i = 0; i < count; i++)
			if (words[i] & WORD_PRESENT || (words[i] & WORD_SWAP && (words[i] & 31) < SWAP_TYPES))
				add(p, start + i * page, words[i], huge);
		start += count * page;
	}
	return 0;
}

int64_t walk_pages(int pagemap_fd, int kpagecount_fd, const struct vma *vma, const struct walk_settings *settings,
		   uint64_t start, uint64_t end, struct page *pages, size_t room)
{
	struct pages p = { settings, vma, pagemap_fd, kpagecount_fd, pages, room, 0 };
	struct scan_region regions[REGIONS];
	int error = 0;
	if (!settings->use_scan)
		error = take(&p, start, end, false);
	while (settings->use_scan && !error && start < end) {
		int64_t found = scan_pages(pagemap_fd, &start, end, regions, REGIONS, 0);
		error = found < 0 ? (int)found : 0;
		for (int64_t i = 0; !error && i < found; i++)
			error = take(&p, regions[i].start, regions[i].end, regions[i].categories & SCAN_HUGE);
	}
	return error ? error : p.count;
}
