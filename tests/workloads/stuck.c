// A process whose mmap lock is held for as long as it lives, the way any user can do it.
//
//   stuck DIRECTORY [lock|stat]
//
// A file system of our own (FUSE, mounted on DIRECTORY in a mount namespace of our own) has one file, whose server answers
// everything but FUSE_WRITE. A child maps the file shared, dirties it, and maps something else over it: the kernel writes the
// dirty page back under the mmap lock (fs/fuse/file.c, fuse_vma_close()) and waits for an answer that never comes. With stat, the
// child maps the file and the server answers nothing any more: whoever stats or opens the file waits.
//
// Prints the child's pid once it is stuck. Ends, and lets it go, when standard input is closed.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NODE 2
#define BLOCK 4096    // of its file system, and how large its one file is
#define ANON_PAGES 97 // besides, to be counted or not

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void attributes(struct fuse_attr *attr, uint64_t node)
{
	*attr = (struct fuse_attr){ .ino = node, .nlink = 1, .blksize = BLOCK };
	attr->mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
	attr->size = node == FUSE_ROOT_ID ? 0 : BLOCK;
}

static void answer(int fuse, uint64_t unique, int error, const void *body, size_t bytes)
{
	char out[sizeof(struct fuse_out_header) + BLOCK];
	struct fuse_out_header header = { .len = sizeof(header) + bytes, .error = error, .unique = unique };
	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), body, bytes);
	if (write(fuse, out, header.len) < 0 && errno != ENOENT)
		die("answer");
}

static void serve_one(int fuse, const char *request)
{
	const struct fuse_in_header *in = (const struct fuse_in_header *)request;
	static char zeros[BLOCK];
	switch (in->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *asked = (const void *)(in + 1);
		struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					      .minor = FUSE_KERNEL_MINOR_VERSION,
					      .max_readahead = asked->max_readahead,
					      .max_write = BLOCK };
		answer(fuse, in->unique, 0, &init, sizeof(init));
		return;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out entry = { .nodeid = FILE_NODE };
		attributes(&entry.attr, FILE_NODE);
		answer(fuse, in->unique, 0, &entry, sizeof(entry));
		return;
	}
	case FUSE_GETATTR:
	case FUSE_SETATTR: {
		struct fuse_attr_out attr = { 0 };
		attributes(&attr.attr, in->nodeid);
		answer(fuse, in->unique, 0, &attr, sizeof(attr));
		return;
	}
	case FUSE_OPEN: {
		struct fuse_open_out open = { 0 };
		answer(fuse, in->unique, 0, &open, sizeof(open));
		return;
	}
	case FUSE_READ:
		answer(fuse, in->unique, 0, zeros, sizeof(zeros));
		return;
	case FUSE_WRITE:
		return; // never
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return; // wants no answer
	default:
		answer(fuse, in->unique, -ENOSYS, NULL, 0);
	}
}

// Until standard input is closed; silent: without answering.
static void serve(int fuse, int ready, bool stat_hangs, pid_t child)
{
	static char request[BLOCK * 4];
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = fuse, .events = POLLIN },
				{ .fd = ready, .events = POLLIN } };
	bool silent = false;
	while (poll(fds, 3, 100) >= 0) {
		char byte;
		if (fds[0].revents && read(STDIN_FILENO, &byte, 1) <= 0)
			return;
		if (fds[2].revents && read(ready, &byte, 1) == 1) {
			silent = stat_hangs;
			fds[2].fd = -1;
			// A request that was read and is not answered cannot be given up, not even by exit.
			fds[1].fd = silent ? -1 : fuse;
			usleep(200000); // for the child to be stuck
			printf("%d\n", child);
			fflush(stdout);
		}
		if (fds[1].revents && read(fuse, request, sizeof(request)) > 0)
			serve_one(fuse, request);
	}
}

static void be_stuck(const char *directory, int ready, bool stat_hangs)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/file", directory);
	int fd = open(path, O_RDWR);
	if (fd < 0)
		die(path);
	char *anon = mmap(NULL, ANON_PAGES * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	volatile char *shared = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (anon == MAP_FAILED || shared == MAP_FAILED)
		die("mmap");
	memset(anon, 1, ANON_PAGES * sysconf(_SC_PAGESIZE));
	shared[0] = stat_hangs ? shared[0] : 1;
	if (write(ready, "", 1) != 1)
		die("ready");
	if (!stat_hangs)
		mmap((void *)shared, BLOCK, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0); // waits
	pause();
}

int main(int argc, char **argv)
{
	char options[128];
	int ready[2];
	bool stat_hangs = argc > 2 && !strcmp(argv[2], "stat");
	if (argc < 2)
		return 2;
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", fuse, getuid(),
		 getgid());
	if (fuse < 0)
		die("/dev/fuse");
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("stuck", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) || pipe(ready))
		die("mount");
	pid_t child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		close(fuse);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_stuck(argv[1], ready[1], stat_hangs);
		_exit(0);
	}
	serve(fuse, ready[0], stat_hangs, child);
	kill(child, SIGKILL);
	close(fuse); // ends the connection: whoever waits is let go with an error
	waitpid(child, NULL, 0);
	umount2(argv[1], MNT_DETACH);
	return 0;
}
