// How many pages of a process's mappings are there, by /proc/PID/smaps.
//
// For kernels without PAGEMAP_SCAN (before Linux 6.7): their pagemap has a word for each page that could be, 10 ns each, and a mapping
// may be of 128 TiB of which nothing was ever touched. smaps takes as long as there are pages, most often: of hugetlb it looks at each
// hole, and of shared memory that is swapped out in part at the whole file (mm/shmem.c, shmem_partial_swap_usage()).
#pragma once

#include <stddef.h>
#include <stdint.h>

struct worker;

struct present_row {
	uint64_t start, end;
	uint64_t bytes; // in memory, in swap, or of hugetlb
};

struct present {
	struct present_row *rows; // in order
	size_t count, room;
};

// Reads the smaps of a thread, below its process's open directory: the mappings of so many bytes at least. What has not come after so
// much processor time of this thread is not known. 0 or a negative errno, and then no mapping is known.
int present_read(struct present *present, struct worker *worker, int dir, int tid, uint64_t least_bytes,
		 uint64_t most_ns);

// What is there of a mapping. UINT64_MAX: not known; it was none when smaps was read.
uint64_t present_bytes(const struct present *present, uint64_t start, uint64_t end);

void present_free(struct present *present);
