// The page tables of many processes into one census, copied out of the kernel by bpf/pagetable.bpf.c.
//
// Each thread takes a job at a time, the largest first: a BPF iterator over the VMAs of that one process, read until it
// says that it is done; whenever it says EAGAIN, or is done, the thread's buffer is full of raw page table entries. The
// census may be marked by several threads at once (census.h), so what the result is does not depend on who took what.
//
// What an entry means is what the kernel's own walkers make of it: arch/x86/include/asm/pgtable{,_64,-2level_types}.h,
// mm/memory.c (vm_normal_page), fs/proc/task_mmu.c (smaps_pte_entry, pte_to_pagemap_entry).

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agenda.h"
#include "census.h"
#include "jobs.h"
#include "kinds.h"
#include "pagetable_object.h"
#include "twins.h"

// Bits of an entry. Where PRESENT is clear but the entry is not, all address bits are inverted (L1TF).
#define ENTRY_PRESENT (UINT64_C(1) << 0)
#define ENTRY_WRITABLE (UINT64_C(1) << 1)
#define ENTRY_ACCESSED (UINT64_C(1) << 5)
#define ENTRY_DIRTY (UINT64_C(1) << 6)
#define ENTRY_LEAF (UINT64_C(1) << 7) // above the last level; stays set while a huge page is being split
#define ENTRY_PROTNONE (UINT64_C(1) << 8)
#define ENTRY_SPECIAL (UINT64_C(1) << 9) // no page that belongs to anybody: the zero page, device memory
#define ENTRY_SAVED_DIRTY (UINT64_C(1) << 58)
#define ENTRY_NOTHING (ENTRY_ACCESSED | ENTRY_DIRTY) // processors of old set these on empty entries

#define PAGE_SHIFT 12
#define LOWEST_FRAME 16 // below are no frames of processes, but the numbers of pte markers
#define ATTEMPTS 3
#define RETRIES 10000 // tables that changed hands under one job, before it counts as a gap

enum { ASK = -1 };

// What take_run() can do by itself.
struct run {
	uint64_t frame_mask;
	struct frame_range ram; // frames of one range
	_Atomic(frame_word *) *chunks; // of the census
	uint64_t zero_pfn;
	uint32_t base; // words below are of an earlier census: frames not met yet
	uint32_t ours; // what the words of some set say that our zone is in
	uint32_t alone; // the same for the set of our zone alone; UINT32_MAX: not known yet
	uint64_t bare; // bits of an entry that its twin has
	uint32_t kind; // of frames not met yet
	uint32_t from, into; // what frames moved out of last, and where our zone takes them; UINT32_MAX: not known yet
	uint64_t known; // frames of ours that were met
	uint64_t fresh; // of these, not met by anybody before
	uint64_t moved[KINDS]; // of these, moved from one set into the other
};

struct walker {
	_Alignas(128) struct pagetable *pagetable;
	const struct walk_settings *settings;
	struct agenda *agenda;

	struct pagetable_worker *worker; // what the program notes
	const char *buffer;
	uint64_t frame_mask;
	uint64_t migration_mask;
	struct frame_range ram; // the range of RAM that was met last
	struct marker marker;
	struct run run;
	struct twins *twins;
	bool only; // there is no other walker
	struct walk_job *job;
	uint64_t huge_zero; // frame of the huge zero page once it was met
	uint64_t reads, faults, retries;
	int error;
};

// ---- frames ----

static bool ram_find(struct walker *w, uint64_t pfn)
{
	const struct pagetable *pagetable = w->pagetable;
	for (size_t i = 0; i < pagetable->ram_ranges; i++)
		if (pfn - pagetable->ram[i].first < pagetable->ram[i].count) {
			w->ram = pagetable->ram[i];
			return true;
		}
	return false;
}

static inline bool is_ram(struct walker *w, uint64_t pfn)
{
	return __builtin_expect(pfn - w->ram.first < w->ram.count, 1) || ram_find(w, pfn);
}

static bool is_zero(struct walker *w, uint64_t pfn)
{
	return pfn == w->settings->zero_pfn || pfn - w->huge_zero < 512;
}

// The kind of frames that this piece maps: one for all, or ASK where a private mapping of a file has copies.
static int kind_of_piece(uint32_t traits)
{
	if (traits & PAGETABLE_HUGETLB)
		return KIND_HUGETLB;
	if (!(traits & PAGETABLE_BACKED))
		return KIND_ANON;
	if (!(traits & PAGETABLE_SHARED) && traits & PAGETABLE_COPIED)
		return ASK;
	if (traits & PAGETABLE_ODD)
		return ASK;
	return traits & PAGETABLE_SHMEM ? KIND_SHMEM : KIND_FILE;
}

static int ask_kind(struct walker *w, uint64_t pfn)
{
	int kind = kind_of_frame(w->settings->kpageflags_fd, pfn);
	return kind == PAGE_DEVICE ? (int)KIND_FILE : kind; // it has a struct page, or the entry would be special
}

// A frame that this census has not met. false: it does not count.
static bool take_first(struct walker *w, uint64_t pfn, uint64_t entry, uint32_t traits)
{
	int kind = kind_of_piece(traits);
	if (is_zero(w, pfn))
		return false;
	// A page of the file itself is neither writable nor dirty in a private mapping.
	if (kind == ASK && !(traits & PAGETABLE_SHARED) && entry & ENTRY_PRESENT &&
	    entry & (ENTRY_WRITABLE | ENTRY_DIRTY | ENTRY_SAVED_DIRTY))
		kind = KIND_ANON;
	if (kind == ASK)
		kind = ask_kind(w, pfn);
	if (kind == PAGE_ZERO)
		return false;
	marker_first(&w->marker, pfn, kind);
	return true;
}

static inline void take_frame(struct walker *w, uint64_t pfn, uint64_t entry, uint32_t traits)
{
	if (__builtin_expect(!is_ram(w, pfn), 0))
		w->job->refused++;
	else if (marker_has(&w->marker, pfn) || marker_known(&w->marker, pfn) || take_first(w, pfn, entry, traits))
		w->job->rss_pages++;
	else
		w->job->zero_pages++;
}

// ---- entries ----

static uint64_t entry_pfn(const struct walker *w, uint64_t entry)
{
	return ((entry & ENTRY_PRESENT ? entry : ~entry) & w->frame_mask) >> PAGE_SHIFT;
}

// Type and offset of an entry that is not present, as include/linux/swapops.h has them after arch/x86's packing.
static uint64_t swap_type(uint64_t entry)
{
	return entry >> 59;
}

static uint64_t swap_offset(uint64_t entry)
{
	return ~entry << 5 >> 14;
}

// The frame of a page under migration. 0: the entry is none such, but a marker, or what a device or a machine check
// has left.
static uint64_t migration_pfn(struct walker *w, uint64_t entry)
{
	uint64_t pfn = swap_offset(entry) & w->migration_mask;
	return swap_type(entry) >= SWAP_TYPES && pfn >= LOWEST_FRAME && ram_find(w, pfn) ? pfn : 0;
}

// An entry of the last level that is not plainly present.
static void take_odd(struct walker *w, uint64_t entry, uint32_t traits)
{
	if (!(entry & ~ENTRY_NOTHING))
		return;
	if (entry & (ENTRY_PRESENT | ENTRY_PROTNONE)) {
		uint64_t pfn = entry_pfn(w, entry);
		if (!(entry & ENTRY_SPECIAL))
			take_frame(w, pfn, entry, traits);
		else if (is_zero(w, pfn))
			w->job->zero_pages++;
		return;
	}
	if (swap_type(entry) < SWAP_TYPES) {
		marker_mark(&w->marker, swap_frame(swap_type(entry), swap_offset(entry)), KIND_SWAP);
		w->job->swap_pages++;
		return;
	}
	uint64_t pfn = migration_pfn(w, entry);
	if (pfn)
		take_frame(w, pfn, entry, traits);
}

// How many frames above the first of the range an entry's frame is; a huge number if the entry is not plainly
// present: what is wrong with its flags ends up in the highest bits.
static inline uint64_t run_offset(const struct run *r, uint64_t entry)
{
	uint64_t flags = ENTRY_PRESENT | ENTRY_SPECIAL;
	uint64_t x = (entry & (r->frame_mask | flags)) - (r->ram.first << PAGE_SHIFT | ENTRY_PRESENT);
	return x >> PAGE_SHIFT | x << (64 - PAGE_SHIFT);
}

// Takes a frame that is not known to be ours, where it is known what becomes of it. false: it is not, or somebody else moved it.
static inline bool take_other(struct run *r, frame_word *slot, uint32_t word, uint64_t pfn)
{
	uint32_t mark = word >> KIND_BITS, kind = word & ((1 << KIND_BITS) - 1);
	bool known = mark == r->from;
	if (!known && ((int32_t)(mark - r->base) >= 0 || r->alone == UINT32_MAX || pfn == r->zero_pfn))
		return false;
	uint32_t next = known ? r->into << KIND_BITS | kind : r->alone << KIND_BITS | r->kind;
	if (!atomic_compare_exchange_strong_explicit(slot, &word, next, memory_order_relaxed, memory_order_relaxed))
		return false;
	r->moved[kind] += known;
	r->fresh += !known;
	return true;
}

// Takes one entry: what is there is counted. false: it is not plain memory, or its frame must change its set or be
// asked for its kind.
static inline bool take_plain(struct run *r, uint64_t entry)
{
	uint64_t offset = run_offset(r, entry), pfn = offset + r->ram.first;
	if (offset >= r->ram.count)
		return !entry;
	frame_word *chunk = atomic_load_explicit(&r->chunks[pfn >> CHUNK_BITS], memory_order_acquire);
	if (!chunk)
		return false;
	frame_word *slot = chunk + (pfn & (CHUNK_FRAMES - 1));
	uint32_t word = atomic_load_explicit(slot, memory_order_relaxed), mark = word >> KIND_BITS;
	if (mark != r->ours && mark != r->alone && !take_other(r, slot, word, pfn))
		return false;
	r->known++;
	return true;
}

// Returns how many entries were taken, up to one that take_plain() will not take. twin: NULL, or the entries' twins.
static __attribute__((noinline)) uint32_t take_run(struct run *run, const uint64_t *entries, uint64_t *twin,
						   uint32_t count)
{
	struct run r = *run;
	uint32_t i = 0;
	while (i < count) {
		if (twin)
			i += twins_same(entries + i, twin + i, count - i, r.bare, &r.known);
		uint32_t stop = i + TWIN_STRIDE < count ? i + TWIN_STRIDE : count;
		for (; i < stop && take_plain(&r, entries[i]); i++)
			if (twin)
				twin[i] = entries[i] & r.bare;
		if (i < stop)
			break;
	}
	*run = r;
	return i;
}

// What the census has noted of a frame; 0: nothing, or it is no RAM.
static uint32_t word_of(struct walker *w, uint64_t pfn)
{
	const frame_word *slot = is_ram(w, pfn) ? census_slot(w->marker.census, pfn) : NULL;
	return slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;
}

// Learn from a frame that was just taken: the set it is in now is one of our zone's.
static void run_follow(struct walker *w, struct run *run, uint64_t pfn)
{
	uint32_t mark = word_of(w, pfn) >> KIND_BITS, set = mark - run->base;
	run->ram = w->ram;
	if ((int32_t)set > 0 && set < w->marker.room && w->marker.next[set] == ((uint64_t)w->marker.stamp << 32 | set))
		run->ours = mark;
}

// What was counted on the way goes to the marker and the job.
static void run_flush(struct walker *w, struct run *run)
{
	w->job->rss_pages += run->known;
	if (run->fresh)
		w->marker.moved[run->alone - run->base][run->kind] += run->fresh;
	for (int kind = 0; run->from != UINT32_MAX && kind < KINDS; kind++) {
		w->marker.moved[run->from - run->base][kind] -= run->moved[kind];
		w->marker.moved[run->into - run->base][kind] += run->moved[kind];
	}
	run->known = run->fresh = 0;
	memset(run->moved, 0, sizeof(run->moved));
}

// A frame was of this set before it was taken: others of that set go the same way, which the marker has noted.
static void run_remember(struct walker *w, struct run *run, uint32_t word)
{
	uint32_t mark = word >> KIND_BITS, set = mark - run->base;
	if ((int32_t)set <= 0 || set >= w->marker.room || w->marker.next[set] >> 32 != w->marker.stamp ||
	    mark == run->from || (uint32_t)w->marker.next[set] == set)
		return;
	run_flush(w, run);
	run->from = mark;
	run->into = run->base + (uint32_t)w->marker.next[set];
}

// The set of our zone alone, if the marker has come across it.
static void run_learn(const struct walker *w, struct run *run)
{
	if (w->marker.next[0] >> 32 == w->marker.stamp && run->kind < KINDS)
		run->alone = run->base + (uint32_t)w->marker.next[0];
}

static uint64_t *twin_of(struct walker *w, const struct pagetable_piece *piece)
{
	if (!agenda_has_siblings(w->agenda, w->job) || piece->entries < TWIN_STRIDE)
		return NULL;
	uint64_t *twin = twins_find(w->twins, w->job->zone, piece->address);
	return twin ? twin + (piece->address >> PAGE_SHIFT) % TWIN_ENTRIES : NULL;
}

static void take_table(struct walker *w, const struct pagetable_piece *piece, const uint64_t *entries)
{
	struct run *run = &w->run;
	uint32_t count = piece->entries, traits = piece->traits;
	uint64_t *twin = twin_of(w, piece);
	run->kind = kind_of_piece(traits);
	run->alone = UINT32_MAX;
	run_learn(w, run);
	for (uint32_t i = 0; (i += take_run(run, entries + i, twin ? twin + i : NULL, count - i)) < count; i++) {
		uint64_t entry = entries[i];
		if ((entry & (ENTRY_PRESENT | ENTRY_SPECIAL)) != ENTRY_PRESENT) {
			take_odd(w, entry, traits);
			continue;
		}
		uint64_t pfn = (entry & w->frame_mask) >> PAGE_SHIFT;
		uint32_t before = word_of(w, pfn);
		take_frame(w, pfn, entry, traits);
		run_follow(w, run, pfn);
		run_remember(w, run, before);
		run_learn(w, run);
	}
	run_flush(w, run);
}

// The first frame that a leaf of a higher level maps. 0: it maps none that counts.
static uint64_t leaf_pfn(struct walker *w, uint64_t entry, uint32_t shift)
{
	if (!(entry & (ENTRY_PRESENT | ENTRY_PROTNONE | ENTRY_LEAF)))
		return entry & ~ENTRY_NOTHING ? migration_pfn(w, entry) : 0;
	return entry_pfn(w, entry) >> (shift - PAGE_SHIFT) << (shift - PAGE_SHIFT);
}

// Since Linux 6.17 the huge zero page is special, too; before, it looks like any clean huge page.
static bool leaf_is_huge_zero(struct walker *w, uint64_t pfn, uint64_t entry, uint32_t traits)
{
	uint64_t flags;
	if (traits & PAGETABLE_BACKED || entry & ENTRY_WRITABLE)
		return false;
	if (is_zero(w, pfn))
		return true;
	if (!(entry & ENTRY_SPECIAL) && marker_has(&w->marker, pfn))
		return false;
	if (!kpage_read(w->settings->kpageflags_fd, pfn, &flags) || !kpage_has(flags, KPF_ZERO_PAGE))
		return false;
	w->huge_zero = pfn;
	return true;
}

static void take_leaf(struct walker *w, const struct pagetable_piece *piece, uint64_t entry)
{
	uint32_t traits = piece->traits;
	uint64_t pages = UINT64_C(1) << (piece->shift - PAGE_SHIFT);
	uint64_t offset = piece->address >> PAGE_SHIFT & (pages - 1);
	uint64_t pfn = leaf_pfn(w, entry, piece->shift), before = w->job->rss_pages;
	if (!pfn || traits & PAGETABLE_DEVICE)
		return;
	if (leaf_is_huge_zero(w, pfn, entry, traits)) {
		w->job->zero_pages += pages - offset;
		return;
	}
	if (entry & ENTRY_PRESENT && entry & ENTRY_SPECIAL)
		return;
	// What the first frame counts as, the others count as, too.
	int kind = kind_of_piece(traits);
	take_frame(w, pfn + offset, entry, traits);
	if (kind == ASK || w->job->rss_pages == before || !is_ram(w, pfn + pages - 1)) {
		for (uint64_t i = offset + 1; i < pages; i++)
			take_frame(w, pfn + i, entry, traits);
	} else {
		marker_run(&w->marker, pfn + offset + 1, pages - offset - 1, kind, w->only);
		w->job->rss_pages += pages - offset - 1;
	}
	if (traits & PAGETABLE_HUGETLB) {
		w->job->hugetlb_pages += w->job->rss_pages - before;
		w->job->rss_pages = before;
	}
}

static void drain(struct walker *w)
{
	const char *at = w->buffer, *end = at + w->worker->used;
	while (at < end) {
		const struct pagetable_piece *piece = (const struct pagetable_piece *)at;
		const uint64_t *entries = (const uint64_t *)(piece + 1);
		w->job->words += piece->entries;
		if (piece->shift == PAGE_SHIFT)
			take_table(w, piece, entries);
		else
			take_leaf(w, piece, *entries);
		at = (const char *)(entries + piece->entries);
	}
	w->worker->used = 0;
}

// ---- a job ----

static bool same_process(const struct walker *w)
{
	uint64_t ns = w->worker->start_boottime_ns + w->pagetable->boot_offset_ns;
	return ns / (1000000000 / 100) == w->job->start_ticks; // USER_HZ is 100 on x86
}

// 0: all of it was read; or the cause of a gap.
static int read_tables(struct walker *w, int fd)
{
	struct pagetable_worker *worker = w->worker;
	for (;;) {
		char byte;
		ssize_t got = read(fd, &byte, sizeof(byte));
		int error = got < 0 ? errno : 0;
		w->reads++;
		if (error && error != EAGAIN && error != EINTR)
			return error;
		if (worker->met && !same_process(w))
			return WALK_REUSED;
		drain(w);
		if (!error)
			break;
		if (worker->retries > RETRIES)
			return WALK_BUSY;
	}
	if (worker->execs)
		return WALK_EXECED;
	return worker->met && !worker->unfinished ? 0 : WALK_EXITED;
}

static int walk_once(struct walker *w)
{
	struct pagetable_worker *worker = w->worker;
	int link_fd, fd = pagetable_iterate(w->pagetable, w->job->pid, w->job->leader, &link_fd);
	if (fd < 0) {
		w->error = fd;
		return -fd;
	}
	memset(worker, 0, sizeof(*worker));
	worker->tid = gettid();
	w->job->rss_pages = w->job->hugetlb_pages = w->job->swap_pages = w->job->zero_pages = 0;
	int cause = read_tables(w, fd);
	w->job->vmas = worker->vmas;
	w->faults += worker->faults;
	w->retries += worker->retries;
	close(fd);
	close(link_fd);
	return cause;
}

static void walk_job(struct walker *w)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", w->job->leader);
	int dir = openat(w->settings->proc_fd, text, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		job_gap(w->job, STEP_OPEN, job_cause(-errno));
		return;
	}
	marker_zone(&w->marker, w->job->zone);
	w->run = (struct run){ .frame_mask = w->frame_mask, .base = w->marker.base, .chunks = w->marker.census->chunks,
			       .zero_pfn = w->settings->zero_pfn, .ours = UINT32_MAX, .from = UINT32_MAX,
			       .bare = w->frame_mask | ENTRY_PRESENT | ENTRY_SPECIAL };
	int cause = walk_once(w);
	for (int attempt = 1; attempt < ATTEMPTS && (cause == WALK_EXECED || cause == WALK_EXITED); attempt++) {
		// Seen as unfinished, but alive: it unmapped what was left, or began a new program.
		if (cause == WALK_EXITED && !job_still_there(w->job, dir))
			break;
		if (cause == WALK_EXECED)
			job_gap(w->job, STEP_TABLES, cause);
		cause = walk_once(w);
	}
	// Alive, with memory, and yet the kernel would not show it: some kernels shield some processes.
	if (cause == WALK_EXITED && !w->worker->met && job_still_there(w->job, dir))
		job_gap(w->job, STEP_OPEN, EACCES);
	if (cause)
		job_gap(w->job, cause == WALK_REUSED ? STEP_OPEN : STEP_TABLES, cause);
	job_check_moved(w->job, dir, w->settings);
	close(dir);
}

// ---- threads ----

static bool walk_one(void *walker, struct walk_job *job)
{
	struct walker *w = walker;
	w->job = job;
	walk_job(w);
	return !w->error;
}

static void *walker_run(void *argument)
{
	struct walker *w = argument;
	agenda_work(w->agenda, walk_one, w);
	return NULL;
}

static int walker_init(struct walker *w, struct pagetable *pagetable, uint32_t index, struct census *census)
{
	w->pagetable = pagetable;
	w->worker = &pagetable->state->workers[index];
	w->buffer = pagetable->buffers + (size_t)index * PAGETABLE_BUFFER_BYTES;
	w->frame_mask = pagetable->state->settings.frame_mask;
	// MAX_PHYSMEM_BITS less those of the page: bits above are notes about the page (SWP_MIG_YOUNG, SWP_MIG_DIRTY).
	w->migration_mask = (UINT64_C(1) << (pagetable->state->settings.levels == 5 ? 40 : 34)) - 1;
	w->huge_zero = UINT64_MAX / 2;
	w->twins = &pagetable->twins[index];
	twins_restart(w->twins);
	memset(w->worker, 0, sizeof(*w->worker));
	return marker_init(&w->marker, census);
}

static int walker_deinit(struct walker *w)
{
	memset(w->worker, 0, sizeof(*w->worker));
	w->pagetable->reads += w->reads;
	w->pagetable->faults += w->faults;
	w->pagetable->retries += w->retries;
	int error = marker_deinit(&w->marker);
	return error ? error : w->error;
}

// The first walker is this thread. Where no further thread can be had, the others do its work.
static int run_walkers(struct walker *walkers, size_t threads)
{
	pthread_t ids[PAGETABLE_WORKERS];
	size_t started = 1;
	while (started < threads && !pthread_create(&ids[started], NULL, walker_run, &walkers[started]))
		started++;
	walker_run(&walkers[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(ids[i], NULL);
	int error = 0;
	for (size_t i = 0; i < threads; i++) {
		int failed = walker_deinit(&walkers[i]);
		error = error ? error : failed;
	}
	return error;
}

static size_t threads_for(const struct pagetable *pagetable, size_t count, const struct walk_settings *settings)
{
	size_t threads = settings->threads < 1 ? 1 : settings->threads;
	if (threads > pagetable->workers)
		threads = pagetable->workers;
	return threads > count ? (count ? count : 1) : threads;
}

int walk_pagetable(struct pagetable *pagetable, struct census *census, struct walk_job *jobs, size_t count,
		   const struct walk_settings *settings)
{
	struct walker walkers[PAGETABLE_WORKERS] = { 0 };
	size_t threads = threads_for(pagetable, count, settings), begun = 0;
	struct agenda agenda;
	int error = agenda_init(&agenda, jobs, count, census->zones);
	if (error)
		return error;
	pthread_mutex_lock(&pagetable->lock);
	for (; !error && begun < threads; begun++) {
		walkers[begun] = (struct walker){ .settings = settings, .agenda = &agenda,
						  .only = threads == 1 };
		error = walker_init(&walkers[begun], pagetable, begun, census);
	}
	if (!error)
		error = run_walkers(walkers, threads);
	else
		for (size_t i = 0; i + 1 < begun; i++)
			walker_deinit(&walkers[i]);
	pthread_mutex_unlock(&pagetable->lock);
	agenda_deinit(&agenda);
	return error;
}

void pagetable_counts(const struct pagetable *pagetable, uint64_t *faults, uint64_t *retries, uint64_t *reads)
{
	*faults = pagetable->faults;
	*retries = pagetable->retries;
	*reads = pagetable->reads;
}
