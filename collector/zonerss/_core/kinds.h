// What a frame is, and how many there are of each.
#pragma once

#include <stdint.h>

// The first three make up rss; hugetlb stands beside it, as in smaps; swap counts slots of the swap area that page tables
// point at, not frames.
enum kind { KIND_ANON, KIND_FILE, KIND_SHMEM, KIND_HUGETLB, KIND_SWAP, KINDS };

struct frame_range {
	uint64_t first;
	uint64_t count;
};

// What an entry can map that is no memory of a process.
enum page_class { PAGE_ZERO = 16, PAGE_DEVICE = 17 };
