// Lists the processes by bpf/processes.bpf.c. It is loaded as pagetable_load.c loads its program: by what
// `bpftool gen skeleton -L` makes of it.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "task_iterator.h"
#include "../../../bpf/processes.h"
#include "../../../bpf/.output/processes.lskel.h"

#define PF_KTHREAD 0x00200000	   // include/linux/sched.h
#define TICK_NS (1000000000 / 100) // USER_HZ is 100
#define READ_BYTES 32768	   // what the kernel gathers before it hands out (kernel/bpf/bpf_iter.c)

struct task_iterator {
	struct processes_bpf *bpf;
	int link_fd;
	int64_t boot_offset_ns;
	struct iterated_task *rows;
	size_t count, room;
	struct processes_row raw[READ_BYTES / sizeof(struct processes_row)];
};

static int load(struct task_iterator *iterator)
{
	struct processes_bpf *bpf = iterator->bpf = processes_bpf__open();
	if (!bpf)
		return -ENOMEM;
	int error = processes_bpf__load(bpf);
	if (error)
		return error;
	union bpf_attr link = {};
	link.link_create.prog_fd = bpf->progs.list_task.prog_fd;
	link.link_create.attach_type = BPF_TRACE_ITER;
	iterator->link_fd = skel_sys_bpf(BPF_LINK_CREATE, &link, sizeof(link));
	return iterator->link_fd < 0 ? -errno : 0;
}

int task_iterator_open(int64_t boot_offset_ns, struct task_iterator **ret)
{
	struct task_iterator *iterator = calloc(1, sizeof(*iterator));
	if (!iterator)
		return -ENOMEM;
	iterator->link_fd = -1;
	iterator->boot_offset_ns = boot_offset_ns;
	int error = load(iterator);
	if (error) {
		task_iterator_close(iterator);
		return error;
	}
	*ret = iterator;
	return 0;
}

void task_iterator_close(struct task_iterator *iterator)
{
	if (iterator->link_fd >= 0)
		close(iterator->link_fd);
	processes_bpf__destroy(iterator->bpf);
	free(iterator->rows);
	free(iterator);
}

static void add(struct task_iterator *iterator, const struct processes_row *raw, int memory, uint64_t page_bytes)
{
	struct iterated_task *row = &iterator->rows[iterator->count++];
	// Nobody who has unmapped everything is walked, as nobody is who has no address space.
	uint64_t mm = raw->total_vm ? raw->mm : 0;
	*row = (struct iterated_task){
		.pid = raw->pid,
		.threads = raw->flags & PF_KTHREAD ? 0 : raw->threads,
		.start_ticks = (raw->start_boottime_ns + iterator->boot_offset_ns) / TICK_NS,
		.mm = mm,
		.vsize_bytes = raw->total_vm * page_bytes,
		.rss_pages = raw->rss_pages,
		.startstack = raw->start_stack,
		.cgroup = memory ? raw->memory_cgroup_id : raw->cgroup_id,
		.uid = raw->uid,
		.euid = raw->euid,
	};
	memcpy(row->command, raw->comm, sizeof(row->command) - 1);
}

static int read_all(struct task_iterator *iterator, int fd, int memory)
{
	uint64_t page_bytes = sysconf(_SC_PAGESIZE);
	for (;;) {
		ssize_t got = read(fd, iterator->raw, sizeof(iterator->raw));
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (!got)
			return 0;
		size_t count = got < 0 ? 0 : got / sizeof(*iterator->raw);
		if (got > 0 && got % sizeof(*iterator->raw))
			return -EPROTO;
		if (ARRAY_RESERVE(iterator->rows, iterator->room, iterator->count + count))
			return -ENOMEM;
		for (size_t i = 0; i < count; i++)
			add(iterator, &iterator->raw[i], memory, page_bytes);
	}
}

int task_iterator_read(struct task_iterator *iterator, int memory, const struct iterated_task **rows, size_t *count)
{
	union bpf_attr create = {};
	create.iter_create.link_fd = iterator->link_fd;
	int fd = skel_sys_bpf(BPF_ITER_CREATE, &create, sizeof(create));
	if (fd < 0)
		return -errno;
	iterator->count = 0;
	int error = read_all(iterator, fd, memory);
	close(fd);
	*rows = iterator->rows;
	*count = iterator->count;
	return error;
}
