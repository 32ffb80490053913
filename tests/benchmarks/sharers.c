// sharers PAGES N: N children that each touch the same PAGES shared pages and then sleep. Each prints its pid on a
// line, once that is done; ends, and they with it, at the end of its stdin.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static size_t page_bytes;

static void touch(volatile char *memory, size_t bytes)
{
	for (size_t at = 0; at < bytes; at += page_bytes)
		(void)memory[at];
}

int main(int count, char **arguments)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	if (count != 3)
		return 2;
	size_t bytes = atol(arguments[1]) * 4096UL;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	for (size_t at = 0; at < bytes; at += page_bytes)
		memory[at] = 1;
	pid_t parent = getpid();
	for (int i = 0; i < atoi(arguments[2]); i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			touch(memory, bytes);
			dprintf(1, "%d\n", getpid());
			for (;;)
				pause();
		}
	}
	// Whoever reads so many lines knows that all is touched.
	for (char c; read(0, &c, 1) == 1;)
		;
	return 0;
}
