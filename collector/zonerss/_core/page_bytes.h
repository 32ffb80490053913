// The size of a page on this machine.
#pragma once

#include <stdint.h>
#include <unistd.h>

// getpagesize(2). It is in the auxiliary vector of the process, so that this is no system call.
static inline uint64_t page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}
