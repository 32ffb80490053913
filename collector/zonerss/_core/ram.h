// What every frame of the machine is: those that the zones of a census map, and all others by their flags.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct census;
struct payer;

// Each frame is in one class. FRAMES_OTHERS_...: mapped, and not by anything that the census has walked. FRAMES_BARE_...: mapped by
// nothing. Each three or four are in the order of enum kind.
enum frames_class {
	FRAMES_ZONES_ANON,
	FRAMES_ZONES_FILE,
	FRAMES_ZONES_SHMEM,
	FRAMES_ZONES_HUGETLB,
	FRAMES_OTHERS_ANON,
	FRAMES_OTHERS_FILE,
	FRAMES_OTHERS_SHMEM,
	FRAMES_OTHERS_HUGETLB,
	FRAMES_BARE_ANON,
	FRAMES_BARE_FILE,
	FRAMES_BARE_SHMEM,
	FRAMES_BARE_HUGETLB,
	FRAMES_ZONES_KERNEL,   // the zones map it, and it is of no page cache: a buffer of a driver, a ring
	FRAMES_ZONES_RESERVED, // the zones map it, and the allocator never had it: the vdso
	FRAMES_RESERVED,       // the allocator never had it: the kernel's image, records of frames, firmware
	FRAMES_FREE,
	FRAMES_SLAB,
	FRAMES_PAGE_TABLES,
	FRAMES_OFFLINE, // given back to the hypervisor: a balloon
	FRAMES_POISONED,
	FRAMES_ZERO,   // the huge zero page
	FRAMES_KERNEL, // in use, and its flags do not say for what
	FRAMES_ABSENT, // there is no struct page
	FRAMES_CLASSES
};

// Who is charged for frames, where that is asked for: rows of struct payer, whose set is one of these.
enum frames_mapped { FRAMES_BY_ZONES, FRAMES_BY_OTHERS, FRAMES_BY_NOBODY };

struct ram_source {
	const struct frame_range
		*ram; // frames that are memory, in order: holes between them may have flags that say nothing
	size_t ram_ranges;
	int kpageflags;
	int kpagecount;	 // -1: frames that the census has not met are mapped by nobody
	int kpagecgroup; // -1: it is not asked who is charged
};

// How many frames are of each class, by one pass; pages: FRAMES_CLASSES of them. Each frame is looked at once, so that all add up
// whatever changes meanwhile. payers: of the classes that are of an enum kind, who is charged for them, to be freed with
// payers_free(). 0 or a negative errno.
int census_ram(const struct census *census, const struct ram_source *source, uint64_t *pages, struct payer **payers,
	       size_t *payer_count);
