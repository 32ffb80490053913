// PAGEMAP_SCAN (include/uapi/linux/fs.h, Linux 6.7; commit 52526ca7fdb9), spelled here because the headers of the
// system that builds us may be older than the kernel that runs us.
#pragma once

#include <errno.h>
#include <stdint.h>

#include "foreign.h"

enum scan_category { SCAN_PRESENT = 1 << 3, SCAN_SWAPPED = 1 << 4, SCAN_PFNZERO = 1 << 5, SCAN_HUGE = 1 << 6 };

struct scan_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

struct scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

#define SCAN_IOCTL _IOWR('f', 16, struct scan_arg)

// Regions of [*at, end) that hold something, by category; *at becomes where the scan ended. Returns their number
// or a negative errno: -ENOTTY where the kernel has no such call, -ESRCH where the address space has gone.
static inline int64_t scan_pages(struct worker *worker, int pagemap_fd, uint64_t *at, uint64_t end,
				 struct scan_region *regions, uint64_t room, uint64_t max_pages)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = *at,
		.end = end,
		.vec = (uintptr_t)regions,
		.vec_len = room,
		.max_pages = max_pages,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED | SCAN_HUGE,
	};
	int found;
	do
		found = FOREIGN(worker, ioctl(pagemap_fd, SCAN_IOCTL, &arg));
	while (found < 0 && errno == EINTR);
	if (found < 0)
		return -errno;
	if (arg.walk_end <= *at)
		return -ESRCH;
	*at = arg.walk_end;
	return found;
}
