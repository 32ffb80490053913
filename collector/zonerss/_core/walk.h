// A walk: jobs, each an address space whose page tables are read and whose frames are marked in a census.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct census;
struct mapped_files;
struct slices;
struct task_list;
struct walk;

// What was being read when a gap was met.
enum walk_step { STEP_NONE, STEP_OPEN, STEP_MAPS, STEP_PAGEMAP, STEP_CGROUP, STEP_KPAGEFLAGS, STEP_TABLES };

// Cause of a gap where errno has no word for it: what the walk found is not what was listed.
enum walk_cause {
	WALK_EXITED = 10001,
	WALK_REUSED = 10002,
	WALK_EXECED = 10003,
	WALK_MOVED = 10004,
	WALK_BUSY = 10005,
	WALK_LEFT = 10006,	// it waited in the kernel and was left behind
	WALK_UNREACHED = 10007, // this source cannot see it; another one may
};

// How accessed bits were cleared: each way leaves those of some mappings as they are.
enum walk_cleared { CLEARED_BY_COLD, CLEARED_BY_CLEAR_REFS };

// How entries are told apart. BY_TOUCH: by their accessed bits; those that are set in a mapping that keeps its bits are for
// kept_owner. BY_CLASS: likewise, but for kept_owner is all that such a mapping maps: no page-out may touch it.
enum walk_apart { APART_NOT, APART_BY_TOUCH, APART_BY_CLASS };

// One address space to walk for one owner. The lower half is filled by the walk, in base pages.
struct walk_job {
	int32_t pid;	// a thread of it that lives
	int32_t leader; // its process
	uint32_t owner;
	uint32_t cgroup; // index into the list of cgroup texts, to see whether it moved
	uint64_t start_ticks;
	uint64_t expected_pages; // an estimate, to share the work out
	uint32_t twice;		 // 1: this address space is walked for another owner, too
	// By page tables only: of `stripes` interleaved parts of the address space this job walks one; 0: all of it.
	uint32_t stripe;
	uint32_t stripes;
	// Where the request tells entries apart by their accessed bits: owner is for those whose bit is set.
	uint32_t idle_owner; // for those whose bit is clear
	uint32_t kept_owner; // for those whose bit is set where that says nothing
	uint32_t cleared_by; // enum walk_cleared: which mappings keep their bits

	uint64_t rss_pages;	// entries that map memory: what smaps sums up as Rss
	uint64_t hugetlb_pages; // entries of hugetlb
	uint64_t swap_pages;	// entries that point at a swap slot
	uint64_t zero_pages;	// entries that map the zero page or the huge zero page
	uint64_t refused;	// entries whose frame or table is no RAM that is known
	uint64_t entries;	// looked at
	uint64_t vmas;
	int32_t step;  // enum walk_step of the gap, 0 without one
	int32_t error; // errno or enum walk_cause
};

// What this host offers, found once, and its files that a walk reads.
struct walk_host {
	int proc_fd; // an open /proc
	int kpageflags_fd;
	uint64_t zero_pfn; // frame of the zero page
	uint64_t page_bytes;
	uint64_t huge_pages;	// base pages of a PMD-mapped huge page, and of the huge zero page; 0: there are none
	uint64_t hugetlb_pages; // base pages of the smallest hugetlb page; 0: not known
	int can_scan;		// the kernel answers PAGEMAP_SCAN (Linux 6.7)
	uint32_t shm_major;	// the device of the kernel's own tmpfs, as maps tells it
	uint32_t shm_minor;
	uint32_t hugetlb_major[8]; // those of its own hugetlbfs, one for each size of pages
	uint32_t hugetlb_minor[8];
	uint32_t hugetlb_count;
	uint64_t hugetlb_pool; // base pages of all hugetlb pages that there are; UINT64_MAX: not known
};

struct walk_request {
	struct census *census;
	const struct walk_job *jobs; // copied
	size_t count;
	const struct walk_host *host;  // copied; its files stay open until walk_end()
	uint32_t threads;	       // that work side by side, at most
	const struct task_list *tasks; // for cgroup texts; NULL: do not look whether tasks moved
	// For page tables only; pagemap tells no accessed bits.
	uint32_t apart; // enum walk_apart: entries are marked for one of three owners of their job
	// NULL, or nothing is marked, but ranges are noted: those that have accessed bits to clear; where entries are told apart, those
	// whose bit is clear and whose frames the census has for idle_owner alone.
	struct slices *slices;
};

// Begin a walk by /proc/PID/pagemap, in threads of its own. files: NULL, or the frames of mapped files only are marked, each
// for its file instead of the job's owner; the walk then fails with -ENOSPC where there are more files than that has room for.
// 0 or a negative errno (-EAGAIN: no thread can be had).
int pagemap_walk(const struct walk_request *request, struct mapped_files *files, struct walk **ret);

// Wait for a walk. 1: it is done; 0: not yet, or a signal came; a negative errno: it is done and failed as a whole.
// Failures of one job are in the job.
int walk_wait(struct walk *walk, int timeout_ms);

// Leave a job behind that waits in the kernel: it becomes a gap (WALK_LEFT) with what was counted so far, and its thread ends
// by itself once the kernel lets it go. 1: done; 0: the job is not waiting in a system call now. Tests leave jobs behind by it
// that are not overdue.
int walk_abandon(struct walk *walk, size_t job);

// Leave all jobs behind that have waited in the kernel, asleep and in one and the same system call, for longer than patience_ns
// and what their size explains. To be called every now and then. Returns how many.
size_t walk_leave_overdue(struct walk *walk, uint64_t patience_ns);

// The processes (struct walk_job.leader) whose jobs were left behind, of any walk, and for whom a thread still waits. Returns how
// many there are, of which at most room are written.
size_t walk_waited_for(int32_t *pids, size_t room);

// The jobs, as far as they are done.
const struct walk_job *walk_jobs(const struct walk *walk);

// End a walk, done or not, and free it. Never waits for the kernel: jobs that do are left behind.
void walk_end(struct walk *walk);

// 1: the kernel answers PAGEMAP_SCAN on this pagemap; address: a page of its address space.
int pagemap_can_scan(int pagemap_fd, uint64_t address, uint64_t page_bytes);
