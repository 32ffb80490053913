// Clocks that nobody sets.
#pragma once

#include <stdint.h>
#include <time.h>

// In nanoseconds.
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

// CLOCK_MONOTONIC, in nanoseconds.
static inline uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

// Processor time of this thread, in nanoseconds.
static inline uint64_t thread_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
