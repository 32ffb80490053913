// Who pays for the frames of a census: the memory cgroup that each is charged to.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

struct census;

// Frames of one set of the census that one cgroup is charged for. inode: the cgroup's, as in /proc/kpagecgroup; 0: none.
struct payer {
	uint32_t set;
	uint64_t inode;
	uint64_t pages[KINDS];
};

// All frames of the census by set and payer, in *ret, to be freed with payers_free(); swap slots are left out. 0 or a negative
// errno.
// kpageflags_fd: to find the heads of huge pages, which kpagecgroup alone has on Linux before 6.4; -1: do not ask.
int census_payers(const struct census *census, int kpagecgroup_fd, int kpageflags_fd, struct payer **ret,
		  size_t *count);
void payers_free(struct payer *rows);
