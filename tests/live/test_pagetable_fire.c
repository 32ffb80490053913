// test_pagetable_fire PROCESSES [hugetlb | BLOCK_BYTES]: so many children that change their address spaces as fast as they can, each in every way
// that the kernel has to change page tables: map, unmap, move, protect, throw away, collapse, split, merge, fork, exec,
// exit. With hugetlb they all map one GiB of a file of huge pages instead, share its table, and take it from one another. With a number
// each has four page tables' worth of a file in huge pages mapped by small ones, and throws away and reads again the last page of
// each block of so many bytes, which arm64 marks as contiguous and for that rewrites as a whole. Ends, and they with it, at the
// end of its stdin.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1UL << 20)
#define GIB (1UL << 30)
#define HUGE_PAGES 4 // that all of them use
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static unsigned seed;
static size_t page, table, area_bytes; // of a page, of what a page table maps, of eight such

static unsigned below(unsigned limit)
{
	return rand_r(&seed) % limit;
}

static void write_some(char *area, size_t bytes)
{
	size_t first = below(bytes / page), pages = 1 + below(700);
	for (size_t i = first; i < first + pages && i < bytes / page; i++)
		area[i * page] = i;
}

static void fork_or_exec(char *program, int deep)
{
	pid_t pid = fork();
	if (!pid) {
		if (deep)
			execl(program, program, "exec", NULL);
		write_some(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), MIB);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static char *huge_area(void)
{
	char *wide = mmap(NULL, area_bytes + table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return wide == MAP_FAILED ? NULL : (char *)(((unsigned long)wide + table - 1) & ~(table - 1));
}

// One change of the area at random; returns where it is now.
static char *change(char *area, char *program)
{
	char *at = area + below(area_bytes / page) / (table / page) * table, *moved;
	size_t some = (1 + below(600)) * page;
	switch (below(14)) {
	case 0:
		return mremap(area, area_bytes, area_bytes, MREMAP_MAYMOVE) == area ? area : NULL;
	case 1:
		moved = mmap(NULL, 2 * table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		write_some(moved, 2 * table);
		moved = mremap(moved, 2 * table, 4 * table, MREMAP_MAYMOVE);
		munmap(moved, 4 * table);
		break;
	case 2:
		madvise(at, some, MADV_DONTNEED);
		break;
	case 3:
		madvise(area, area_bytes, MADV_DONTNEED);
		break;
	case 4:
		madvise(area, area_bytes, MADV_HUGEPAGE);
		break;
	case 5:
		madvise(at, table, MADV_COLLAPSE);
		break;
	case 6: // splits a huge page, and the VMA
		mprotect(at + page, page, PROT_READ);
		mprotect(at + page, page, PROT_READ | PROT_WRITE);
		break;
	case 7: // a hole, and filled again
		munmap(at, some);
		mmap(at, some, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 8:
		madvise(area, area_bytes, MADV_MERGEABLE);
		memset(at, 7, some);
		break;
	case 9:
		fork_or_exec(program, 0);
		break;
	case 10:
		fork_or_exec(program, 1);
		break;
	case 11: // moves a table as a whole
		moved = mmap(NULL, 3 * table, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		mremap(at, table, table, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (char *)(((unsigned long)moved + table) & ~(table - 1)));
		munmap(moved, 3 * table);
		mmap(at, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	default:
		write_some(area, area_bytes);
	}
	return area;
}

static void burn(char *program, unsigned number)
{
	seed = number * 2654435761u + 1;
	for (;;) {
		char *area = huge_area();
		for (int i = 0; area && i < 400; i++)
			area = change(area, program);
		if (area)
			munmap(area, area_bytes);
	}
}

// A table of hugetlb entries is shared where a GiB is mapped whole, and taken away by whoever makes a hole in the file
// (huge_pmd_unshare(), mm/hugetlb.c).
static void burn_hugetlb(int fd, unsigned number)
{
	seed = number * 2654435761u + 1;
	char *wide = mmap(NULL, 2 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *area = (char *)(((unsigned long)wide + GIB - 1) & ~(GIB - 1));
	while (wide != MAP_FAILED) {
		if (mmap(area, GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0) ==
		    MAP_FAILED)
			_exit(1);
		for (int i = 0; i < 50; i++) {
			unsigned at = below(HUGE_PAGES);
			area[at * table] = 1;
			if (!below(3))
				fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at * table, table);
		}
	}
	_exit(1);
}

// At any moment at most one page is not there. Moved by a block, what could be mapped by huge pages cannot.
static void burn_blocks(size_t block)
{
	size_t bytes = 4 * table;
	int fd = memfd_create("fire", 0);
	char *wide = huge_area(), *last;
	if (fd < 0 || !wide || ftruncate(fd, bytes))
		_exit(1);
	char *whole = mmap(wide, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	madvise(whole, bytes, MADV_HUGEPAGE);
	memset(whole, 1, bytes);
	munmap(whole, bytes);
	char *area = mmap(wide + block, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	if (area == MAP_FAILED)
		_exit(1);
	for (size_t at = 0; at < bytes; at += page)
		(void)*(volatile char *)(area + at);
	for (size_t at = 0;; at = (at + block) % bytes) {
		last = area + at + block - page;
		madvise(last, page, MADV_DONTNEED);
		(void)*(volatile char *)last;
	}
}

int main(int count, char **arguments)
{
	if (count == 2 && !strcmp(arguments[1], "exec"))
		return 0;
	page = sysconf(_SC_PAGESIZE);
	table = page * (page / sizeof(long));
	area_bytes = 8 * table;
	pid_t parent = getpid();
	size_t block = count > 2 ? strtoul(arguments[2], NULL, 10) : 0;
	int fd = count > 2 && !block ? memfd_create("fire", MFD_HUGETLB) : -1;
	if (count > 2 && !block && (fd < 0 || ftruncate(fd, GIB)))
		return 1;
	for (int i = 0; i < (count > 1 ? atoi(arguments[1]) : 1); i++) {
		if (fork())
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent && fd >= 0)
			burn_hugetlb(fd, i);
		if (getppid() == parent && block)
			burn_blocks(block);
		if (getppid() == parent)
			burn(arguments[0], i);
		_exit(1);
	}
	for (char c; read(0, &c, 1) == 1;)
		;
	return 0;
}
