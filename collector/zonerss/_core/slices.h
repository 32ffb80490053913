// Address ranges of processes, as a walk of their page tables has found them: those that have accessed bits to clear, or those that
// are cold.
//
// A slice is of 2 MiB at most, aligned to that in the file that it maps, so that it cuts no huge page, nor a large folio of a file
// (those are aligned in their file). A huge page is a slice by itself. None is of a locked mapping, of hugetlb or of a device, which
// madvise(2) does not take.
//
// One that is cold has cold pages of one kind only, each mapped once on the whole machine.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slices;

struct slice {
	uint64_t job; // of the walk
	uint64_t start;
	uint64_t end;
	// Of those that are cold.
	uint64_t pfn;  // of its first page
	uint32_t kind; // enum kind
	uint32_t huge; // 1: it is one huge page
};

// 0 or -ENOMEM.
int slices_create(struct slices **ret);
void slices_destroy(struct slices *slices);

// Add some, from any thread. 0 or -ENOMEM.
int slices_add(struct slices *slices, const struct slice *rows, size_t count);

// Those of a job and a kind (0 where they are not cold), huge pages last, and else in order of address: how many, and *ret, the
// first. To be called once the walk is over.
size_t slices_of(struct slices *slices, uint64_t job, uint32_t kind, const struct slice **ret);
