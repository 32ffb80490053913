// Clearing the accessed bits of a process's page table entries, so that a later walk tells which pages were touched since.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slice;

struct cleared {
	uint64_t slices;     // that the kernel has taken
	uint64_t refused;    // that it would not take: locked by now, or something else is mapped there
	uint64_t longest_ns; // the longest call, all of which may have held the process up
	uint64_t took_ns;
	uint64_t
		since_ns; // since when it calls, by the monotonic clock; 0: it sleeps. Read by others meanwhile, and left by them
};

// process_madvise(2), MADV_COLD (Linux 5.10), a call for each slice: each holds the mmap lock for reading, for as long as its pages
// take. Clears the bits of pages that are mapped once, no others, and moves them to where reclaim looks first. Where it may, the
// calling thread is a real-time one meanwhile, because a thread that waits for a processor may hold the lock. After each millisecond
// of work it sleeps for rest times as long: of a processor it takes 1/(1 + rest) at most.
// ret->since_ns is kept as it is until the first call.
// Before each call a word of the process's pagemap is read: that waits for the lock, too, but a signal that kills us ends it, where
// process_madvise(2) waits for it whatever comes (mm/madvise.c, madvise_lock()).
// stop: ends it between two calls once it is not 0. 0; or a negative errno, and what was done until then: -ESRCH: the process has
// ended; -ECANCELED: it was stopped.
int clear_by_cold(int pidfd, int pagemap_fd, const struct slice *slices, size_t count, uint32_t rest,
		  const int32_t *stop, struct cleared *ret);

// Writes 1 to a process's clear_refs (Linux 2.6.22): clears all bits, with the mmap lock held for writing all the while. That is
// done by a child of ours, which is killed once it has taken patience_ns: a fatal signal ends its waiting for the lock, behind
// which page faults of the process wait. Once it has the lock nothing stops it.
// 0; -ETIMEDOUT: it was killed, and it is not known whether anything was cleared; or another negative errno.
int clear_by_clear_refs(int clear_refs_fd, uint64_t patience_ns, struct cleared *ret);
