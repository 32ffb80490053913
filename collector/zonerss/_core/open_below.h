// Opening files at paths that somebody else can write to.
#pragma once

#include <stdint.h>

// openat2(2), Linux 5.6, with O_PATH: what lies below a directory; resolve: RESOLVE_* of linux/openat2.h.
// A descriptor or -errno; -ENOSYS where the kernel does not have it.
int open_below(int directory, const char *path, uint64_t resolve);
