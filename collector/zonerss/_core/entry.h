// What the bits of a page table entry mean: one block for each architecture. What the processor decides is constant here; what
// the kernel's configuration or version decides is in struct entry_shape, found out on pages of our own (pagetable_load.c).
//
// x86: arch/x86/include/asm/pgtable{,_64,_types}.h. arm64: arch/arm64/include/asm/pgtable{,-hwdef,-prot}.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ENTRY_PRESENT (UINT64_C(1) << 0)

struct entry_shape {
	uint32_t page_shift;
	uint32_t swap_type_shift; // arm64
	uint32_t swap_offset_shift;
	uint64_t frame_mask;	 // bits that are an address
	uint64_t protnone;	 // arm64: any of these without PRESENT maps something that may not be touched now
	uint64_t migration_mask; // bits of a swap offset that are a frame
};

#if defined(__x86_64__)

#define ENTRY_WRITABLE (UINT64_C(1) << 1)
#define ENTRY_ACCESSED (UINT64_C(1) << 5)
#define ENTRY_DIRTY (UINT64_C(1) << 6)
#define ENTRY_LEAF (UINT64_C(1) << 7) // above the last level; stays set while a huge page is being split
#define ENTRY_PROTNONE (UINT64_C(1) << 8)
#define ENTRY_SPECIAL (UINT64_C(1) << 9) // no page that belongs to anybody: the zero page, device memory
#define ENTRY_SAVED_DIRTY (UINT64_C(1) << 58)
#define ENTRY_COPY (ENTRY_WRITABLE | ENTRY_DIRTY | ENTRY_SAVED_DIRTY) // none of a file's page in a private mapping
#define ENTRY_NOTHING (ENTRY_ACCESSED | ENTRY_DIRTY)		      // processors of old set these on empty entries
#define ENTRY_TABLE_MASK (ENTRY_PRESENT | ENTRY_LEAF)		      // leads to a table where these bits are
#define ENTRY_TABLE_VALUE ENTRY_PRESENT				      // this
#define ENTRY_LEAF_THERE ENTRY_LEAF
#define ENTRY_CONTIGUOUS UINT64_C(0)

static inline uint32_t shape_page_shift(const struct entry_shape *shape)
{
	(void)shape;
	return 12;
}

static inline uint64_t shape_protnone(const struct entry_shape *shape)
{
	(void)shape;
	return ENTRY_PROTNONE;
}

// Entries that the kernel may write together; 1: none.
static inline uint32_t shape_block(const struct entry_shape *shape)
{
	(void)shape;
	return 1;
}

// Where PRESENT is clear but the entry is not, all address bits are inverted (L1TF).
static inline uint64_t entry_address(uint64_t entry)
{
	return entry & ENTRY_PRESENT ? entry : ~entry;
}

// Type and offset of an entry that maps nothing, as include/linux/swapops.h has them after the architecture's packing.
static inline uint64_t entry_swap_type(const struct entry_shape *shape, uint64_t entry)
{
	(void)shape;
	return entry >> 59;
}

static inline uint64_t entry_swap_offset(const struct entry_shape *shape, uint64_t entry)
{
	(void)shape;
	return ~entry << 5 >> 14;
}

#elif defined(__aarch64__)

#define ENTRY_WRITABLE (UINT64_C(1) << 51) // DBM: the kernel's PTE_WRITE
#define ENTRY_ACCESSED (UINT64_C(1) << 10)
#define ENTRY_DIRTY (UINT64_C(1) << 55)
#define ENTRY_CONTIGUOUS \
	(UINT64_C(1) << 52) // one of a block that maps neighbours; the processor sets bits in any one of them
#define ENTRY_SPECIAL (UINT64_C(1) << 56)
#define ENTRY_COPY (ENTRY_WRITABLE | ENTRY_DIRTY)
#define ENTRY_NOTHING UINT64_C(0)
#define ENTRY_TABLE_MASK UINT64_C(3)
#define ENTRY_TABLE_VALUE UINT64_C(3)
#define ENTRY_LEAF_THERE UINT64_C(0)

static inline uint32_t shape_page_shift(const struct entry_shape *shape)
{
	return shape->page_shift;
}

static inline uint64_t shape_protnone(const struct entry_shape *shape)
{
	return shape->protnone;
}

// CONT_PTES: 64 KiB, with larger pages 2 MiB.
static inline uint32_t shape_block(const struct entry_shape *shape)
{
	return shape->page_shift == 12 ? 16 : 1u << (21 - shape->page_shift);
}

static inline uint64_t entry_address(uint64_t entry)
{
	return entry;
}

static inline uint64_t entry_swap_type(const struct entry_shape *shape, uint64_t entry)
{
	return entry >> shape->swap_type_shift & 31;
}

static inline uint64_t entry_swap_offset(const struct entry_shape *shape, uint64_t entry)
{
	return entry >> shape->swap_offset_shift & ((UINT64_C(1) << 50) - 1);
}

#else
#error "page table entries of this architecture are not known: bpf/build makes no skeleton for it"
#endif

// Does the entry map something? Without PRESENT where the process may not touch it now: after mprotect(2), because the kernel
// waits for a fault to tell which NUMA node it is used from, or because a huge page is being split.
static inline bool entry_maps(const struct entry_shape *shape, uint64_t entry)
{
	return entry & (ENTRY_PRESENT | shape_protnone(shape));
}

static inline uint64_t entry_pfn(const struct entry_shape *shape, uint64_t entry)
{
	return (entry_address(entry) & shape->frame_mask) >> shape_page_shift(shape);
}
