// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Lists the processes: one struct processes_row for each, in order of pid.
//
// Driven by collector/zonerss/_core/task_iterator.c: an iterator over all tasks (SEC("iter/task"), Linux 5.8), whose read()
// returns the rows back to back. The kernel offers every thread of the reader's pid namespace and holds a reference to
// it while the program runs.

#include "kernel.h"
#include "processes.h"

_Static_assert(sizeof(struct processes_row) == 96, "user space counts on it");

enum { PF_KTHREAD = 0x00200000 }; // include/linux/sched.h

enum { FILE_PAGES, ANON_PAGES, SWAP_ENTRIES, SHMEM_PAGES, COUNTERS }; // include/linux/mm_types_task.h

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct percpu_counter {
	int64_t count;
};

struct mm_struct {
	unsigned long total_vm;
	unsigned long start_stack;
	struct percpu_counter rss_stat[COUNTERS]; // since Linux 6.2 (f1a7941243c1)
};

typedef struct {
	long counter;
} atomic_long_t;

struct mm_rss_stat {
	atomic_long_t count[COUNTERS];
};

struct mm_struct___before_6_2 {
	struct mm_rss_stat rss_stat;
};

typedef struct {
	uint32_t val;
} kuid_t;

struct cred {
	kuid_t uid;
	kuid_t euid;
};

struct kernfs_node {
	uint64_t id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct signal_struct {
	int nr_threads;
};

struct task_struct {
	unsigned int flags;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	uint64_t start_boottime;
	struct pid *thread_pid;
	const struct cred *real_cred;
	char comm[16];
	struct signal_struct *signal;
	struct css_set *cgroups;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
#pragma clang attribute pop

enum cgroup_subsys_id { memory_cgrp_id };

// The context of the iterator, as the verifier presents it: two words. (include/linux/bpf.h, __bpf_md_ptr)
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

// Its number in our pid namespace, in which it is: the iterator offers no others.
static int32_t pid_in_our_namespace(struct task_struct *task)
{
	struct task_struct *us = (struct task_struct *)bpf_get_current_task();

	return number_at(BPF_CORE_READ(task, thread_pid), BPF_CORE_READ(us, thread_pid, level));
}

static uint64_t positive(int64_t count)
{
	return count > 0 ? count : 0;
}

static void read_mm(struct processes_row *row, struct mm_struct *mm)
{
	row->mm = (uint64_t)mm;
	row->total_vm = mm->total_vm;
	row->start_stack = mm->start_stack;
	if (!bpf_core_field_exists(mm->rss_stat[FILE_PAGES].count)) {
		struct mm_struct___before_6_2 *old = (void *)mm;

		row->rss_pages = positive(BPF_CORE_READ(old, rss_stat.count[FILE_PAGES].counter)) +
				 positive(BPF_CORE_READ(old, rss_stat.count[ANON_PAGES].counter)) +
				 positive(BPF_CORE_READ(old, rss_stat.count[SHMEM_PAGES].counter));
	} else {
		row->rss_pages = positive(mm->rss_stat[FILE_PAGES].count) + positive(mm->rss_stat[ANON_PAGES].count) +
				 positive(mm->rss_stat[SHMEM_PAGES].count);
	}
}

// The kernel looks up types when it loads this, and remembers one for each of 31 hashes of a name. mm_struct, css_set and
// cgroup_subsys_id have the same hash: whoever alternates between them makes it search its BTF each time, some milliseconds.
static void read_cgroups(struct processes_row *row, struct css_set *cgroups)
{
	void *subsys = __builtin_preserve_access_index(&cgroups->subsys);
	struct cgroup_subsys_state *memory = 0;

	asm volatile("" : "+r"(subsys)); // before the enum
	row->cgroup_id = cgroups->dfl_cgrp->kn->id;
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return;
	subsys += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(memory);
	if (!bpf_probe_read_kernel(&memory, sizeof(memory), subsys))
		row->memory_cgroup_id = BPF_CORE_READ(memory, cgroup, kn, id);
}

// Called for each thread of the reader's pid namespace, in order of its number there.
SEC("iter/task")
int list_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct processes_row row = {};
	struct mm_struct *mm;

	if (!task || task->group_leader != task)
		return 0;
	row.pid = pid_in_our_namespace(task);
	row.flags = task->flags;
	row.threads = task->signal->nr_threads;
	mm = task->mm;
	if (mm && !(row.flags & PF_KTHREAD))
		read_mm(&row, mm);
	// What was read is of its address space only if it still has it: without one (exit) or with another (exec) it is not.
	struct mm_struct *now = BPF_CORE_READ(task, mm);
	if (now != mm) {
		row.mm = row.total_vm = row.rss_pages = row.start_stack = 0;
		row.threads += now != 0; // more than one: it is there, and /proc is asked about it
	}
	read_cgroups(&row, task->cgroups);
	row.start_boottime_ns = task->start_boottime;
	row.uid = task->real_cred->uid.val;
	row.euid = task->real_cred->euid.val;
	bpf_probe_read_kernel(row.comm, sizeof(row.comm), task->comm);
	bpf_seq_write(context->meta->seq, &row, sizeof(row));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
