// Paging out ranges of a process that were found to be its own, mapped once and cold, and seeing what left.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slice;

enum pageout_limit { PAGEOUT_PAGES = 512 }; // of one call: what holds the mmap lock for reading for some milliseconds

// A run of pages.
struct page_run {
	uint64_t start;
	uint64_t end;
};

// What a call needs: the process, its pagemap, and /proc/kpageflags.
struct page_files {
	int pidfd;
	int pagemap_fd;
	int kpageflags_fd;
};

// What came of one call.
struct paged_out {
	uint64_t slices; // that are done with
	uint64_t cut;	 // up to which address the next one is; 0: it is not begun
	uint64_t tried_pages;
	uint64_t left_pages;  // of these: mapped before, and not after
	uint64_t large_pages; // left alone: they are of large folios of which other pages are not to go
	uint64_t longest_ns;  // for which the process may have been held up
	uint64_t runs;	      // in which the pages lie that left
};

// process_madvise(2), MADV_PAGEOUT (Linux 5.10), of slices of one kind from their beginning on: at most PAGEOUT_PAGES and at most
// most_pages. Slices are cut only where most_pages is less than that; it ends before a huge page that is too much. What is advised is what pagemap tells just
// before: present, mapped once on the whole machine (PM_MMAP_EXCLUSIVE, Linux 4.2), of the kind that was found; a slice whose first
// page is in another frame than it was is passed over. Large folios are advised whole or not at all.
//
// cut: of an earlier call; runs: room for PAGEOUT_PAGES; stop: nothing more is advised once it is not 0.
// 0; or a negative errno: -ESRCH: the process has ended, and what is missing is not known to have left because of us; -ECANCELED: it was
// stopped.
int page_out(const struct page_files *files, const struct slice *slices, size_t count, uint64_t cut,
	     uint64_t most_pages, const int32_t *stop, struct page_run *runs, struct paged_out *ret);

// How many pages of some runs are present, in *ret. 0 or a negative errno.
int pages_present(int pagemap_fd, const struct page_run *runs, size_t count, uint64_t *ret);
