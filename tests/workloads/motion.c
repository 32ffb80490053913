// motion: a process whose memory moves, and that says all the time how much there is.
//
//   motion COUNTS grow PAGES_PER_SECOND | flip MIB | storm FORKS_PER_SECOND PAGES | migrate FILE FILE
//
// COUNTS is a file of one page that the test maps, too: for each of two zones `least` and `most`, between which the
// pages in question (migrate: the processes) are at any moment. What is about to come is added to `most` first and
// to `least` afterwards, what is about to go is taken from `least` first. Everything else of the process stays as it is.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static size_t page_bytes;

enum { CHILD_MARGIN = 64 }; // pages of its own that a forked child may copy: stack, data

struct counts {
	_Atomic int64_t least, most;
};

static struct counts *counts; // [2]
static _Atomic int64_t *ready;

static void nap(int64_t ns)
{
	struct timespec time = { ns / 1000000000, ns % 1000000000 };
	nanosleep(&time, NULL);
}

static char *map(size_t pages)
{
	char *memory = mmap(NULL, pages * page_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		_exit(2);
	return memory;
}

static void touch(char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		counts[0].most++;
		*(volatile char *)(memory + i * page_bytes) = 1;
		counts[0].least++;
	}
}

// A page table is there before the counting begins, and the code that is used has been used.
static void grow(int64_t per_second)
{
	size_t room = 1 << 20, used = 0;
	char *memory = map(room);
	for (*ready = 1;; nap(1000000)) {
		size_t more = per_second / 1000 ? per_second / 1000 : 1;
		if (used + more > room)
			pause();
		touch(memory + used * page_bytes, more);
		used += more;
	}
}

static void flip(size_t pages)
{
	for (*ready = 1;;) {
		char *memory = map(pages);
		touch(memory, pages);
		counts[0].least -= pages;
		munmap(memory, pages * page_bytes);
		counts[0].most -= pages;
	}
}

static void storm(int64_t per_second, size_t pages)
{
	signal(SIGCHLD, SIG_DFL);
	for (*ready = 1;;) {
		counts[0].most += pages + CHILD_MARGIN;
		pid_t pid = fork();
		if (!pid) {
			char *memory = map(pages);
			for (size_t i = 0; i < pages; i++)
				*(volatile char *)(memory + i * page_bytes) = 1;
			counts[0].least += pages;
			nap(2000000);
			counts[0].least -= pages;
			_exit(0);
		}
		nap(1000000000 / per_second);
		for (int status; waitpid(-1, &status, WNOHANG) > 0;)
			counts[0].most -= pages + CHILD_MARGIN;
	}
}

static void migrate(const char *first, const char *second)
{
	int files[2] = { open(first, O_WRONLY), open(second, O_WRONLY) };
	for (int to = 1;; to = !to) {
		counts[!to].least--;
		counts[to].most++;
		if (write(files[to], "0", 1) != 1)
			_exit(3);
		counts[!to].most--;
		counts[to].least++;
		*ready = 1;
		nap(1000000);
	}
}

int main(int argc, char **argv)
{
	int file = argc > 3 ? open(argv[1], O_RDWR) : -1;
	page_bytes = sysconf(_SC_PAGESIZE);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); // a page that is touched is a page that came, and not a huge one
	char *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (file < 0 || page == MAP_FAILED)
		return 2;
	counts = (struct counts *)page;
	ready = (_Atomic int64_t *)(page + 64);
	if (!strcmp(argv[2], "grow"))
		grow(atoll(argv[3]));
	if (!strcmp(argv[2], "flip"))
		flip(atoll(argv[3]) << 8);
	if (!strcmp(argv[2], "storm"))
		storm(atoll(argv[3]), atoll(argv[4]));
	if (!strcmp(argv[2], "migrate"))
		migrate(argv[3], argv[4]);
	return 2;
}
