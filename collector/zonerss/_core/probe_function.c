#include "probe_function.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// The event is of one processor, as each has to be, but the program is the probe's and runs on all
// (kernel/trace/trace_kprobe.c, kprobe_perf_func).
int probe_function(uint32_t pmu, const char *function, int program)
{
	struct perf_event_attr attributes = {
		.type = pmu,
		.size = sizeof(attributes),
		.kprobe_func = (uintptr_t)function,
	};
	int fd = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) && !ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
		return fd;
	int error = -errno;
	close(fd);
	return error;
}
