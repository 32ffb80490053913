// /proc/PID/stat, in which a process's name stands as it is.

#include "fuzz.h"
#include "tasks.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct task task = { 0 };
	if (task_parse_stat((const char *)bytes, length, &task))
		return 0;
	must(task.pid > 0);
	must(memchr(task.command, 0, sizeof(task.command)));
	return 0;
}
