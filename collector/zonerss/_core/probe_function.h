// A program of BPF at a function of the kernel.
#pragma once

#include <stdint.h>

// Run the program, of the type KPROBE, whenever the function is called, by whichever processor, until the descriptor that comes back
// is closed. perf_event_open(2), since Linux 4.17; pmu: /sys/bus/event_source/devices/kprobe/type. Or a negative errno.
int probe_function(uint32_t pmu, const char *function, int program);
