// Clocks that nobody sets.
#pragma once

#include <stdint.h>
#include <time.h>

// CLOCK_MONOTONIC, in nanoseconds.
static inline uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

// Processor time of this thread, in nanoseconds.
static inline uint64_t thread_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}
