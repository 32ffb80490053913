// The loaded BPF object, shared by pagetable_load.c (which makes it) and pagetable.c (which walks with it).
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include "pagetable.h"
#include "twins.h"
#include "../../../bpf/pagetable.h"

struct pagetable {
	struct pagetable_bpf *bpf; // programs and maps: pagetable.lskel.h, which bpf/build makes
	char *buffers;
	struct pagetable_state *state; // in a map of bpf
	uint32_t workers;
	int64_t boot_offset_ns;
	struct frame_range *ram;
	size_t ram_ranges;
	struct twins twins[PAGETABLE_WORKERS];
	pthread_mutex_t lock; // one walk at a time
	uint64_t faults, retries, reads;
};

// The process whose memory one worker reads; see pagetable.c.
int pagetable_iterate(const struct pagetable *pagetable, pid_t pid, pid_t leader, int *link_fd);
