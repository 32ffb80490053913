// churning: fork, exec, map, write and unmap without end. For each line on stdin, print how many rounds were done since
// the last line, and how many nanoseconds they took.
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static size_t page_bytes;

enum { PAGES = 1024, CHILD_PAGES = 64 };

static unsigned long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void use(size_t pages)
{
	char *memory = mmap(NULL, pages * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		_exit(1);
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)(memory + i * page_bytes) = 1;
	munmap(memory, pages * page_bytes);
}

int main(int count, char **arguments)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	if (count > 1)
		return 0;
	dprintf(1, "ready\n");
	unsigned long long rounds = 0, began = now();
	for (;; rounds++) {
		use(PAGES);
		pid_t child = fork();
		if (!child) {
			use(CHILD_PAGES);
			execl("/proc/self/exe", arguments[0], "child", NULL);
			_exit(1);
		}
		waitpid(child, NULL, 0);
		struct pollfd in = { .fd = 0, .events = POLLIN };
		char line[64];
		if (poll(&in, 1, 0) < 1)
			continue;
		if (read(0, line, sizeof(line)) < 1)
			return 0;
		dprintf(1, "%llu %llu\n", rounds, now() - began);
		rounds = 0;
		began = now();
	}
}
