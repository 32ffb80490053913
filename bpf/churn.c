// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Counts, by process, what changes in page tables during one window of time, in which zonerss walks them.
//
// Compiled and loaded by bcc (collector/zonerss/kernel/compiler.py), with bpf/include in place of kernel headers. It uses
// only raw tracepoints, whose arguments are pointers (and where there is none for faults, a function of the kernel), and
// offsets into the kernel's structs, which user space reads from the kernel's BTF and defines as OFF_*. What differs between
// processors is defined by motion/machines.py. A window is a number above 0. Every record carries its window, so that
// nothing has to be cleared in between. Events for which a map had no room are counted in state.lost; the window is
// then not used.
//
// kmem:rss_stat tells that a counter of an address space changed, not by how much (mm/memory.c, mm_trace_rss_stat).
// Since Linux 6.2 (commit f1a7941243c1) the counter is a percpu_counter: its value is the sum over all processors, and
// the change is the difference to the sum at the previous event. The first event of an address space in a window has no
// previous one: the value after it is stored in `first`, and user space subtracts what it read of the process when the
// window began. A new address space begins at 0.

// bcc attaches functions named raw_tracepoint__NAME by itself; here user space decides when to attach.
#define TRACED(name) int on_##name(struct bpf_raw_tracepoint_args *ctx)

struct state {
	u64 window;
	u64 moves;     // entries of moves[] used, or more: then some are lost
	u64 lost;      // events without room
	s64 exchanged; // entries, but the first, of pages that migrated to another frame; of any process
};

enum { FILE_PAGES, ANON_PAGES, SWAP_ENTRIES, SHMEM_PAGES, MEMBERS }; // include/linux/mm_types_task.h
enum { EXECED = 1, EXITED = 2 };
enum { RACE_NS = 20000 }; // two processors whose events are closer together may have read each other's change

struct space_key {
	u64 mm;
	u64 window;
};

struct space {
	s64 pages[MEMBERS];
	u32 known; // bit by member: pages[] holds what the last event left
	u32 cpu;
	u64 at_ns;
};

struct process_key {
	u32 window;
	u32 tgid;
};

struct churn {
	u64 came; // pages
	u64 went;
	u64 forked; // pages that a child got by fork: counted of the parent, whose tgid the child still has
	u64 copied; // faults that may have replaced a frame by another; likewise khugepaged and ksmd
	u64 moved;  // pages that mremap may have moved
	u64 raced;  // events of which another processor's event may have hidden a part
	s64 held;   // pages that its threads held back when they were first seen (before Linux 6.2)
	s64 first[MEMBERS];
	s64 most[MEMBERS]; // pages that it had after any event, at most
	u32 first_known;
	u32 flags;
};

struct frame_key {
	u64 pfn;
	u64 window;
};

struct move {
	u64 window;
	u32 tgid;
	u32 hierarchy;
	char path[MOVE_PATH];
};

BPF_ARRAY(states, struct state, 1);
BPF_HASH(spaces, struct space_key, struct space, 65536);
BPF_HASH(processes, struct process_key, struct churn, 65536);
BPF_HASH(parents, struct process_key, u32, 65536);
BPF_ARRAY(moves, struct move, MOVES);
BPF_TABLE("lru_hash", struct frame_key, u64, migrated, 65536);
BPF_ARRAY(cpu_offsets, u64, CPUS);

// The verifier needs the bound where it is used; clang would optimize it away.
static inline u32 slot_of(u32 member)
{
	asm volatile("%0 &= 3" : "+r"(member));
	return member;
}

static inline struct state *state_now(void)
{
	int zero = 0;
	struct state *state = states.lookup(&zero);
	return state && state->window ? state : 0;
}

static inline u64 word_at(u64 address)
{
	u64 word = 0;
	bpf_probe_read_kernel(&word, sizeof(word), (void *)address);
	return word;
}

static inline u32 half_at(u64 address)
{
	u32 half = 0;
	bpf_probe_read_kernel(&half, sizeof(half), (void *)address);
	return half;
}

static inline struct churn *churn_of(struct state *state, u32 tgid)
{
	struct process_key key = { .window = state->window, .tgid = tgid };
	struct churn nothing = {};
	struct churn *churn = processes.lookup_or_try_init(&key, &nothing);
	if (!churn)
		__sync_fetch_and_add(&state->lost, 1);
	return churn;
}

static inline u32 tgid_of_task(u64 task)
{
	return half_at(task + OFF_TASK_TGID);
}

// The process that an address space belongs to: mm->owner. While fork creates it, that is the parent, because the
// child's tgid is still its parent's; while exec creates it, the process that execs.
static inline u32 owner_of(u64 mm)
{
	u64 owner = word_at(mm + OFF_MM_OWNER);
	return owner ? tgid_of_task(owner) : 0;
}

#ifdef ATOMIC_COUNTERS // before Linux 6.2 the tracepoint's arguments include the value
static inline s64 pages_of(u64 mm, u32 member, u64 argument)
{
	return (s64)argument > 0 ? (s64)argument : 0;
}
#else
static inline s64 pages_of(u64 mm, u32 member, u64 argument)
{
	u64 counter = mm + OFF_MM_RSS_STAT + member * SIZE_COUNTER;
	u64 per_cpu = word_at(counter + OFF_COUNTER_COUNTERS);
	s64 sum = word_at(counter + OFF_COUNTER_COUNT);

	for (int cpu = 0; cpu < CPUS; cpu++) {
		int index = cpu;
		u64 *offset = cpu_offsets.lookup(&index);
		if (offset && *offset)
			sum += (s32)half_at(per_cpu + *offset);
	}
	return sum;
}
#endif

static inline void note_most(struct churn *churn, u32 member, s64 pages)
{
	if (pages > churn->most[slot_of(member)])
		churn->most[slot_of(member)] = pages;
}

static inline void note_first(struct state *state, u32 tgid, u32 member, s64 pages)
{
	struct churn *churn = churn_of(state, tgid);
	if (!churn)
		return;
	note_most(churn, member, pages);
	if (churn->first_known & 1 << member)
		return;
	churn->first[slot_of(member)] = pages;
	churn->first_known |= 1 << member;
}

// pages: what it has after the change, of one kind; less where that is unknown.
static inline void note_change(struct state *state, u32 tgid, s64 change, bool raced, bool forking, u32 member,
			       s64 pages)
{
	struct churn *churn = churn_of(state, tgid);
	if (!churn)
		return;
	note_most(churn, member, pages);
	if (forking && change > 0)
		__sync_fetch_and_add(&churn->forked, change);
	else if (change > 0)
		__sync_fetch_and_add(&churn->came, change);
	else
		__sync_fetch_and_add(&churn->went, -change);
	if (raced)
		__sync_fetch_and_add(&churn->raced, 1);
}

#ifdef ATOMIC_COUNTERS
// Before Linux 6.2 a thread holds back the changes of its last faults, at most 64 of them (mm/memory.c,
// SPLIT_RSS_COUNTING); the tracepoint fires only when it hands them over. So what each thread holds is read when it
// starts and stops running; at both ends of the window user space makes all threads stop. What is held grows from 0 by
// 1 for each page and kind. Only copying a file's page for writing decreases it, and that fault is counted separately.
struct thread_key {
	u32 window;
	u32 tid;
};

struct held {
	s32 pages[MEMBERS];
};

BPF_HASH(threads, struct thread_key, struct held, 65536);

static inline s64 magnitude(s64 pages)
{
	return pages < 0 ? -pages : pages;
}

// What a thread holds. What was added to it since the last call is counted.
static inline struct held *look_at_held(struct state *state, u64 task)
{
	struct thread_key key = { .window = state->window, .tid = half_at(task + OFF_TASK_PID) };
	u32 tgid = tgid_of_task(task);
	struct held now = {}, *before = threads.lookup(&key);
	s64 grown = 0, all = 0;

	if (!word_at(task + OFF_TASK_MM))
		return 0; // a kernel thread, or an exiting one, which has handed over
	bpf_probe_read_kernel(&now, sizeof(now), (void *)(task + OFF_TASK_RSS_STAT + OFF_HELD_COUNT));
	now.pages[SWAP_ENTRIES] = 0;
	for (int member = 0; member < MEMBERS; member++) {
		s64 more = before ? magnitude(now.pages[member]) - magnitude(before->pages[member]) : 0;
		grown += more > 0 ? more : 0;
		all += now.pages[member];
	}
	if (grown)
		note_change(state, tgid, grown, false, false, 0, 0);
	struct churn *churn = !before && all ? churn_of(state, tgid) : 0;
	if (churn)
		__sync_fetch_and_add(&churn->held, all);
	if (threads.update(&key, &now))
		__sync_fetch_and_add(&state->lost, 1);
	return threads.lookup(&key);
}

// (bool preempt, struct task_struct *prev, struct task_struct *next, ...)
TRACED(sched_switch)
{
	struct state *state = state_now();
	if (state) {
		look_at_held(state, ctx->args[1]);
		look_at_held(state, ctx->args[2]);
	}
	return 0;
}

// The part of a change of an address space that was not counted while a thread held it. If the change was not a
// handover, nothing is lost: what is held then counts from 0 again.
static inline s64 not_held(struct state *state, u64 mm, u32 member, s64 change)
{
	u64 task = bpf_get_current_task();
	struct held *held = word_at(task + OFF_TASK_MM) == mm ? look_at_held(state, task) : 0;
	if (!held)
		return change;
	s64 pages = held->pages[slot_of(member)];
	held->pages[slot_of(member)] = 0;
	bool is_of_it = (pages < 0) == (change < 0) && magnitude(pages) <= magnitude(change);
	return is_of_it ? change - pages : change;
}
#else
static inline s64 not_held(struct state *state, u64 mm, u32 member, s64 change)
{
	return change;
}
#endif

// (struct mm_struct *mm, int member); before Linux 6.2 also (long count)
TRACED(rss_stat)
{
	struct state *state = state_now();
	u64 mm = ctx->args[0], now_ns = bpf_ktime_get_ns();
	u32 member = ctx->args[1], cpu = bpf_get_smp_processor_id();

	if (!state || member >= MEMBERS || member == SWAP_ENTRIES)
		return 0;
	u64 owner = word_at(mm + OFF_MM_OWNER);
	if (!owner) {
		// An address space without an owner: its last process has released it. That is noted for the process,
		// all of whose memory then counts as gone.
		if (!word_at(bpf_get_current_task() + OFF_TASK_MM)) {
			struct churn *churn = churn_of(state, bpf_get_current_pid_tgid() >> 32);
			if (churn)
				churn->flags |= EXITED;
		}
		return 0;
	}
	struct space_key key = { .mm = mm, .window = state->window };
	struct space nothing = {};
	struct space *space = spaces.lookup_or_try_init(&key, &nothing);
	if (!space) {
		__sync_fetch_and_add(&state->lost, 1);
		return 0;
	}
	s64 pages = pages_of(mm, member, ctx->args[2]);
	s64 before = space->pages[slot_of(member)];
	bool raced = space->cpu != cpu && space->known && now_ns - space->at_ns < RACE_NS;
	bool known = space->known & 1 << member;
	// Created by fork, for a task that has none yet, or by exec, by the task itself: it began at 0.
	bool newborn = word_at(owner + OFF_TASK_MM) != mm;
	bool forking = newborn && owner != bpf_get_current_task();
	known = known || newborn;
	space->pages[slot_of(member)] = pages;
	space->known |= 1 << member;
	space->cpu = cpu;
	space->at_ns = now_ns;
	s64 change = not_held(state, mm, member, pages - before);
	if (known)
		note_change(state, tgid_of_task(owner), change, raced, forking, member, pages);
	else
		note_first(state, tgid_of_task(owner), member, pages);
	return 0;
}

static inline int note_exchange(u64 mm, u64 pages)
{
	struct state *state = state_now();
	u32 tgid = state ? owner_of(mm) : 0;
	struct churn *churn = tgid ? churn_of(state, tgid) : 0;
	if (churn)
		__sync_fetch_and_add(&churn->copied, pages);
	return 0;
}

#ifdef FAULT_FLAG_WRITE // no tracepoints of faults: arm64
struct registers {
	u64 words[21]; // of struct pt_regs, no more than any architecture has
};

// A write fault may copy the page to another frame, and no counter changes. Whether there was a page is not told, so that those
// that bring one count, too. Whoever faults for somebody else (ptrace) is seen as well.
// (struct vm_area_struct *vma, unsigned long address, unsigned int flags, struct pt_regs *regs): mm/memory.c
int on_handle_mm_fault(struct registers *ctx)
{
	u64 vma = ctx->words[OFF_FIRST_OF_FUNCTION / 8], flags = ctx->words[OFF_THIRD_OF_FUNCTION / 8];
	return flags & FAULT_FLAG_WRITE ? note_exchange(word_at(vma + OFF_VMA_MM), 1) : 0;
}
#else
// A write fault on a present entry (bits 0 and 1 of the error code) may copy the page to another frame, and no counter
// changes. (unsigned long address, struct pt_regs *regs, unsigned long error_code)
static inline int note_fault(u64 error_code)
{
	struct state *state = state_now();
	if (!state || (error_code & FAULT_MASK) != FAULT_MASK)
		return 0;
	struct churn *churn = churn_of(state, bpf_get_current_pid_tgid() >> 32);
	if (churn)
		__sync_fetch_and_add(&churn->copied, 1);
	return 0;
}

TRACED(page_fault_user)
{
	return note_fault(ctx->args[2]);
}

TRACED(page_fault_kernel)
{
	return note_fault(ctx->args[2]);
}
#endif

// mremap moves entries: the walk may meet a page twice or not at all. (struct pt_regs *regs, long id)
TRACED(sys_enter)
{
	struct state *state;
	if (ctx->args[1] != SYS_MREMAP || !(state = state_now()))
		return 0;
	struct churn *churn = churn_of(state, bpf_get_current_pid_tgid() >> 32);
	if (churn) // old_len, the second argument
		__sync_fetch_and_add(&churn->moved,
				     (word_at(ctx->args[0] + OFF_SECOND_OF_CALL) + PAGE_BYTES - 1) / PAGE_BYTES);
	return 0;
}

// (struct task_struct *parent, struct task_struct *child)
TRACED(sched_process_fork)
{
	struct state *state = state_now();
	if (!state)
		return 0;
	u32 tgid = tgid_of_task(ctx->args[1]), parent = tgid_of_task(ctx->args[0]);
	struct process_key key = { .window = state->window, .tgid = tgid };
	if (tgid != parent && parents.update(&key, &parent))
		__sync_fetch_and_add(&state->lost, 1);
	return 0;
}

static inline int note_flag(u32 tgid, u32 flag)
{
	struct state *state = state_now();
	struct churn *churn = state ? churn_of(state, tgid) : 0;
	if (churn)
		churn->flags |= flag;
	return 0;
}

// (struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
TRACED(sched_process_exec)
{
	return note_flag(tgid_of_task(ctx->args[0]), EXECED);
}

// (struct task_struct *task, ...): only for the first thread of a process
TRACED(sched_process_exit)
{
	u32 tgid = tgid_of_task(ctx->args[0]);
	return half_at(ctx->args[0] + OFF_TASK_PID) == tgid ? note_flag(tgid, EXITED) : 0;
}

// (struct cgroup *to, const char *path, struct task_struct *task, bool threadgroup)
TRACED(cgroup_attach_task)
{
	struct state *state = state_now();
	if (!state)
		return 0;
	u32 index = __sync_fetch_and_add(&state->moves, 1);
	struct move *move = index < MOVES ? moves.lookup(&index) : 0;
	if (!move)
		return 0;
	move->window = state->window;
	move->tgid = tgid_of_task(ctx->args[2]);
	move->hierarchy = half_at(word_at(ctx->args[0] + OFF_CGROUP_ROOT) + OFF_ROOT_HIERARCHY);
	bpf_probe_read_kernel_str(move->path, sizeof(move->path), (void *)ctx->args[1]);
	return 0;
}

// (unsigned long pfn, void *rmap_item, void *mm, int err)
TRACED(ksm_merge_one_page)
{
	return note_exchange(ctx->args[2], 1);
}

// (void *ksm_page, unsigned long pfn, void *rmap_item, void *mm, int err)
TRACED(ksm_merge_with_ksm_page)
{
	return note_exchange(ctx->args[3], 1);
}

// khugepaged and MADV_COLLAPSE. (struct mm_struct *mm, int isolated, int status)
TRACED(mm_collapse_huge_page)
{
	return note_exchange(ctx->args[0], HUGE_PAGES);
}

// Migration replaces the frame behind all entries of a page. A zone with one entry of it has one frame before and
// after. A zone with two may be met with the old frame in one and the new frame in the other. So every entry of a page
// but the first counts. If migration fails, the old frame is restored, and nothing was exchanged. The frame number in
// the migration entry, an offset into swap to the processor, tells the page.
static inline struct frame_key frame_key_of(struct state *state, u64 pfn)
{
	struct frame_key key = { .pfn = pfn & MIGRATION_MASK, .window = state->window };
	return key;
}

static inline int note_migrating(u64 entry, u32 pages)
{
	struct state *state = state_now();
	if (!state)
		return 0;
	struct frame_key key = frame_key_of(state, (entry ^ SWAP_INVERSION) >> SWAP_OFFSET_SHIFT);
	u64 one = 1, *entries = migrated.lookup(&key);
	if (!entries)
		migrated.update(&key, &one);
	else if (__sync_fetch_and_add(entries, 1))
		__sync_fetch_and_add(&state->exchanged, pages);
	return 0;
}

static inline int note_restored(u64 entry, u32 pages)
{
	struct state *state = state_now();
	if (!state)
		return 0;
	struct frame_key key = frame_key_of(state, (entry & FRAME_MASK) / PAGE_BYTES);
	u64 *entries = migrated.lookup(&key);
	if (entries && *entries && (s64)__sync_fetch_and_add(entries, -1) > 1)
		__sync_fetch_and_add(&state->exchanged, -(s64)pages);
	return 0;
}

// All four: (unsigned long address, unsigned long entry, ...)
TRACED(set_migration_pte)
{
	return note_migrating(ctx->args[1], 1);
}

TRACED(set_migration_pmd)
{
	return note_migrating(ctx->args[1], HUGE_PAGES);
}

TRACED(remove_migration_pte)
{
	return note_restored(ctx->args[1], 1);
}

TRACED(remove_migration_pmd)
{
	return note_restored(ctx->args[1], HUGE_PAGES);
}

// The verifier forbids arithmetic on map pointers and on pointers that may be null; a copy is a number to it.
static inline u64 number_of(u64 pointer)
{
	return word_at((u64)&pointer);
}

// Run once: find each processor's offset of per-cpu data. The map CALIBRATION is per-cpu itself: its struct bpf_array
// holds the address that is common to all, and a lookup gives a processor's own address.
TRACED(calibrate)
{
	u64 map = bpf_pseudo_fd(1, CALIBRATION);
	u64 shared = word_at(number_of(map) + OFF_ARRAY_PPTRS);
	u32 zero = 0;

	for (int cpu = 0; cpu < CPUS; cpu++) {
		int index = cpu;
		u64 own = number_of((u64)bpf_map_lookup_percpu_elem((void *)map, &zero, cpu));
		u64 offset = own && shared ? own - shared : 0;
		cpu_offsets.update(&index, &offset);
	}
	return 0;
}
