// crowd N PAGES: N children that each write PAGES pages of their own and then sleep. Prints their pids, one a line,
// and an empty line; ends, and they with it, at the end of its stdin.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static size_t page_bytes;

int main(int count, char **arguments)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	int children = count > 1 ? atoi(arguments[1]) : 1;
	size_t bytes = (count > 2 ? atoi(arguments[2]) : 1) * 4096UL;
	pid_t parent = getpid();
	for (int i = 0; i < children; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			for (size_t at = 0; at < bytes; at += page_bytes)
				memory[at] = 1;
			for (;;)
				pause();
		}
		dprintf(1, "%d\n", pid);
	}
	dprintf(1, "\n");
	for (char c; read(0, &c, 1) == 1;)
		;
	return 0;
}
