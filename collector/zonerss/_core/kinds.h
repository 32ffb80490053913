// What a frame is, by /proc/kpageflags (include/uapi/linux/kernel-page-flags.h), and what a pagemap word says.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "core.h"

// Bits of a pagemap word (admin-guide/mm/pagemap.rst). Bits 0-54 are the frame, or the type (0-4) and the offset
// (5-54) of a swap entry.
#define WORD_PRESENT (UINT64_C(1) << 63)
#define WORD_SWAP (UINT64_C(1) << 62)
#define WORD_FILE (UINT64_C(1) << 61)
#define WORD_ALONE (UINT64_C(1) << 56) // mapped here and nowhere else
#define WORD_PFN ((UINT64_C(1) << 55) - 1)
#define SWAP_TYPE_BITS 5
// Types from here on are no swap areas but entries under migration, markers and the like: with every option that
// takes types away, MAX_SWAPFILES of include/linux/swap.h is 23.
#define SWAP_TYPES 23
#define SWAP_TYPE_MARKER 31

enum kpage_flag {
	KPF_SLAB = 7,
	KPF_MMAP = 11,
	KPF_ANON = 12,
	KPF_SWAPBACKED = 14,
	KPF_HUGE = 17,
	KPF_NOPAGE = 20,
	KPF_ZERO_PAGE = 24,
};

static inline bool kpage_has(uint64_t flags, enum kpage_flag flag)
{
	return flags >> flag & 1;
}

// The number of a swap slot among the frames of the census, above all frames (census.h).
static inline uint64_t swap_frame(uint64_t type, uint64_t offset)
{
	return (UINT64_C(1) << 40) + (type << 35 | (offset & ((UINT64_C(1) << 35) - 1)));
}

// enum kind, PAGE_ZERO or PAGE_DEVICE. SLAB is asked first: on some kernels slab pages read as anon, too.
static inline int kind_by_flags(uint64_t flags)
{
	if (kpage_has(flags, KPF_NOPAGE) || kpage_has(flags, KPF_SLAB))
		return PAGE_DEVICE;
	if (kpage_has(flags, KPF_ZERO_PAGE))
		return PAGE_ZERO;
	if (kpage_has(flags, KPF_HUGE))
		return KIND_HUGETLB;
	if (kpage_has(flags, KPF_ANON))
		return KIND_ANON;
	return kpage_has(flags, KPF_SWAPBACKED) ? KIND_SHMEM : KIND_FILE;
}

// One word of /proc/kpageflags or /proc/kpagecount. false: beyond the last frame, or not to be read.
static inline bool kpage_read(int fd, uint64_t pfn, uint64_t *ret)
{
	return pread(fd, ret, sizeof(*ret), pfn * sizeof(*ret)) == sizeof(*ret);
}

static inline int kind_of_frame(int kpageflags_fd, uint64_t pfn)
{
	uint64_t flags;
	return kpage_read(kpageflags_fd, pfn, &flags) ? kind_by_flags(flags) : PAGE_DEVICE;
}
