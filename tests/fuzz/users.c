// /proc/PID/status, in which a process's name stands with its newlines escaped.

#include "fuzz.h"
#include "tasks.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct task task = { .uid = 7, .euid = 7 };
	if (task_parse_users((const char *)bytes, length, &task))
		must(task.uid == 7 && task.euid == 7);
	return 0;
}
