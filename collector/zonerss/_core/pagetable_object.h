// The loaded BPF object, shared by pagetable_load.c (which makes it) and pagetable.c (which walks with it).
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "entry.h"
#include "kinds.h"
#include "known.h"
#include "pagetable_source.h"
#include "../../../bpf/pagetable.h"

// Which frames are memory. It does not change, because a worker that was left behind may still look at it.
struct memory {
	struct memory *before; // what was known before; NULL: nothing
	size_t count;
	struct frame_range ranges[]; // in order
};

struct pagetable {
	struct pagetable_bpf *bpf; // programs and maps: pagetable.lskel.h, which bpf/build makes
	char *buffers;
	struct pagetable_state *state; // in a map of bpf
	struct entry_shape shape;
	uint32_t threads; // that walk at once, at most
	uint32_t workers; // of the program: more than threads, because one that was left behind keeps its own
	int64_t boot_offset_ns;

	pthread_mutex_t lock; // for all below
	uint32_t references;  // whoever has opened it, and each walk that is not quite over
	uint64_t used;	      // a bit for each worker that a thread has, even one that was left behind
	struct memory *memory;
	struct known_tables known;
	uint64_t faults, retries, reads;
};

// An iterator over the VMAs of one living thread; see pagetable_load.c. A descriptor, or a negative errno.
int pagetable_iterate(const struct pagetable *pagetable, pid_t tid, int *link_fd);
