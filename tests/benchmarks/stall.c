// stall GIB: write GIB of small pages, say "ready", then map and unmap a page without end. For each line on stdin,
// print in nanoseconds what the longest round since the last line took, and a bound of all but one in 1,000.
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static size_t page_bytes;

static unsigned long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static unsigned long long rounds(int milliseconds, unsigned long long *counts)
{
	unsigned long long longest = 0, end = now() + milliseconds * 1000000ULL;
	for (unsigned long long before = now(), after; before < end; before = after) {
		void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(page, page_bytes);
		after = now();
		unsigned long long took = after - before;
		longest = took > longest ? took : longest;
		counts[63 - __builtin_clzll(took | 1)]++;
	}
	return longest;
}

int main(int count, char **arguments)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	size_t bytes = (count > 1 ? atol(arguments[1]) : 6) << 30;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += page_bytes)
		memory[at] = 1;
	dprintf(1, "ready\n");
	unsigned long long counts[64] = { 0 }, longest = 0;
	for (;;) {
		unsigned long long took = rounds(1, counts);
		longest = took > longest ? took : longest;
		struct pollfd in = { .fd = 0, .events = POLLIN };
		char line[64];
		if (poll(&in, 1, 0) < 1)
			continue;
		if (read(0, line, sizeof(line)) < 1)
			return 0;
		unsigned long long all = 0, sum = 0;
		int power = 0;
		for (int i = 0; i < 64; i++)
			all += counts[i];
		while (power < 63 && (sum += counts[power]) * 1000 < all * 999)
			power++;
		dprintf(1, "%llu %llu\n", longest, 2ULL << power);
		memset(counts, 0, sizeof(counts));
		longest = 0;
	}
}
