// The pages of one process, one record each.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

struct vma;
struct walk_host;

struct page {
	uint64_t address;
	uint64_t pfn;	   // frame, or swap slot where kind is KIND_SWAP
	uint64_t mapcount; // kpagecount; UINT64_MAX: unknown
	uint8_t kind;	   // enum kind, or PAGE_ZERO or PAGE_DEVICE
	uint8_t huge;	   // 1: mapped by a PMD or greater
};

// The pages of [start, end) of an open pagemap, in order of address. Returns their number (at most room are
// written), or a negative errno. kpagecount_fd: -1, do not ask. averages: 1, of pages of large folios it has only an average.
int64_t pages_read(int pagemap_fd, int kpagecount_fd, int averages, const struct vma *vma, const struct walk_host *host,
		   uint64_t start, uint64_t end, struct page *pages, size_t room);
