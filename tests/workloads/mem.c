// mem: a process whose memory is known to the page.
//
// It reads one command a line from stdin and answers each with one line on stdout: "ok key=value ..." or
// "error ERRNO command". All quantities are base pages, all addresses hexadecimal. Nothing is allocated but what a
// command asks for: no malloc, no stdio, statically linked. At the start, and again after a fork, it touches every
// page of its own text, data and stack, so that what a command adds is what the command says and no page more.
//
//   anon N | sharedanon N | mlock N | protnone N    touched (written) pages of each sort
//   zero N | hugezero N                             read only, so that the zero pages are mapped
//   thp N | hugetlb N [BYTES] | reserve GIB         N huge pages, of this size; untouched MAP_NORESERVE
//   memfd N [huge] | twice N | shm N | shmat ID N   shared memory; memfd answers with fd=, shm with id=
//   shmemthp N                                      the same in huge pages, where memfd may have them
//   file PATH N shared|private read|write|none      N pages of a file that exists
//   pin N                                           N pages that io_uring registered, unmapped afterwards
//   same N SEED                                     mergeable pages, the same for the same SEED
//   vmas N                                          N mappings of one written page that cannot merge
//   tables N [keep]                                 N page tables; the one page that each has was given back, or kept
//   read|write|unmap ADDR N                         touch or give back N pages from ADDR
//   advise ADDR N pageout|dontneed|guard|cold|poison|nohugepage  madvise(2)
//   fork | vfork | vmclone                          another process; of vfork the child answers until "return"
//   to PID COMMAND                                  let the child PID do it
//   threads N                                       N idle threads
//   deadleader [N]                                  the main thread ends, another one lives on, besides N idle ones
//   name HEX                                        the process's name, any bytes
//   storm exit|fork|exec|map|samepid|churn|churnshm|protect
//                                                   a child that does so without end, until it is killed
//   chdir PATH | exit | ping
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif
#ifndef MADV_PAGEOUT
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#define MADV_GUARD 102	// Linux 6.13
#define MADV_POISON 100 // MADV_HWPOISON, which libc only has for privileged headers

enum { LINE = 4096, WORDS = 8, CHILDREN = 64, BASE_ROWS = 64, STACK = 64 << 10 }; // STACK: pages of any size

typedef uint64_t u64;

static u64 page_bytes, huge_bytes; // of a base page, and of what one entry of the level above maps

// ---- its own pages, which are to stay as they are ---------------------------------------------------

static struct {
	u64 start, end;
	int write;
} base[BASE_ROWS];
static int base_rows;
static char text[1 << 16];

static void touch(u64 start, u64 pages, int write)
{
	for (u64 i = 0; i < pages; i++) {
		volatile u64 *word = (volatile u64 *)(start + i * page_bytes);
		if (write)
			*word = (start + i * page_bytes) ^ ((u64)getpid() << 48); // no two pages alike
		else
			(void)*word;
	}
}

// Remember the rows of /proc/self/maps before any command made new ones. [vvar] is no memory, [vsyscall] no vma.
static void list_base(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	for (ssize_t got; (got = read(fd, text + length, sizeof(text) - 1 - length)) > 0;)
		length += got;
	close(fd);
	for (char *row = text, *next; (next = strchr(row, '\n')) && base_rows < BASE_ROWS; row = next + 1) {
		*next = 0;
		if (strstr(row, "[vvar") || strstr(row, "[vsyscall]"))
			continue;
		char *rest;
		base[base_rows].start = strtoull(row, &rest, 16);
		base[base_rows].end = strtoull(rest + 1, &rest, 16);
		base[base_rows].write = rest[2] == 'w';
		if (rest[1] == 'r')
			base_rows++;
	}
}

// Touched and locked: neither a fault around some address nor reclaim shall change how much there is.
static void touch_base(void)
{
	for (int i = 0; i < base_rows; i++) {
		for (u64 address = base[i].start; address < base[i].end; address += page_bytes) {
			volatile char *byte = (volatile char *)address;
			if (base[i].write)
				*byte = *byte;
			else
				(void)*byte;
		}
		mlock((void *)base[i].start, base[i].end - base[i].start);
	}
}

// ---- speaking ---------------------------------------------------------------------------------------

static char reply[LINE];
static char input[LINE];

static void say(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(reply, sizeof(reply) - 1, format, arguments);
	va_end(arguments);
	reply[length++] = '\n';
	if (write(1, reply, length) != length)
		_exit(3);
}

// The next line from fd, without its newline; 0 at the end. Reads byte by byte, so that a process that takes over
// (vfork, another thread) finds nothing swallowed.
static int read_line(int fd, char *line, size_t room)
{
	size_t length = 0;
	for (char c; read(fd, &c, 1) == 1;) {
		if (c == '\n') {
			line[length] = 0;
			return 1;
		}
		if (length < room - 1)
			line[length++] = c;
	}
	return 0;
}

// ---- memory -----------------------------------------------------------------------------------------

static void *map(u64 bytes, int flags, int fd)
{
	return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
}

// Map, keep the kernel from making huge pages of it, touch, answer.
static void map_touch(u64 pages, int flags, int fd, int write)
{
	void *address = map(pages * page_bytes, flags, fd);
	if (address == MAP_FAILED) {
		say("error %d map", errno);
		return;
	}
	madvise(address, pages * page_bytes, MADV_NOHUGEPAGE);
	touch((u64)address, pages, write);
	say("ok addr=%lx pages=%lu fd=%d", (u64)address, pages, fd);
}

// Pages that only the kernel holds: registered as a buffer of a ring that stays open, then unmapped.
static void map_pinned(u64 pages)
{
	struct io_uring_params params = { 0 };
	struct iovec buffer = { map(pages * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), pages * page_bytes };
	madvise(buffer.iov_base, buffer.iov_len, MADV_NOHUGEPAGE);
	touch((u64)buffer.iov_base, pages, 1);
	int ring = syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1)) {
		say("error %d io_uring", errno);
		return;
	}
	munmap(buffer.iov_base, buffer.iov_len);
	say("ok addr=%lx pages=%lu fd=%d", (u64)buffer.iov_base, pages, ring);
}

static int make_memfd(u64 bytes, int flags)
{
	int fd = memfd_create("mem", flags);
	if (fd >= 0 && ftruncate(fd, bytes))
		return -1;
	return fd;
}

// Aligned, so that the kernel can use a huge page from the first byte on. fd: -1, anonymous.
static void map_huge(u64 count, int fd, int write)
{
	u64 bytes = count * huge_bytes;
	void *room = map(bytes + huge_bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (room == MAP_FAILED) {
		say("error %d map", errno);
		return;
	}
	u64 start = ((u64)room + huge_bytes - 1) & ~(u64)(huge_bytes - 1);
	if (start > (u64)room)
		munmap(room, start - (u64)room);
	if ((u64)room + huge_bytes > start)
		munmap((void *)(start + bytes), (u64)room + huge_bytes - start);
	if (fd >= 0)
		mmap((void *)start, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (madvise((void *)start, bytes, MADV_HUGEPAGE)) {
		say("error %d MADV_HUGEPAGE", errno);
		return;
	}
	touch(start, bytes / page_bytes, write);
	say("ok addr=%lx pages=%lu fd=%d", start, bytes / page_bytes, fd);
}

// The kernel is told the size as a power of 2: its own default may be another one.
static int huge_flags(u64 bytes)
{
	return __builtin_ctzll(bytes) << MAP_HUGE_SHIFT;
}

static void map_hugetlb(u64 count, u64 bytes, int flags, int fd)
{
	char *address = map(count * bytes, flags, fd);
	if (address == MAP_FAILED) {
		say("error %d hugetlb", errno);
		return;
	}
	for (u64 i = 0; i < count; i++)
		*(volatile u64 *)(address + i * bytes) = i;
	say("ok addr=%lx pages=%lu fd=%d", (u64)address, count * (bytes / page_bytes), fd);
}

static void map_file(const char *path, u64 pages, const char *sharing, const char *how)
{
	int shared = !strcmp(sharing, "shared");
	int fd = open(path, !shared || strcmp(how, "write") ? O_RDONLY : O_RDWR);
	void *address = MAP_FAILED;
	if (fd >= 0)
		address = mmap(NULL, pages * page_bytes,
			       shared && strcmp(how, "write") ? PROT_READ : PROT_READ | PROT_WRITE,
			       shared ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (address == MAP_FAILED) {
		say("error %d file", errno);
		return;
	}
	close(fd);
	madvise(address, pages * page_bytes, MADV_NOHUGEPAGE);
	if (strcmp(how, "none"))
		touch((u64)address, pages, !strcmp(how, "write"));
	say("ok addr=%lx pages=%lu", (u64)address, pages);
}

static void map_same(u64 pages, u64 seed)
{
	u64 *address = map(pages * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (address == MAP_FAILED) {
		say("error %d same", errno);
		return;
	}
	madvise(address, pages * page_bytes, MADV_NOHUGEPAGE);
	for (u64 i = 0; i < pages; i++)
		for (u64 j = 0; j < page_bytes / sizeof(u64); j++)
			address[i * (page_bytes / sizeof(u64)) + j] = seed + i;
	if (madvise(address, pages * page_bytes, MADV_MERGEABLE)) {
		say("error %d MADV_MERGEABLE", errno);
		return;
	}
	say("ok addr=%lx pages=%lu", (u64)address, pages);
}

// Neighbours differ in protection, so that the kernel cannot merge them.
static void map_vmas(u64 count)
{
	char *address = map(count * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (address == MAP_FAILED) {
		say("error %d vmas", errno);
		return;
	}
	madvise(address, count * page_bytes, MADV_NOHUGEPAGE);
	touch((u64)address, count, 1);
	for (u64 i = 1; i < count; i += 2)
		if (mprotect(address + i * page_bytes, page_bytes, PROT_READ)) {
			say("error %d mprotect", errno);
			return;
		}
	say("ok addr=%lx pages=%lu", (u64)address, count);
}

// The kernel keeps a page table whose pages were given back until its mapping goes.
static void map_tables(u64 count, int keep)
{
	char *address = map(count * huge_bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (address == MAP_FAILED) {
		say("error %d tables", errno);
		return;
	}
	madvise(address, count * huge_bytes, MADV_NOHUGEPAGE);
	for (u64 i = 0; i < count; i++) {
		touch((u64)address + i * huge_bytes, 1, 1);
		if (!keep)
			madvise(address + i * huge_bytes, page_bytes, MADV_DONTNEED);
	}
	say("ok addr=%lx pages=%lu", (u64)address, count * (huge_bytes / page_bytes));
}

static int advice_of(const char *word)
{
	return !strcmp(word, "pageout")	   ? MADV_PAGEOUT :
	       !strcmp(word, "dontneed")   ? MADV_DONTNEED :
	       !strcmp(word, "guard")	   ? MADV_GUARD :
	       !strcmp(word, "cold")	   ? MADV_COLD :
	       !strcmp(word, "nohugepage") ? MADV_NOHUGEPAGE :
					     -1;
}

static void pass_over(int signal)
{
	(void)signal;
}

// Since Linux 6.11 whoever poisons a page gets SIGBUS. The handler serves once: touching such a page still ends the process.
static int poison(void *at, u64 bytes)
{
	struct sigaction action = { .sa_handler = pass_over, .sa_flags = SA_RESETHAND };
	sigaction(SIGBUS, &action, NULL);
	return madvise(at, bytes, MADV_POISON);
}

// ---- processes --------------------------------------------------------------------------------------

static struct {
	pid_t pid;
	int fd;
} children[CHILDREN];
static int child_count;
static char stack[STACK] __attribute__((aligned(STACK)));

static void loop(void);

// Never outlive who started it. The signal comes when that thread ends, which may have been before the prctl.
static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(3);
}

static void make_child(void)
{
	int pair[2];
	pid_t parent = getpid();
	if (child_count == CHILDREN || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) {
		say("error %d fork", errno);
		return;
	}
	pid_t pid = fork();
	if (!pid) {
		die_with(parent);
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		close(pair[0]);
		close(pair[1]);
		child_count = 0;
		touch_base();
		say("ready pid=%d", getpid());
		loop();
		_exit(0);
	}
	close(pair[1]);
	children[child_count].pid = pid;
	children[child_count++].fd = pair[0];
	read_line(pair[0], input, sizeof(input));
	say("ok pid=%d", pid);
}

static void tell_child(pid_t pid, const char *line)
{
	for (int i = 0; i < child_count; i++) {
		if (children[i].pid != pid)
			continue;
		size_t length = strlen(line);
		if (write(children[i].fd, line, length) == (ssize_t)length && write(children[i].fd, "\n", 1) == 1 &&
		    read_line(children[i].fd, input, sizeof(input)))
			say("%s", input);
		else
			say("error %d to", EPIPE);
		return;
	}
	say("error %d to", ESRCH);
}

static int wait_for_ever(void *unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
	return 0;
}

static void make_vmclone(void)
{
	pid_t pid = clone(wait_for_ever, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	say(pid < 0 ? "error %d vmclone" : "ok pid=%d", pid < 0 ? errno : pid);
}

// The parent sleeps in the kernel until the child leaves the loop, so the child answers in its place.
static void make_vfork(void)
{
	pid_t pid = vfork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		say("ok pid=%d", (int)syscall(SYS_getpid));
		loop();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	say("ok");
}

static void *live_on(void *unused)
{
	// A thread that ends is in /proc until it is reaped; the leader stays as long as any thread.
	say("ok tid=%d", (int)syscall(SYS_gettid));
	loop();
	_exit(0);
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static int start_idle(u64 count)
{
	pthread_t thread;
	pthread_attr_t small;
	int error = 0;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	while (!error && count--)
		error = pthread_create(&thread, &small, idle, NULL);
	return error;
}

static void make_threads(u64 count)
{
	int error = start_idle(count);
	say(error ? "error %d threads" : "ok", error);
}

static void end_leader(u64 others)
{
	pthread_t thread;
	int error = start_idle(others);
	if (!error)
		error = pthread_create(&thread, NULL, live_on, NULL);
	if (error) {
		say("error %d deadleader", error);
		return;
	}
	syscall(SYS_exit, 0);
}

// ---- storms: what may happen while somebody looks ----------------------------------------------------

static void storm_map(void)
{
	for (;;) {
		void *address = map(31 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		touch((u64)address, 31, 1);
		munmap(address, 31 * page_bytes);
	}
}

// 5003 pages in one mapping, of which the first one is given back and taken anew all the time.
static void storm_churn(int shared)
{
	char *address = map(5003 * page_bytes, (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1);
	madvise(address, 5003 * page_bytes, MADV_NOHUGEPAGE);
	touch((u64)address, 5003, 1);
	for (;;) {
		madvise(address, page_bytes, shared ? MADV_REMOVE : MADV_DONTNEED);
		touch((u64)address, 1, 1);
	}
}

// The mmap lock is taken for writing as often as it can be: mappings change their protection and their place.
static void storm_protect(void)
{
	char *address = map(5003 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *moved = map(2 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise(address, 5003 * page_bytes, MADV_NOHUGEPAGE);
	touch((u64)address, 5003, 1);
	touch((u64)moved, 2, 1);
	for (char *other = map(2 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);;) {
		for (u64 i = 1; i < 5003; i += 7)
			mprotect(address + i * page_bytes, page_bytes, PROT_READ);
		mprotect(address, 5003 * page_bytes, PROT_READ | PROT_WRITE);
		mremap(moved, 2 * page_bytes, 2 * page_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, other);
		char *free = map(2 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		moved = other;
		other = free;
	}
}

// Children that live for a moment, each with 31 pages of its own; forking ones have children in turn.
static void storm_fork(int deep)
{
	for (;;) {
		pid_t parent = getpid(), pid = fork();
		if (!pid) {
			die_with(parent);
			touch((u64)map(31 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), 31, 1);
			if (deep) {
				pid_t child = fork();
				if (!child)
					_exit(0);
				waitpid(child, NULL, 0);
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void storm_exec(void)
{
	char *arguments[] = { "mem", "storm-exec", NULL }, *environment[] = { NULL };
	touch((u64)map(31 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), 31, 1);
	execve("/proc/self/exe", arguments, environment);
	_exit(3);
}

// One pid after another process of the same pid: clone3 may choose it.
static void storm_samepid(void)
{
	pid_t wanted = 0, parent = getpid();
	for (;;) {
		struct clone_args arguments = { .exit_signal = SIGCHLD };
		if (wanted) {
			arguments.set_tid = (u64)&wanted;
			arguments.set_tid_size = 1;
		}
		pid_t pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
		if (!pid) {
			die_with(parent);
			touch((u64)map(31 * page_bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), 31, 1);
			_exit(0);
		}
		if (pid > 0) {
			wanted = pid;
			waitpid(pid, NULL, 0);
		} else if (errno == EEXIST) {
			wanted = 0; // somebody else was given it
		} else {
			_exit(3);
		}
	}
}

static void make_storm(const char *sort)
{
	pid_t parent = getpid(), pid = fork();
	if (pid) {
		say(pid < 0 ? "error %d storm" : "ok pid=%d", pid < 0 ? errno : pid);
		return;
	}
	die_with(parent);
	close(0);
	close(1);
	if (!strcmp(sort, "map"))
		storm_map();
	if (!strncmp(sort, "churn", 5))
		storm_churn(!strcmp(sort, "churnshm"));
	if (!strcmp(sort, "protect"))
		storm_protect();
	if (!strcmp(sort, "exec"))
		storm_exec();
	if (!strcmp(sort, "samepid"))
		storm_samepid();
	storm_fork(!strcmp(sort, "fork"));
}

// ---- commands ---------------------------------------------------------------------------------------

static void set_name(const char *hex)
{
	char name[16] = "";
	for (int i = 0; i < 15 && hex[2 * i] && hex[2 * i + 1]; i++) {
		char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };
		name[i] = strtoul(digits, NULL, 16);
	}
	prctl(PR_SET_NAME, name);
	say("ok");
}

static int is(const char *word, const char *name)
{
	return !strcmp(word, name);
}

static void answer(int result, const char *what)
{
	if (result)
		say("error %d %s", errno, what);
	else
		say("ok");
}

// Commands whose one argument is a number of pages.
static int do_map(const char *verb, u64 n, char **word)
{
	int private = MAP_PRIVATE | MAP_ANONYMOUS;
	if (is(verb, "anon")) {
		map_touch(n, private, -1, 1);
	} else if (is(verb, "zero")) {
		map_touch(n, private, -1, 0);
	} else if (is(verb, "mlock")) {
		void *address = map(n * page_bytes, private, -1);
		madvise(address, n * page_bytes, MADV_NOHUGEPAGE);
		if (mlock(address, n * page_bytes))
			say("error %d mlock", errno);
		else
			say("ok addr=%lx pages=%lu", (u64)address, n);
	} else if (is(verb, "protnone")) {
		void *address = map(n * page_bytes, private, -1);
		madvise(address, n * page_bytes, MADV_NOHUGEPAGE);
		touch((u64)address, n, 1);
		mprotect(address, n * page_bytes, PROT_NONE);
		say("ok addr=%lx pages=%lu", (u64)address, n);
	} else if (is(verb, "sharedanon")) {
		map_touch(n, MAP_SHARED | MAP_ANONYMOUS, -1, 1);
	} else if (is(verb, "thp")) {
		map_huge(n, -1, 1);
	} else if (is(verb, "shmemthp")) {
		map_huge(n, make_memfd(n * huge_bytes, 0), 1);
	} else if (is(verb, "hugezero")) {
		map_huge(n, -1, 0);
	} else if (is(verb, "hugetlb")) {
		u64 bytes = *word[2] ? strtoull(word[2], NULL, 10) : huge_bytes;
		map_hugetlb(n, bytes, private | MAP_HUGETLB | huge_flags(bytes), -1);
	} else if (is(verb, "memfd") && is(word[2], "huge")) {
		map_hugetlb(n, huge_bytes, MAP_SHARED,
			    make_memfd(n * huge_bytes, MFD_HUGETLB | huge_flags(huge_bytes)));
	} else if (is(verb, "memfd")) {
		map_touch(n, MAP_SHARED, make_memfd(n * page_bytes, 0), 1);
	} else if (is(verb, "twice")) {
		int fd = make_memfd(n * page_bytes, 0);
		void *first = map(n * page_bytes, MAP_SHARED, fd);
		touch((u64)first, n, 1);
		map_touch(n, MAP_SHARED, fd, 0);
	} else if (is(verb, "shm")) {
		int id = shmget(IPC_PRIVATE, n * page_bytes, IPC_CREAT | 0600);
		void *address = shmat(id, NULL, 0);
		shmctl(id, IPC_RMID, NULL); // goes with the last process that has it attached
		touch((u64)address, n, 1);
		say("ok addr=%lx pages=%lu id=%d", (u64)address, n, id);
	} else if (is(verb, "reserve")) {
		void *address = map(n << 30, private | MAP_NORESERVE, -1);
		if (address == MAP_FAILED)
			say("error %d reserve", errno);
		else
			say("ok addr=%lx pages=%lu", (u64)address, (n << 30) / page_bytes);
	} else if (is(verb, "pin")) {
		map_pinned(n);
	} else if (is(verb, "vmas")) {
		map_vmas(n);
	} else if (is(verb, "tables")) {
		map_tables(n, is(word[2], "keep"));
	} else {
		return 0;
	}
	return 1;
}

static int do_range(const char *verb, u64 address, u64 pages, const char *how)
{
	void *at = (void *)address;
	if (is(verb, "read") || is(verb, "write")) {
		touch(address, pages, is(verb, "write"));
		say("ok");
	} else if (is(verb, "unmap")) {
		answer(munmap(at, pages * page_bytes), verb);
	} else if (is(verb, "advise") && is(how, "poison")) {
		answer(poison(at, pages * page_bytes), verb);
	} else if (is(verb, "advise")) {
		answer(madvise(at, pages * page_bytes, advice_of(how)), verb);
	} else {
		return 0;
	}
	return 1;
}

static void obey(char *line)
{
	char *word[WORDS] = { "", "", "", "", "", "", "", "" };
	static char copy[LINE];
	memcpy(copy, line, strlen(line) + 1);
	int count = 0;
	for (char *rest = copy, *part; count < WORDS && (part = strsep(&rest, " "));)
		word[count++] = part;
	const char *verb = word[0];
	u64 n = strtoull(word[1], NULL, 10);

	if (is(verb, "ping"))
		say("ok");
	else if (is(verb, "fork"))
		make_child();
	else if (is(verb, "to"))
		tell_child(n, strchr(strchr(line, ' ') + 1, ' ') + 1);
	else if (is(verb, "vfork"))
		make_vfork();
	else if (is(verb, "vmclone"))
		make_vmclone();
	else if (is(verb, "threads"))
		make_threads(n);
	else if (is(verb, "deadleader"))
		end_leader(n);
	else if (is(verb, "storm"))
		make_storm(word[1]);
	else if (is(verb, "name"))
		set_name(word[1]);
	else if (is(verb, "chdir"))
		answer(chdir(word[1]), verb);
	else if (is(verb, "file"))
		map_file(word[1], strtoull(word[2], NULL, 10), word[3], word[4]);
	else if (is(verb, "same"))
		map_same(n, strtoull(word[2], NULL, 10));
	else if (is(verb, "shmat")) {
		u64 pages = strtoull(word[2], NULL, 10);
		void *address = shmat(n, NULL, 0);
		if (address == (void *)-1) {
			say("error %d shmat", errno);
			return;
		}
		touch((u64)address, pages, 0);
		say("ok addr=%lx pages=%lu", (u64)address, pages);
	} else if (!do_map(verb, n, word) &&
		   !do_range(verb, strtoull(word[1], NULL, 16), strtoull(word[2], NULL, 10), word[3]))
		say("error %d %s", EINVAL, verb);
}

static void loop(void)
{
	char line[LINE];
	while (read_line(0, line, sizeof(line))) {
		if (is(line, "return"))
			return;
		if (is(line, "exit")) {
			say("ok");
			_exit(0);
		}
		obey(line);
	}
}

// As large as the kernel says; where it has no huge pages, as large as a table of 8-byte entries maps.
static void ask_sizes(void)
{
	char digits[32] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", O_RDONLY | O_CLOEXEC);
	page_bytes = sysconf(_SC_PAGESIZE);
	huge_bytes = page_bytes * (page_bytes / sizeof(u64));
	if (fd >= 0 && read(fd, digits, sizeof(digits) - 1) > 0)
		huge_bytes = strtoull(digits, NULL, 10);
	close(fd);
}

int main(int count, char **arguments)
{
	ask_sizes();
	if (count > 1 && is(arguments[1], "storm-exec"))
		storm_exec();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	list_base();
	touch_base();
	say("ready pid=%d", getpid());
	loop();
	return 0;
}
