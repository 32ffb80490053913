// What of a file is in the page cache: see incore.h.

#include "incore.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pageflags.h"
#include "walk.h"

#define MINCORE_PAGES (1 << 16) // looked at by one call
#define MADV_POPULATE_READ_ 22	// Linux 5.14; the headers that build us may be older
#define CACHESTAT_NUMBER 451	// cachestat(2) on every architecture, Linux 6.5, commit cf264e1329fb

// A view of some pages of a file. VM_RAND_READ keeps the kernel from taking our look for use of the page
// (mm/memory.c, vma_has_recency()). NULL: it cannot be mapped, and errno says why.
static void *view(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages)
{
	void *where = mmap(NULL, pages * page_bytes, PROT_READ, MAP_PRIVATE, fd, first * page_bytes);
	if (where == MAP_FAILED)
		return NULL;
	madvise(where, pages * page_bytes, MADV_RANDOM);
	return where;
}

// Calls of mincore on [first, first + pages): how many are in the page cache, and the first of them.
static int look(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages, uint64_t *resident, int64_t *found)
{
	unsigned char in_core[MINCORE_PAGES];
	*resident = 0;
	*found = -ENOENT;
	for (uint64_t at = 0; at < pages; at += MINCORE_PAGES) {
		uint64_t count = pages - at < MINCORE_PAGES ? pages - at : MINCORE_PAGES;
		void *where = view(fd, page_bytes, first + at, count);
		int error = !where || mincore(where, count * page_bytes, in_core) ? -errno : 0;
		if (where)
			munmap(where, count * page_bytes);
		if (error)
			return error;
		for (uint64_t i = 0; i < count; i++) {
			*resident += in_core[i] & 1;
			if (in_core[i] & 1 && *found < 0)
				*found = first + at + i;
		}
	}
	return 0;
}

static int ask_cachestat(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages, uint64_t *resident)
{
	uint64_t range[2] = { first * page_bytes, pages * page_bytes };
	struct {
		uint64_t cache, dirty, writeback, evicted, recently_evicted;
	} stat;
	if (syscall(CACHESTAT_NUMBER, fd, range, &stat, 0))
		return -errno;
	*resident = stat.cache;
	return 0;
}

int incore_count(int fd, enum incore_means means, uint64_t page_bytes, const uint64_t *first, const uint64_t *pages,
		 size_t count, uint64_t *resident)
{
	int64_t found;
	int error = 0;
	for (size_t i = 0; !error && i < count; i++)
		error = means == BY_CACHESTAT ? ask_cachestat(fd, page_bytes, first[i], pages[i], &resident[i]) :
						look(fd, page_bytes, first[i], pages[i], &resident[i], &found);
	return error;
}

int64_t incore_first(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages)
{
	uint64_t resident;
	int64_t found = -ENOENT;
	for (uint64_t at = 0; found == -ENOENT && at < pages; at += MINCORE_PAGES) {
		uint64_t count = pages - at < MINCORE_PAGES ? pages - at : MINCORE_PAGES;
		int error = look(fd, page_bytes, first + at, count, &resident, &found);
		if (error)
			return error;
	}
	return found;
}

int incore_frame(int fd, uint64_t page, int own_pagemap_fd, const struct walk_host *host, uint64_t *pfn)
{
	uint64_t page_bytes = host->page_bytes, word = 0;
	unsigned char in_core = 0;
	char *where = view(fd, page_bytes, page, 1);
	if (!where)
		return -errno;
	// Not by touching it: a file that is cut short at this moment would end us with SIGBUS.
	if (!mincore(where, page_bytes, &in_core) && in_core & 1 && !madvise(where, page_bytes, MADV_POPULATE_READ_) &&
	    pread(own_pagemap_fd, &word, sizeof(word), (uintptr_t)where / page_bytes * sizeof(word)) != sizeof(word))
		word = 0;
	munmap(where, page_bytes);
	if (!(word & WORD_PRESENT))
		return -ENOENT;
	*pfn = word & WORD_PFN;
	struct kpages kpageflags = { .fd = host->kpageflags_fd };
	int kind = kind_of_frame(&kpageflags, *pfn, SAYS_FILE);
	return kpageflags.error ? -kpageflags.error : kind == KIND_SHMEM ? KIND_SHMEM : KIND_FILE;
}
