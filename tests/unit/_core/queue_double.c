// Counts the steps of queue.c, which is built with -fsanitize-coverage=trace-pc: the compiler calls this in every
// basic block.

#include <stdint.h>

static uint64_t steps;

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void)
{
	steps++;
}

__attribute__((no_sanitize_coverage)) uint64_t double_steps(void)
{
	return steps;
}
