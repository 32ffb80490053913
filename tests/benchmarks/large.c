// large N OWN SHARED: N children, whose pids it prints, one a line. At the first line of its stdin they map their memory, one after
// the other: OWN pages of its own, which it writes, and SHARED pages that all of them share. Another line is printed when all have.
// It ends, and they with it, at the end of its stdin. Where the kernel needs memory, they are the first to be killed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static size_t page_bytes;

extern char __executable_start, edata; // by the linker

static char *map(size_t pages, int flags)
{
	char *memory = mmap(NULL, pages * page_bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, pages * page_bytes, MADV_NOHUGEPAGE))
		exit(1);
	return memory;
}

static void write_pages(volatile char *memory, size_t pages)
{
	for (size_t page = 0; page < pages; page++)
		memory[page * page_bytes] = 1;
}

static void read_pages(const volatile char *memory, size_t pages)
{
	for (size_t page = 0; page < pages; page++)
		(void)memory[page * page_bytes];
}

static void child(pid_t parent, int turn, int done, size_t own, const char *shared, size_t pages)
{
	char byte;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	// What is read later of the program is mapped before.
	read_pages(&__executable_start, (&edata - &__executable_start) / page_bytes);
	char *memory = map(own, MAP_PRIVATE);
	if (read(turn, &byte, 1) != 1)
		_exit(1);
	read_pages(shared, pages);
	write_pages(memory, own);
	if (write(done, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int count, char **arguments)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	if (count != 4)
		return 2;
	int children = atoi(arguments[1]), turn[2], done[2];
	size_t own = atol(arguments[2]), pages = atol(arguments[3]);
	char byte, *shared = map(pages, MAP_SHARED);
	pid_t parent = getpid();
	int score = open("/proc/self/oom_score_adj", O_WRONLY);
	if (pipe(turn) || pipe(done) || score < 0 || write(score, "1000", 4) != 4)
		return 1;
	write_pages(shared, pages);
	for (int i = 0; i < children; i++) {
		pid_t pid = fork();
		if (pid < 0)
			return 1;
		if (!pid)
			child(parent, turn[0], done[1], own, shared, pages);
		dprintf(1, "%d\n", pid);
	}
	if (read(0, &byte, 1) != 1)
		return 0;
	for (int i = 0; i < children; i++)
		if (write(turn[1], "", 1) != 1 || read(done[0], &byte, 1) != 1)
			return 1;
	dprintf(1, "\n");
	while (read(0, &byte, 1) == 1)
		;
	return 0;
}
