// What struct entry_shape can be on this architecture, and how it is told which it is. For pagetable_load.c only; see entry.h.
#pragma once

#include "entry.h"

#if defined(__x86_64__)

#include <cpuid.h>

// The bit of an entry that says "encrypted" on AMD (SME, SEV), which is no part of the address; 0: there is none.
static uint64_t encryption_bit(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(0x8000001f, &a, &b, &c, &d) && a & 3 ? UINT64_C(1) << (b & 63) : 0;
}

#define SEARCH_SHIFT 30 // the map of all memory begins at a multiple of this (arch/x86/mm/kaslr.c)
#define SHAPE_LEAST_LEVELS 4
#define SHAPE_MOST_LEVELS 5
#define SHAPE_MASKS(page_shift)                                                                \
	{                                                                                      \
		UINT64_C(0x000ffffffffff000), UINT64_C(0x000ffffffffff000) & ~encryption_bit() \
	}

// MAX_PHYSMEM_BITS less those of the page: bits above are notes about the page (SWP_MIG_YOUNG, SWP_MIG_DIRTY).
static uint64_t shape_migration_mask(uint32_t page_shift, uint32_t levels, uint64_t last_frame)
{
	(void)last_frame;
	return (UINT64_C(1) << ((levels == 5 ? 52 : 46) - page_shift)) - 1;
}

static bool shape_of_protnone(struct entry_shape *shape, uint64_t entry)
{
	(void)shape;
	return entry & ENTRY_PROTNONE;
}

#elif defined(__aarch64__)

// memstart_addr and what the kernel's random placement adds are multiples of ARM64_MEMSTART_ALIGN: 1 GiB, with pages of 64 KiB
// 512 MiB (arch/arm64/include/asm/kernel-pgtable.h).
#define SEARCH_SHIFT 29
#define SHAPE_LEAST_LEVELS 2
#define SHAPE_MOST_LEVELS 5
// Bits 49 and below. With LPA2 (pages of 4 and 16 KiB) bits 8 and 9 are address bits 50 and 51, without it they are none; with pages
// of 64 KiB bits 12 to 15 are address bits 48 to 51. So none of these is taken, and memory up there is refused.
#define SHAPE_MASKS(page_shift)                                                                       \
	{                                                                                             \
		((UINT64_C(1) << ((page_shift) == 16 ? 48 : 50)) - 1) >> (page_shift) << (page_shift) \
	}

// MAX_PHYSMEM_BITS is 48 or 52 by the kernel's configuration. Bits above are notes about the page, so where 48 suffice, 48 it is.
static uint64_t shape_migration_mask(uint32_t page_shift, uint32_t levels, uint64_t last_frame)
{
	(void)levels;
	return (UINT64_C(1) << ((last_frame >> (48 - page_shift) ? 52 : 48) - page_shift)) - 1;
}

// To Linux 6.9: PTE_PROT_NONE (and PMD_PRESENT_INVALID while a huge page is being split), swap types from bit 3 on and offsets from
// bit 8 on. Since 6.10: PTE_PRESENT_INVALID for both, 6 and 12 (arch/arm64/include/asm/pgtable.h).
static bool shape_of_protnone(struct entry_shape *shape, uint64_t entry)
{
	uint64_t before = UINT64_C(1) << 58, splitting = UINT64_C(1) << 59, since = UINT64_C(1) << 11;
	bool old = entry & before;
	shape->protnone = old ? before | splitting : since;
	shape->swap_type_shift = old ? 3 : 6;
	shape->swap_offset_shift = old ? 8 : 12;
	return entry & (before | since);
}

#endif
