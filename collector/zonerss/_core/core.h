// The C core as Python sees it: plain structs, enums and prototypes. cffi reads this very file, less the lines of
// the preprocessor (build.py). Every fallible function returns 0 or a negative errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

// What a frame is. The first three make up rss; hugetlb stands beside it, as in smaps; swap counts slots
// of the swap area that page tables point at, not frames.
enum kind { KIND_ANON, KIND_FILE, KIND_SHMEM, KIND_HUGETLB, KIND_SWAP, KINDS };

// ---- census.c: which set of zones maps each frame -------------------------------------------------

struct census;

// A census of nothing. zones: how many zones will be named, 0 to zones-1.
int census_create(uint32_t zones, struct census **ret);
void census_destroy(struct census *census);

// Forget every frame and set, keep the memory; costs nothing per frame.
int census_restart(struct census *census, uint32_t zones);

// Mark frames as mapped by a zone, as a walk does; for tests and for recorded walks.
int census_mark(struct census *census, uint32_t zone, const uint64_t *pfns, const uint8_t *kinds, size_t count);

// The sets met so far. Set 0 is the empty one. Every other set is its parent's set and one zone more; parents
// come before children; no two sets are equal.
uint32_t census_sets(const struct census *census);

// parent, zone: census_sets() entries each; pages: [census_sets()][KINDS], row-major.
void census_export(const struct census *census, uint32_t *parent, uint32_t *zone, uint64_t *pages);

// Bytes of memory that the census holds, frames and sets together.
uint64_t census_bytes(const struct census *census);

// ---- parts.c: sums over parts, pure ----------------------------------------------------------------

// What one zone maps, in pages by kind; exclusive: mapped by no other zone.
struct zone_sum {
	uint64_t mapped[5];
	uint64_t exclusive[5];
	double proportional[5];
};

// sums: zones entries, filled here.
int parts_sum(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
	      uint32_t zones, struct zone_sum *sums);

// The sets that hold pages, ascending; filled: sets entries. Returns their number.
uint32_t parts_filled(uint32_t sets, const uint64_t *pages, uint32_t *filled);

// The zones of some sets, ascending: those of numbers[i] are members[ends[i - 1]] to members[ends[i] - 1], from 0 on
// for the first. Returns how many there are in all, of which at most room are written, or a negative errno.
int64_t parts_members(const uint32_t *parent, const uint32_t *zone, uint32_t zones, const uint32_t *numbers,
		      uint32_t count, uint64_t *ends, uint32_t *members, uint64_t room);

// The same parts seen through coarser zones: group_of[zone] names the group of each zone, or UINT32_MAX for
// "leave this zone out". The result is written to the three new_ arrays, which have room for new_room sets;
// *new_sets says how many there are. -ENOSPC: *new_sets says how many were needed at least.
int parts_project(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
		  uint32_t zones, const uint32_t *group_of, uint32_t new_room, uint32_t *new_sets,
		  uint32_t *new_parent, uint32_t *new_zone, uint64_t *new_pages);

// shared[a * zones + b]: pages of the kinds anon, file and shmem that zones a and b both map; symmetric,
// the diagonal is each zone's rss.
int parts_pairs(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
		uint32_t zones, uint64_t *shared);

// ---- tree.c: sums over parts, for a tree above the zones; pure ----------------------------------------

// node_of[zone]: the node of each zone; node_parent: of each node, lower than its own number; node 0 is the root,
// its own parent. sums: nodes entries, filled with what each node and all below it map; exclusive: mapped by no
// zone elsewhere.
int parts_tree(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
	       const uint32_t *node_of, uint32_t nodes, const uint32_t *node_parent, struct zone_sum *sums);

// ---- join.c: two censuses of the same frames -----------------------------------------------------------

// The pages that lie in a set of one census and in another set of the other; other 0: it has not met them.
struct piece {
	uint32_t set;
	uint32_t other;
	uint64_t pages[5];	// by kind, as the first census has it
};

// All pieces, in *ret, to be freed with pieces_free(). wanted: indexed by set of the first, 0 where it does not
// matter; NULL: all. Returns their number or a negative errno.
int64_t census_join(const struct census *census, const struct census *others, const uint8_t *wanted,
		    struct piece **ret);
void pieces_free(struct piece *pieces);

// ---- tasks.c: who is there -------------------------------------------------------------------------

// One process, read from /proc/PID. cgroup: index of its /proc/PID/cgroup text, see tasks_cgroup().
struct task {
	int32_t pid;
	int32_t error;		// 0, or the errno that reading it ended with
	uint64_t start_ticks;	// since boot; tells a reused pid
	uint64_t flags;		// PF_* of the task
	uint64_t vsize_bytes;
	uint64_t rss_pages;	// the kernel's own, batched counter
	uint64_t startstack;
	int64_t threads;
	uint32_t uid;		// real; UINT32_MAX where not asked for
	uint32_t euid;
	uint32_t cgroup;
	int32_t walk_tid;	// the thread to read memory through: the pid, or a living thread of a dead leader
	char state;
	char command[64];	// comm, NUL-terminated, raw bytes
};

struct task_list;

// List the processes below an open /proc (a directory). want_users: read real and effective uid, too. want_cgroups:
// read cgroup texts; 0 where the kernel has none: all texts are then empty.
int tasks_read(int proc_fd, int want_users, int want_cgroups, struct task_list **ret);
// The same of some pids, without looking who else is there.
int tasks_read_some(int proc_fd, const int32_t *pids, size_t count, int want_users, int want_cgroups,
		    struct task_list **ret);
void tasks_free(struct task_list *list);
size_t tasks_count(const struct task_list *list);
const struct task *tasks_all(const struct task_list *list);
size_t tasks_cgroups(const struct task_list *list);
// The text of /proc/PID/cgroup that tasks share, raw bytes.
const char *tasks_cgroup(const struct task_list *list, size_t index, size_t *length);
// Parse the text of one /proc/PID/stat. -EINVAL: not understood.
int task_parse_stat(const char *text, size_t length, struct task *ret);
// 0: the two processes share one address space; 1, 2, 3: not (kcmp's order); negative errno.
int tasks_compare_mm(int32_t a, int32_t b);

// ---- maps.c: the rows of /proc/PID/maps ------------------------------------------------------------

struct vma {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	uint64_t inode;
	uint32_t major;
	uint32_t minor;
	uint32_t flags;		// enum vma_flag
	uint32_t name;		// offset of the name in the text; raw, as the kernel escaped it
	uint32_t name_length;
};

enum vma_flag { VMA_READ = 1, VMA_WRITE = 2, VMA_EXEC = 4, VMA_SHARED = 8 };

// Parse whole lines of /proc/PID/maps. Returns the number of rows, or -EINVAL with *bad set to the offset
// of the line that is not understood. room: entries of vmas; more rows than that are not written.
int64_t maps_parse(const char *text, size_t length, struct vma *vmas, size_t room, size_t *bad);

// ---- objects.c: what files mappings are of ---------------------------------------------------------------

// The file of a mapping: device, inode and name as maps tells them, and one mapping of it.
struct object {
	uint64_t inode;
	uint64_t space;		// of a System V segment: the inode of the IPC namespace that its id belongs to
	uint32_t major;
	uint32_t minor;
	uint32_t name;		// offset in objects_text(); raw, as the kernel escaped it
	uint32_t name_length;
	int32_t pid;
	uint64_t start;
	uint64_t end;
};

struct objects;

// room: how many can be told apart.
int objects_create(uint32_t room, struct objects **ret);
void objects_destroy(struct objects *objects);
uint32_t objects_count(const struct objects *objects);
const struct object *objects_all(const struct objects *objects);
const char *objects_text(const struct objects *objects);

// What stat(2) and statfs(2) say of a file.
struct file_look {
	uint64_t links;		// names that it has; 0: deleted
	uint64_t size;		// in bytes
	uint32_t mode;		// file type and permissions
	uint32_t fs_type;	// magic number of its file system (linux/magic.h)
};

int file_look(const char *path, struct file_look *ret);

// ---- walk.c: the page tables of many processes into one census --------------------------------------

enum walk_step { STEP_NONE, STEP_OPEN, STEP_MAPS, STEP_PAGEMAP, STEP_CGROUP, STEP_KPAGEFLAGS, STEP_TABLES };

// Cause of a gap where errno has no word for it: what the walk found is not what was listed.
enum walk_cause { WALK_EXITED = 10001, WALK_REUSED = 10002, WALK_EXECED = 10003, WALK_MOVED = 10004,
		  WALK_BUSY = 10005 };

// One address space to walk for one zone. The lower half is filled by the walk.
struct walk_job {
	int32_t pid;		// a thread of it that lives
	int32_t leader;		// its process
	uint32_t zone;
	uint32_t cgroup;	// index into the list of cgroup texts, to see whether it moved
	uint64_t start_ticks;
	uint64_t expected_pages;	// an estimate, to share the work out
	uint64_t rss_pages;	// entries that map memory: what smaps sums up as Rss
	uint64_t hugetlb_pages;	// entries of hugetlb, in base pages
	uint64_t swap_pages;	// entries that point at a swap slot
	uint64_t zero_pages;	// entries that map the zero page or the huge zero page
	uint64_t refused;	// entries whose frame is no RAM: garbage read while a table was being freed
	uint64_t words;		// entries looked at
	uint64_t vmas;
	int32_t step;		// enum walk_step of the gap, 0 without one
	int32_t error;		// errno or enum walk_cause
};

struct walk_settings {
	int proc_fd;		// an open /proc
	int kpageflags_fd;
	uint64_t zero_pfn;	// frame of the zero page
	uint64_t page_bytes;
	uint64_t huge_pages;	// base pages of a PMD-mapped huge page; 0: do not step over them
	uint32_t threads;
	int use_scan;		// PAGEMAP_SCAN may be used (Linux 6.7)
	const struct task_list *tasks;	// for cgroup texts; NULL: do not look whether tasks moved
	struct objects *objects;	// NULL, or walk_pagemap() marks the frames of mapped files only, each for its
				// file instead of the job's zone; -ENOSPC: more files than objects has room for
};

// Walk all jobs by /proc/PID/pagemap. Per-job failures are in the jobs; the return value is for the walk
// itself (-ENOMEM, -EAGAIN without threads).
int walk_pagemap(struct census *census, struct walk_job *jobs, size_t count, const struct walk_settings *settings);

// 1: the kernel answers PAGEMAP_SCAN on this pagemap; address: a page of its address space.
int walk_can_scan(int pagemap_fd, uint64_t address, uint64_t page_bytes);

// One page of one process, for `frames`.
struct page {
	uint64_t address;
	uint64_t pfn;		// frame, or swap slot where kind is KIND_SWAP
	uint64_t mapcount;	// kpagecount; UINT64_MAX: unknown
	uint8_t kind;		// enum kind, or PAGE_ZERO or PAGE_DEVICE
	uint8_t huge;		// 1: mapped by a PMD or greater
};

enum page_class { PAGE_ZERO = 16, PAGE_DEVICE = 17 };

// The pages of [start, end) of an open pagemap, in order of address. Returns their number (at most room are
// written), or a negative errno. kpagecount_fd: -1, do not ask.
int64_t walk_pages(int pagemap_fd, int kpagecount_fd, const struct vma *vma, const struct walk_settings *settings,
		   uint64_t start, uint64_t end, struct page *pages, size_t room);
