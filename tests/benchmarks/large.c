// large N OWN SHARED: N children, whose pids it prints, one a line. At the first line of its stdin each of them writes OWN pages
// of its own and SHARED pages that all of them share; another line is printed when all have. It ends, and they with it, at the
// end of its stdin. Where the kernel needs memory, they are the first to be killed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char __executable_start, edata; // by the linker

static char *map(size_t pages, int flags)
{
	char *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, pages * 4096, MADV_NOHUGEPAGE))
		exit(1);
	return memory;
}

static void touch(volatile char *memory, size_t pages)
{
	for (size_t page = 0; page < pages; page++)
		memory[page * 4096] = 1;
}

static void child(pid_t parent, int begin, int done, size_t own, char *shared, size_t pages)
{
	char byte;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	// What is read later of the program is mapped before.
	for (volatile char *at = &__executable_start; at < &edata; at += 4096)
		(void)*at;
	char *memory = map(own, MAP_PRIVATE);
	if (read(begin, &byte, 1)) // its other end is closed
		_exit(1);
	touch(shared, pages);
	touch(memory, own);
	if (write(done, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int count, char **arguments)
{
	if (count != 4)
		return 2;
	int children = atoi(arguments[1]), begin[2], done[2];
	size_t own = atol(arguments[2]), pages = atol(arguments[3]);
	char byte, *shared = map(pages, MAP_SHARED);
	pid_t parent = getpid();
	int score = open("/proc/self/oom_score_adj", O_WRONLY);
	if (pipe(begin) || pipe(done) || score < 0 || write(score, "1000", 4) != 4)
		return 1;
	for (int i = 0; i < children; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (!pid) {
			close(begin[1]);
			child(parent, begin[0], done[1], own, shared, pages);
		}
		dprintf(1, "%d\n", pid);
	}
	if (read(0, &byte, 1) != 1)
		return 0;
	close(begin[1]);
	for (int i = 0; i < children; i++)
		if (read(done[0], &byte, 1) != 1)
			return 1;
	dprintf(1, "\n");
	while (read(0, &byte, 1) == 1)
		;
	return 0;
}
