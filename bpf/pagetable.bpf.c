// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Copies the page tables of a process, raw, into memory that user space maps.
//
// Driven by collector/zonerss/_core/pagetable.c: an iterator over the VMAs of a process (SEC("iter/task_vma"), Linux 5.12;
// of one process only, 6.1), read by a worker thread. The kernel holds the mmap lock for reading while the program runs.
// Where the buffer is full or enough has been copied in one go, the program returns 1: read() says EAGAIN, the lock is
// dropped, user space drains the buffer and reads on, and the program is offered the same VMA again and resumes at the
// worker's cursor. So nothing overflows and nothing is lost. Needs bpf_loop (5.17).
//
// Page tables are read by bpf_probe_read_kernel through the kernel's map of all memory, whose base user space
// finds with `find_base`. The tables may be freed meanwhile (MADV_DONTNEED, khugepaged): so an entry that led to a
// table is read again after the table was copied, and if it is not the same the copy is thrown away. That is
// how the kernel's own lockless walker (mm/gup.c, gup_fast_pte_range) knows that what it read was a page table.

#include "kernel.h"
#include "pagetable.h"

_Static_assert(sizeof(struct pagetable_copy) == 16, "user space counts on it");

enum { BPF_MAP_TYPE_ARRAY = 2, BPF_F_MMAPABLE = 1 << 10 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block {
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
};

struct vm_operations_struct;
struct anon_vma;
struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	unsigned long vm_pgoff;
	struct mm_struct *vm_mm;
	struct anon_vma *anon_vma;
	const struct vm_operations_struct *vm_ops;
	struct file *vm_file;
};

struct mm_struct {
	void *pgd;
};

struct task_struct {
	struct mm_struct *mm;
	struct task_struct *group_leader;
	uint64_t start_boottime;
	struct pid *thread_pid;
};

struct bpf_iter_seq_task_vma_info {
	struct mm_struct *mm;
};
#pragma clang attribute pop

// The context of the iterator, as the verifier presents it: three words. (include/linux/bpf.h, __bpf_md_ptr)
struct bpf_iter__task_vma {
	void *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

enum { // include/linux/mm.h
	VM_SHARED = 0x8,
	VM_PFNMAP = 0x400,
	VM_LOCKED = 0x2000,
	VM_HUGETLB = 0x400000,
	VM_DEVICE_SHARED = VM_PFNMAP | VM_SHARED, // nothing in it is a page with an owner
};

enum { PAGE = 0, PMD = 1, PUD = 2, MOST_LEVELS = 5 }; // levels
enum { STRIPE_BITS = 6 }; // 64 last-level tables: many in a large process, and few to pass over
enum { GROUP = 32 };	  // entries of an upper table that are looked at together
enum { COPIED = PAGETABLE_COPIED_AT_ONCE };

#define TMPFS_MAGIC 0x01021994
#define S_IFMT 0170000
#define S_IFREG 0100000

// One element a worker; an array because user space can map it (BPF_F_MMAPABLE, 5.5). User space sets max_entries.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PAGETABLE_WORKERS);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, PAGETABLE_BUFFER_BYTES);
} buffers SEC(".maps");

// State lives in a global: on the stack the verifier would follow every count and give up.
struct pagetable_state state;

static uint32_t tid_in_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	return number_at(pid, BPF_CORE_READ(pid, level));
}

struct reader_search {
	uint32_t tid;
	uint32_t index;
};

static long match_reader(uint32_t i, void *context)
{
	struct reader_search *search = context;

	if (state.readers[i % PAGETABLE_WORKERS].tid != search->tid)
		return 0;
	search->index = i;
	return 1;
}

// The index of the worker whose thread reads; PAGETABLE_WORKERS: none. It is no static function, so the verifier checks it
// by itself and takes its result for any number (Linux 5.6). As a static function it made the verifier follow the rest of
// walk_vma once for each worker: 13,900 instructions in 15.5 ms instead of 1,050 in 2.4 ms.
__attribute__((noinline)) uint32_t worker_of_reader(void)
{
	uint32_t root_tid = bpf_get_current_pid_tgid();
	uint8_t *guess = &state.guesses[root_tid % PAGETABLE_GUESSES];
	struct reader_search search = { 0, PAGETABLE_WORKERS };

	if (state.readers[*guess % PAGETABLE_WORKERS].root_tid == root_tid)
		return *guess % PAGETABLE_WORKERS;
	search.tid = tid_in_namespace((struct task_struct *)bpf_get_current_task());
	if (search.tid)
		bpf_loop(PAGETABLE_WORKERS, match_reader, &search, 0);
	if (search.index < PAGETABLE_WORKERS) {
		state.readers[search.index].root_tid = root_tid;
		*guess = search.index;
	}
	return search.index;
}

// What the tables look like; the masks tell the verifier that it is in the array and that no shift is too far.
static uint32_t shift_of(uint32_t level)
{
	return state.settings.shifts[level & 7] & 63;
}

static uint64_t index_of(uint64_t address, uint32_t shift)
{
	return address >> shift & state.settings.index_mask;
}

static bool leads_to_table(uint64_t entry)
{
	return (entry & state.settings.table_mask) == state.settings.table_value;
}

// Do two readings of an entry lead to the same table, and both to one?
static bool same_table(uint64_t one, uint64_t other)
{
	return !((one ^ other) & (state.settings.frame_mask | state.settings.table_mask));
}

static bool is_ram(uint64_t address)
{
	uint64_t frame = address >> shift_of(PAGE);

	for (int i = 0; i < PAGETABLE_RAM; i++)
		if (frame - state.settings.ram[i].first < state.settings.ram[i].count)
			return true;
	return false;
}

// Where the table is that an entry leads to. 0: in no memory, so what was read as the entry is none. What lies elsewhere
// in the kernel's addresses may be a device's registers, which must not be read. No static function either.
__attribute__((noinline)) uint64_t table_of(uint64_t entry)
{
	uint64_t address = entry & state.settings.frame_mask;

	return is_ram(address) ? state.settings.base + address : 0;
}

static bool table_read(struct pagetable_worker *worker, uint64_t table, uint64_t address, uint32_t shift,
		       uint64_t *entry)
{
	uint64_t slot = table + index_of(address, shift) * sizeof(*entry);

	if (!table)
		worker->outside++;
	else if (!bpf_probe_read_kernel(entry, sizeof(*entry), (void *)slot))
		return true;
	else
		worker->faults++;
	return false;
}

// A table of a hugetlb mapping may be shared by processes, and is freed by whoever truncates the file, whatever mmap locks
// are held (huge_pmd_unshare() in mm/hugetlb.c). Other tables of this level are only freed with their mappings.
static bool still_leads_here(struct pagetable_worker *worker)
{
	uint64_t again = 0;

	if (!(worker->traits & PAGETABLE_HUGETLB) || !worker->pud_slot)
		return true;
	if (!bpf_probe_read_kernel(&again, sizeof(again), (void *)worker->pud_slot) && same_table(again, worker->pud))
		return true;
	worker->retries++; // the cursor stays: look again
	worker->reach = ~0UL;
	return false;
}

// Where to go on after an empty entry of an upper table, in a VMA that ends at `end`: past all empty ones of its group, where
// the VMA is so long. Who has one page in each gigabyte makes us look at a whole table for each. No static function either.
__attribute__((noinline)) uint64_t past_nothing(uint64_t table, uint64_t address, uint32_t shift, uint64_t end)
{
	uint64_t group[GROUP], first, index, passed = 1;

	shift &= 63;
	first = address >> shift;
	index = index_of(address, shift);
	if (index + GROUP > state.settings.index_mask + 1 || end - address <= (uint64_t)GROUP << shift ||
	    bpf_probe_read_kernel(group, sizeof(group), (void *)(table + index * sizeof(*group))))
		return (first + 1) << shift;
	for (int i = 1; i < GROUP && !group[i]; i++)
		passed++;
	return (first + passed) << shift;
}

// Finds the lowest table but one for worker->cursor. false: nothing there, and the cursor is past the gap; or a leaf of the level
// above, and *leaf is it.
static bool descend(struct pagetable_worker *worker, uint64_t *leaf)
{
	uint64_t address = worker->cursor, table = worker->pgd, entry = 0, slot = 0;
	uint32_t level = state.settings.levels - 1;

	for (int i = 0; i < MOST_LEVELS - PUD && level >= PUD; i++, level--) {
		uint32_t shift = shift_of(level);

		slot = table + index_of(address, shift) * sizeof(entry);
		if (!table_read(worker, table, address, shift, &entry)) {
			worker->cursor = ((address >> shift) + 1) << shift;
			return false;
		}
		if (!leads_to_table(entry)) {
			if (level == PUD && entry)
				*leaf = entry;
			else
				worker->cursor = past_nothing(table, address, shift, worker->end);
			return false;
		}
		table = table_of(entry);
	}
	worker->pud_slot = slot;
	worker->pud = entry;
	worker->pmd_table = table;
	worker->reach = address >> shift_of(PUD);
	return true;
}

static uint64_t *put_copy(struct pagetable_worker *worker, char *buffer, uint32_t entries, uint8_t shift)
{
	uint32_t used = worker->used;
	struct pagetable_copy *copy;

	if (used > PAGETABLE_BUFFER_BYTES - sizeof(*copy) - COPIED * sizeof(uint64_t))
		return 0;
	copy = (struct pagetable_copy *)(buffer + used);
	copy->address = worker->cursor;
	copy->entries = entries;
	copy->shift = shift;
	copy->traits = worker->traits;
	copy->skew = worker->skew;
	return (uint64_t *)(copy + 1);
}

// An entry that maps memory itself, or that holds a huge page under migration. false: no room.
static bool put_leaf(struct pagetable_worker *worker, char *buffer, uint64_t entry, uint32_t shift)
{
	uint64_t *to = put_copy(worker, buffer, 1, shift);

	if (!to)
		return false;
	*to = entry;
	worker->used += sizeof(struct pagetable_copy) + sizeof(*to);
	worker->cursor = ((worker->cursor >> shift) + 1) << shift;
	return true;
}

// The entries of one last-level table, or of so much of it as is copied at once, that belong to the VMA. false: no room.
static bool put_table(struct pagetable_worker *worker, char *buffer, uint64_t entry)
{
	uint32_t shift = shift_of(PAGE);
	uint64_t address = worker->cursor, again = 0;
	uint64_t stop = (address | ((uint64_t)COPIED << shift) - 1) + 1;
	uint64_t table = table_of(entry), bytes, *to;

	if (stop > worker->end)
		stop = worker->end;
	bytes = (stop - address) >> shift << 3;
	// What is compared must be what is passed on: the verifier of Linux 6.1 does not follow clang's rewriting of it.
	asm volatile("" : "+r"(bytes));
	if (bytes > COPIED * sizeof(*to))
		return false;
	to = put_copy(worker, buffer, bytes / sizeof(*to), shift);
	if (!to)
		return false;
	if (!table || bpf_probe_read_kernel(to, bytes, (void *)(table + index_of(address, shift) * sizeof(*to)))) {
		worker->faults += !!table;
		worker->outside += !table;
		worker->cursor = stop;
		return true;
	}
	table_read(worker, worker->pmd_table, address, shift_of(PMD), &again);
	if (!same_table(again, entry)) {
		worker->retries++; // the cursor stays: look again
		return true;
	}
	worker->used += sizeof(struct pagetable_copy) + bytes;
	worker->cursor = stop;
	return true;
}

// Moves the cursor on where it is in another worker's part of the address space.
static bool passes_over(struct pagetable_worker *worker, uint32_t shift)
{
	uint64_t stripe;

	shift &= 63;
	stripe = worker->cursor >> shift;
	if (worker->stripes < 2 || stripe % worker->stripes == worker->stripe)
		return false;
	worker->cursor = (stripe + 1) << shift;
	return true;
}

// One entry of the upper tables. 1: this VMA is done, or the buffer is full.
static long step(uint32_t i, void *context)
{
	uint32_t index = *(uint32_t *)context % PAGETABLE_WORKERS;
	struct pagetable_worker *worker = &state.workers[index];
	uint64_t entry = 0, leaf = 0;
	char *buffer = bpf_map_lookup_elem(&buffers, &index);

	if (!buffer || worker->cursor >= worker->end) {
		worker->done = 1;
		return 1;
	}
	if (worker->cursor >> shift_of(PUD) != worker->reach && !descend(worker, &leaf))
		return leaf && !passes_over(worker, shift_of(PUD)) && !put_leaf(worker, buffer, leaf, shift_of(PUD));
	if (passes_over(worker, shift_of(PMD) + STRIPE_BITS))
		return 0;
	table_read(worker, worker->pmd_table, worker->cursor, shift_of(PMD), &entry);
	if (!still_leads_here(worker))
		return 0;
	if (!entry) {
		uint64_t next = past_nothing(worker->pmd_table, worker->cursor, shift_of(PMD), worker->end);

		if (still_leads_here(worker))
			worker->cursor = next;
		return 0;
	}
	if (!leads_to_table(entry))
		return !put_leaf(worker, buffer, entry, shift_of(PMD));
	return !put_table(worker, buffer, entry);
}

static uint32_t traits_of(struct vm_area_struct *vma)
{
	uint64_t flags = vma->vm_flags;
	struct file *file = vma->vm_file;
	struct inode *inode;
	uint32_t traits = 0;

	if (vma->vm_ops)
		traits |= PAGETABLE_BACKED;
	if (flags & VM_SHARED)
		traits |= PAGETABLE_SHARED;
	if (flags & VM_HUGETLB)
		traits |= PAGETABLE_HUGETLB;
	if (flags & VM_PFNMAP)
		traits |= PAGETABLE_DEVICE;
	if (flags & VM_LOCKED)
		traits |= PAGETABLE_LOCKED;
	if (vma->anon_vma)
		traits |= PAGETABLE_COPIED;
	inode = file ? file->f_inode : 0;
	if (!inode || (inode->i_mode & S_IFMT) != S_IFREG)
		traits |= PAGETABLE_ODD; // devtmpfs is a tmpfs by its number, but its devices map what they like
	else if (inode->i_sb->s_magic == TMPFS_MAGIC)
		traits |= PAGETABLE_SHMEM;
	return traits;
}

// Is this the address space that the worker is at? false: it is another one since an exec.
static bool same_mm(struct pagetable_worker *worker, struct task_struct *task, struct vm_area_struct *vma)
{
	uint64_t mm = (uint64_t)vma->vm_mm;

	if (!worker->met) {
		worker->met = 1;
		worker->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
		worker->mm = mm;
	}
	if (worker->mm == mm)
		return true;
	worker->execs++;
	return false;
}

// Called for each VMA of the link's task, in order of address, under the mmap lock held for reading.
SEC("iter/task_vma")
int walk_vma(struct bpf_iter__task_vma *context)
{
	struct task_struct *task = context->task;
	struct vm_area_struct *vma = context->vma;
	struct pagetable_worker *worker;
	uint32_t index;
	uint64_t start;

	if (!task || !vma)
		return 0;
	index = worker_of_reader();
	if (index >= PAGETABLE_WORKERS)
		return 0;
	worker = &state.workers[index];
	if (!same_mm(worker, task, vma))
		return 0;
	start = vma->vm_start;
	worker->end = vma->vm_end;
	if (worker->end <= worker->cursor)
		return 0; // the VMA that was done last
	// Below the cursor all is done: so no page is taken twice where VMAs were merged or split meanwhile.
	if (!worker->unfinished || worker->cursor < start)
		worker->vmas++;
	if (worker->cursor < start)
		worker->cursor = start;
	if ((vma->vm_flags & VM_DEVICE_SHARED) == VM_DEVICE_SHARED)
		worker->cursor = worker->end;
	worker->traits = traits_of(vma);
	worker->skew = (vma->vm_pgoff - (start >> shift_of(PAGE))) % COPIED;
	worker->pgd = (uint64_t)vma->vm_mm->pgd;
	worker->reach = ~0UL;
	worker->done = 0;
	bpf_loop(PAGETABLE_STEPS, step, &index, 0);
	worker->unfinished = !worker->done;
	return worker->unfinished;
}

static long try_base(uint32_t i, void *context)
{
	uint64_t found[2] = { 0, 0 }, shift = state.search.shift & 63;
	uint64_t base = ((*(uint64_t *)context >> shift) - i) << shift;

	if (!is_ram(*(uint64_t *)context - base))
		return 0; // the top table would lie in no memory
	state.search.tries++;
	if (bpf_probe_read_kernel(found, sizeof(found), (void *)(base + state.search.physical)))
		return 0;
	if (found[0] != state.search.secret[0] || found[1] != state.search.secret[1])
		return 0;
	state.search.base = base;
	return 1;
}

// Run once by BPF_PROG_RUN, in the thread that has put the secret into its memory: the top table of any process
// lies in the map of all memory, no further above its base than memory reaches.
SEC("raw_tp/find_base") // bpftool 7.1 (gen skeleton -L) crashes where the tracepoint has no name
int find_base(void *context)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	uint64_t pgd = (uint64_t)BPF_CORE_READ(task, mm, pgd);

	state.search.keeps_mm = bpf_core_field_exists(struct bpf_iter_seq_task_vma_info, mm);
	bpf_loop(state.search.limit, try_base, &pgd, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
