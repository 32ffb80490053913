// The page tables of many processes into one census, copied out of the kernel by bpf/pagetable.bpf.c.
//
// Each thread takes a job at a time, the largest first: a BPF iterator over the VMAs of that one process, read until it
// says that it is done; whenever it says EAGAIN, or is done, the thread's buffer is full of raw page table entries. The
// census may be marked by several threads at once (marker.h), so what the result is does not depend on who took what.
//
// What an entry means is what the kernel's own walkers make of it: mm/memory.c (vm_normal_page), fs/proc/task_mmu.c
// (smaps_pte_entry, pte_to_pagemap_entry), and what its bits are on this architecture (entry.h).

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entry.h"
#include "foreign.h"
#include "jobs.h"
#include "known.h"
#include "marker.h"
#include "pageflags.h"
#include "pagetable_object.h"
#include "pool.h"
#include "slices.h"

#define LOWEST_FRAME 16 // below are no frames of processes, but the numbers of pte markers
#define ATTEMPTS 3
#define RETRIES 10000 // tables that changed hands under one job, before it counts as a gap

enum { ASK = KINDS }; // each frame has to be asked

// Who marks for one of the owners of a job whose entries are told apart by their accessed bits.
struct side {
	struct marker marker;
	struct streak streak;
};

#define MOST_COLD (1 << 20) // ranges that one thread notes; the others are found by another walk

// The ranges of the job at hand: those that have accessed bits to clear, or those that are cold.
struct gathering {
	struct slice *rows;
	size_t count, room;
	size_t first;	   // of the job
	struct slice open; // the last one, which may go on; its end is 0: there is none
	uint64_t number;   // of it, among all that could be
	bool wanted;	   // there is something to clear in it
	uint32_t alone;	   // what the census says of frames that are the job's own and cold
	int error;
};

struct walker {
	struct worker worker;
	struct pagetable *pagetable;
	const struct walk_host *host;
	struct kpages kpageflags;

	uint32_t slot;			// which worker of the program this is
	struct pagetable_worker *notes; // what the program notes
	char *buffer;
	int pagemap_fd; // of the job, once it was needed; -1
	struct entry_shape shape;
	const struct memory *memory;
	struct frame_range ram; // the range of it that was met last
	struct marker marker;
	struct streak streak;
	struct side idle, kept; // where entries are told apart; marker and streak are then the third side
	struct gathering gathering;
	struct known_tables *known;
	struct walk_job *job;
	uint64_t huge_zero; // frame of the huge zero page once it was met
	uint64_t reads, faults, retries;
};

// ---- frames ----

static bool ram_find(struct walker *w, uint64_t pfn)
{
	const struct memory *memory = w->memory;
	for (size_t i = 0; i < memory->count; i++)
		if (pfn - memory->ranges[i].first < memory->ranges[i].count) {
			w->ram = memory->ranges[i];
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
	return pfn == w->host->zero_pfn || pfn - w->huge_zero < w->host->huge_pages;
}

// The kind of frames that a table copy maps: one for all, or ASK where a private mapping of a file has copies.
static int kind_of_copy(uint32_t traits)
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

// A frame that this census has not met. false: it does not count.
static bool take_first(struct walker *w, uint64_t pfn, uint64_t entry, uint32_t traits)
{
	int kind = kind_of_copy(traits);
	if (is_zero(w, pfn))
		return false;
	// A page of the file itself is neither writable nor dirty in a private mapping.
	if (kind == ASK && !(traits & PAGETABLE_SHARED) && entry & ENTRY_PRESENT && entry & ENTRY_COPY)
		kind = KIND_ANON;
	if (kind == ASK)
		kind = kind_of_frame(&w->kpageflags, pfn, SAYS_NOTHING);
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

// The frame of a page under migration. 0: the entry is none such, but a marker, or what a device or a machine check has left:
// of a poisoned frame the kernel keeps the number in the entry, but it is taken out of use and out of the process's RSS.
// Which type of entry that is depends on the kernel's configuration, so the frame is asked.
static uint64_t migration_pfn(struct walker *w, uint64_t entry)
{
	uint64_t pfn = entry_swap_offset(&w->shape, entry) & w->shape.migration_mask;
	uint64_t flags = 0;
	if (entry_swap_type(&w->shape, entry) < SWAP_TYPES || pfn < LOWEST_FRAME || !ram_find(w, pfn))
		return 0;
	return kpage_read(&w->kpageflags, pfn, &flags) && kpage_has(flags, KPF_HWPOISON) ? 0 : pfn;
}

// An entry of the last level that is not plainly present.
static void take_odd(struct walker *w, uint64_t entry, uint32_t traits)
{
	if (!(entry & ~ENTRY_NOTHING))
		return;
	if (entry_maps(&w->shape, entry)) {
		uint64_t pfn = entry_pfn(&w->shape, entry);
		if (!(entry & ENTRY_SPECIAL))
			take_frame(w, pfn, entry, traits);
		else if (is_zero(w, pfn))
			w->job->zero_pages++;
		return;
	}
	uint64_t type = entry_swap_type(&w->shape, entry);
	if (type < SWAP_TYPES) {
		marker_mark(&w->marker, swap_frame(type, entry_swap_offset(&w->shape, entry)), KIND_SWAP);
		w->job->swap_pages++;
		return;
	}
	uint64_t pfn = migration_pfn(w, entry);
	if (pfn)
		take_frame(w, pfn, entry, traits);
}

// What take_run() needs, in registers.
struct run {
	struct streak streak;
	struct frame_range ram; // frames of one range
	uint64_t zero_pfn;
};

// How many frames above the first of the range an entry's frame is; a huge number if the entry is not plainly
// present: what is wrong with its flags ends up in the highest bits.
static inline uint64_t run_offset(const struct run *r, uint64_t frame_mask, uint32_t shift, uint64_t entry)
{
	uint64_t flags = ENTRY_PRESENT | ENTRY_SPECIAL;
	uint64_t x = (entry & (frame_mask | flags)) - (r->ram.first << shift | ENTRY_PRESENT);
	return x >> shift | x << (64 - shift);
}

// Takes one entry: what is there is counted. false: it is not plain memory, or its frame must change its set or be
// asked for its kind.
static inline bool take_plain(struct run *r, uint64_t frame_mask, uint32_t shift, uint64_t entry)
{
	uint64_t offset = run_offset(r, frame_mask, shift, entry), pfn = offset + r->ram.first;
	if (offset >= r->ram.count)
		return !entry;
	return streak_take(&r->streak, pfn, pfn != r->zero_pfn);
}

// Returns how many entries were taken, up to one that take_plain() will not take.
static __attribute__((noinline)) uint32_t take_run(struct run *run, const struct entry_shape *shape,
						   const uint64_t *entries, uint32_t count)
{
	struct run r = *run;
	uint64_t frame_mask = shape->frame_mask;
	uint32_t shift = shape_page_shift(shape), i = 0;
	while (i < count && take_plain(&r, frame_mask, shift, entries[i]))
		i++;
	*run = r;
	return i;
}

// A present entry that the run did not take.
static void take_present(struct walker *w, struct run *run, uint64_t entry, uint32_t traits)
{
	uint64_t pfn = entry_pfn(&w->shape, entry);
	uint32_t before = is_ram(w, pfn) ? census_word(w->marker.census, pfn) : 0;
	take_frame(w, pfn, entry, traits);
	run->ram = w->ram;
	if (is_ram(w, pfn))
		streak_learn(&run->streak, &w->marker, pfn, before);
}

// Takes each entry. true: all that is there are present entries, so that their masked words say all there is to say.
static bool take_entries(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	struct run run = {
		.streak = w->streak,
		.ram = w->ram,
		.zero_pfn = w->host->zero_pfn,
	};
	uint32_t count = copy->entries, traits = copy->traits;
	bool plain = true;
	streak_kind(&run.streak, &w->marker, kind_of_copy(traits));
	for (uint32_t i = 0; (i += take_run(&run, &w->shape, entries + i, count - i)) < count; i++) {
		plain = plain && entries[i] & ENTRY_PRESENT;
		if ((entries[i] & (ENTRY_PRESENT | ENTRY_SPECIAL)) == ENTRY_PRESENT)
			take_present(w, &run, entries[i], traits);
		else
			take_odd(w, entries[i], traits);
	}
	streak_settle(&run.streak, &w->marker);
	w->job->rss_pages += run.streak.known;
	run.streak.known = 0;
	w->streak = run.streak;
	return plain;
}

static void take_table(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	struct walk_job *job = w->job;
	uint64_t rss = job->rss_pages, zero = job->zero_pages, refused = job->refused;
	if (copy->traits & PAGETABLE_HUGETLB) { // pages of several entries each (arm64: 64 KiB and more)
		take_entries(w, copy, entries);
		job->hugetlb_pages += job->rss_pages - rss;
		job->rss_pages = rss;
		return;
	}
	if (copy->entries < KNOWN_LEAST || !worker_has_siblings(&w->worker)) {
		take_entries(w, copy, entries);
		return;
	}
	// All other bits differ between processes without saying anything about the frame.
	uint64_t mask = w->shape.frame_mask | ENTRY_PRESENT | ENTRY_SPECIAL;
	struct known_table table = {
		.hash = known_hash(&w->known->key, entries, copy->entries, mask),
		.owner = w->marker.owner,
		.traits = copy->traits,
		.entries = copy->entries,
	};
	if (known_find(w->known, &table)) {
		job->rss_pages += table.rss_pages;
		job->zero_pages += table.zero_pages;
		return;
	}
	if (!take_entries(w, copy, entries) || job->refused != refused || w->marker.error)
		return;
	table.rss_pages = job->rss_pages - rss;
	table.zero_pages = job->zero_pages - zero;
	known_add(w->known, &table);
}

// The first frame that a leaf of a higher level maps. 0: it maps none that counts.
static uint64_t leaf_pfn(struct walker *w, uint64_t entry, uint32_t shift)
{
	uint32_t pages_shift = shift - shape_page_shift(&w->shape);
	if (!entry_maps(&w->shape, entry) && !(entry & ENTRY_LEAF_THERE))
		return entry & ~ENTRY_NOTHING ? migration_pfn(w, entry) : 0;
	return entry_pfn(&w->shape, entry) >> pages_shift << pages_shift;
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
	if (!kpage_read(&w->kpageflags, pfn, &flags) || !kpage_has(flags, KPF_ZERO_PAGE))
		return false;
	w->huge_zero = pfn;
	return true;
}

static void take_leaf(struct walker *w, const struct pagetable_copy *copy, uint64_t entry)
{
	uint32_t traits = copy->traits;
	uint32_t page_shift = shape_page_shift(&w->shape);
	uint64_t pages = UINT64_C(1) << (copy->shift - page_shift);
	uint64_t offset = copy->address >> page_shift & (pages - 1);
	uint64_t pfn = leaf_pfn(w, entry, copy->shift), before = w->job->rss_pages;
	if (!pfn || traits & PAGETABLE_DEVICE)
		return;
	if (leaf_is_huge_zero(w, pfn, entry, traits)) {
		w->job->zero_pages += pages - offset;
		return;
	}
	if (entry & ENTRY_PRESENT && entry & ENTRY_SPECIAL)
		return;
	// What the first frame counts as, the others count as, too.
	int kind = kind_of_copy(traits);
	take_frame(w, pfn + offset, entry, traits);
	if (kind == ASK || w->job->rss_pages == before || !is_ram(w, pfn + pages - 1)) {
		for (uint64_t i = offset + 1; i < pages; i++)
			take_frame(w, pfn + i, entry, traits);
	} else {
		marker_run(&w->marker, pfn + offset + 1, pages - offset - 1, kind, worker_count(&w->worker) == 1);
		w->job->rss_pages += pages - offset - 1;
	}
	if (traits & PAGETABLE_HUGETLB) {
		w->job->hugetlb_pages += w->job->rss_pages - before;
		w->job->rss_pages = before;
	}
}

static void take_copy(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	if (copy->shift == shape_page_shift(&w->shape))
		take_table(w, copy, entries);
	else
		take_leaf(w, copy, *entries);
}

// ---- by accessed bits ----

// Was what the entry maps not touched since its accessed bit was cleared?
static inline bool entry_is_idle(const struct walker *w, uint64_t entry)
{
	return entry_maps(&w->shape, entry) && !(entry & ENTRY_ACCESSED);
}

static void side_swap(struct walker *w, struct side *side)
{
	struct side now = { w->marker, w->streak };
	w->marker = side->marker;
	w->streak = side->streak;
	*side = now;
}

// Does a mapping keep its bits? madvise(2) refuses locked ones and looks at pages on the lists of reclaim only, which those that a
// driver maps are not (mm/madvise.c); clear_refs leaves out VM_PFNMAP and hugetlb (fs/proc/task_mmu.c).
static bool copy_keeps(const struct pagetable_copy *copy, uint32_t cleared_by)
{
	uint32_t traits = copy->traits, driver = PAGETABLE_BACKED | PAGETABLE_ODD;
	if (traits & (PAGETABLE_HUGETLB | PAGETABLE_DEVICE))
		return true;
	return cleared_by == CLEARED_BY_COLD && (traits & PAGETABLE_LOCKED || (traits & driver) == driver);
}

// The entries of a copy, each for the owner of its side.
static void take_apart(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	bool kept = copy_keeps(copy, w->job->cleared_by);
	if (kept && w->worker.request->apart == APART_BY_CLASS) {
		side_swap(w, &w->kept);
		take_copy(w, copy, entries);
		side_swap(w, &w->kept);
		return;
	}
	uint64_t idle[TABLE_ENTRIES], others[TABLE_ENTRIES], any_idle = 0, any_other = 0;
	for (uint32_t i = 0; i < copy->entries; i++) {
		bool is_idle = entry_is_idle(w, entries[i]);
		any_idle |= idle[i] = is_idle ? entries[i] : 0;
		any_other |= others[i] = is_idle ? 0 : entries[i];
	}
	if (any_idle) {
		side_swap(w, &w->idle);
		take_copy(w, copy, idle);
		side_swap(w, &w->idle);
	}
	if (any_other && kept)
		side_swap(w, &w->kept);
	if (any_other)
		take_copy(w, copy, others);
	if (any_other && kept)
		side_swap(w, &w->kept);
}

static void gather_close(struct gathering *g)
{
	if (g->open.end && g->wanted) {
		if (ARRAY_RESERVE(g->rows, g->room, g->count + 1))
			g->error = -ENOMEM;
		else
			g->rows[g->count++] = g->open;
	}
	g->open.end = 0;
	g->wanted = false;
}

// A piece of the slice of this number. Slices go on over what is mapped without a hole only.
static void gather_piece(struct walker *w, uint64_t number, uint64_t start, uint64_t end, bool wanted)
{
	struct gathering *g = &w->gathering;
	if (g->open.end != start || g->number != number) {
		gather_close(g);
		g->open = (struct slice){ .job = w->worker.number, .start = start };
		g->number = number;
	}
	g->open.end = end;
	g->wanted |= wanted;
}

static bool is_to_clear(const struct walker *w, uint64_t entry)
{
	return entry_maps(&w->shape, entry) && (entry & (ENTRY_SPECIAL | ENTRY_ACCESSED)) == ENTRY_ACCESSED;
}

static void gather_copy(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	uint32_t shift = shape_page_shift(&w->shape);
	if (copy->traits & (PAGETABLE_LOCKED | PAGETABLE_HUGETLB | PAGETABLE_DEVICE))
		return;
	if (copy->shift != shift) {
		gather_close(&w->gathering);
		gather_piece(w, UINT64_MAX, copy->address, ((copy->address >> copy->shift) + 1) << copy->shift,
			     is_to_clear(w, *entries));
		gather_close(&w->gathering);
		return;
	}
	for (uint32_t i = 0, stop; i < copy->entries; i = stop) {
		uint64_t start = copy->address + ((uint64_t)i << shift);
		uint64_t page = (start >> shift) + copy->skew;
		uint32_t left = TABLE_ENTRIES - page % TABLE_ENTRIES;
		bool wanted = false;
		stop = copy->entries - i < left ? copy->entries : i + left;
		for (uint32_t at = i; at < stop && !wanted; at++)
			wanted = is_to_clear(w, entries[at]);
		gather_piece(w, page / TABLE_ENTRIES, start, start + ((uint64_t)(stop - i) << shift), wanted);
	}
}

// The kind of the frame of a cold entry: not touched since its bit was cleared, and the frame is mapped by nothing else. KINDS: it
// is none such.
static uint32_t cold_kind(struct walker *w, uint64_t pfn)
{
	uint32_t word = is_ram(w, pfn) ? census_word(w->marker.census, pfn) : 0;
	return word && word_mark(word) == w->gathering.alone ? word_kind(word) : KINDS;
}

static void cold_leaf(struct walker *w, const struct pagetable_copy *copy, uint64_t entry)
{
	struct gathering *g = &w->gathering;
	uint64_t bytes = UINT64_C(1) << copy->shift, pages = bytes >> shape_page_shift(&w->shape);
	uint64_t pfn = leaf_pfn(w, entry, copy->shift);
	uint32_t kind = pfn ? cold_kind(w, pfn) : KINDS;
	gather_close(g);
	if (kind == KINDS || copy->address % bytes || !entry_is_idle(w, entry) || entry & ENTRY_SPECIAL)
		return;
	for (uint64_t i = 1; i < pages; i++)
		if (cold_kind(w, pfn + i) != kind)
			return;
	g->open = (struct slice){ w->worker.number, copy->address, copy->address + bytes, pfn, kind, 1 };
	g->wanted = true;
	gather_close(g);
}

static void cold_page(struct walker *w, uint64_t number, uint64_t address, uint64_t pfn, uint32_t kind)
{
	struct gathering *g = &w->gathering;
	if (g->open.end != address || g->number != number || g->open.kind != kind) {
		gather_close(g);
		g->open = (struct slice){ .job = w->worker.number, .start = address, .pfn = pfn, .kind = kind };
		g->number = number;
		g->wanted = true;
	}
	g->open.end = address + (UINT64_C(1) << shape_page_shift(&w->shape));
}

static void gather_cold(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	uint32_t shift = shape_page_shift(&w->shape);
	if (w->gathering.count >= MOST_COLD || copy_keeps(copy, CLEARED_BY_COLD))
		return;
	if (copy->shift != shift) {
		cold_leaf(w, copy, *entries);
		return;
	}
	for (uint32_t i = 0; i < copy->entries; i++) {
		uint64_t address = copy->address + ((uint64_t)i << shift), pfn = entry_pfn(&w->shape, entries[i]);
		if (!entry_is_idle(w, entries[i]) || entries[i] & ENTRY_SPECIAL)
			continue;
		uint32_t kind = cold_kind(w, pfn);
		if (kind != KINDS)
			cold_page(w, ((address >> shift) + copy->skew) / TABLE_ENTRIES, address, pfn, kind);
	}
}

static void gather(struct walker *w, const struct pagetable_copy *copy, const uint64_t *entries)
{
	if (w->worker.request->apart)
		gather_cold(w, copy, entries);
	else
		gather_copy(w, copy, entries);
}

// ---- entries that the kernel writes together ----

static int open_pagemap(struct walker *w)
{
	char path[64];
	snprintf(path, sizeof(path), "%d/task/%d/pagemap", w->job->leader, w->job->pid);
	return foreign_openat(&w->worker, w->host->proc_fd, path, O_RDONLY);
}

// arm64 maps large folios by blocks of entries, and clears a block and writes it anew where it joins or parts them
// (arch/arm64/mm/contpte.c, contpte_convert(), Linux 6.9), under the lock of the page table. Nobody holds that here, so a copy may
// show a hole that was there for a moment. pagemap takes the lock: what it says of blocks that are empty is put in their place. 0, or the
// cause of a gap.
static int fill_blocks(struct walker *w, const struct pagetable_copy *copy, uint64_t *entries)
{
	static const uint64_t nothing[TABLE_ENTRIES];
	uint64_t words[TABLE_ENTRIES], page = copy->address >> shape_page_shift(&w->shape);
	uint32_t block = shape_block(&w->shape), first = copy->entries, end = 0;
	for (uint32_t i = -page & (block - 1); i + block <= copy->entries; i += block)
		if (!memcmp(entries + i, nothing, block * sizeof(*entries))) {
			first = i < first ? i : first;
			end = i + block;
		}
	if (!end)
		return 0;
	if (w->pagemap_fd < 0 && (w->pagemap_fd = open_pagemap(w)) < 0)
		return job_cause(-errno);
	int64_t got = foreign_words(&w->worker, w->pagemap_fd, words, end - first, page + first);
	if (got < 0)
		return errno;
	// Of what lies beyond the end of the address space, as the last page of a 32-bit process's table does, there is no word.
	for (uint32_t i = 0; i < got; i++)
		if (!entries[first + i] && words[i] & WORD_PRESENT)
			entries[first + i] =
				(words[i] & WORD_PFN) << shape_page_shift(&w->shape) | ENTRY_PRESENT | ENTRY_ACCESSED;
	return 0;
}

// The processor notes an access in any one entry of a block.
static void share_accessed(const struct walker *w, const struct pagetable_copy *copy, uint64_t *entries)
{
	uint64_t page = copy->address >> shape_page_shift(&w->shape);
	uint32_t block = shape_block(&w->shape);
	for (uint32_t i = 0, stop; i < copy->entries; i = stop) {
		uint64_t accessed = 0;
		stop = i + block - ((page + i) & (block - 1));
		stop = stop < copy->entries ? stop : copy->entries;
		if (!(entries[i] & ENTRY_CONTIGUOUS) || !(entries[i] & ENTRY_PRESENT))
			continue;
		for (uint32_t at = i; at < stop; at++)
			accessed |= entries[at] & ENTRY_ACCESSED;
		for (uint32_t at = i; at < stop; at++)
			entries[at] |= accessed;
	}
}

// 0, or the cause of a gap.
static int mend_blocks(struct walker *w, const struct pagetable_copy *copy, uint64_t *entries)
{
	if (copy->shift != shape_page_shift(&w->shape) || copy->traits & PAGETABLE_HUGETLB)
		return 0;
	if (w->worker.request->apart || w->worker.request->slices)
		share_accessed(w, copy, entries);
	return fill_blocks(w, copy, entries);
}

// 0, or the cause of a gap.
static int drain(struct walker *w)
{
	const struct walk_request *request = w->worker.request;
	char *at = w->buffer, *end = at + w->notes->used;
	int error = 0;
	while (at < end) {
		const struct pagetable_copy *copy = (const struct pagetable_copy *)at;
		uint64_t *entries = (uint64_t *)(at + sizeof(*copy));
		w->job->entries += copy->entries;
		if (shape_block(&w->shape) > 1 && !error)
			error = mend_blocks(w, copy, entries);
		if (__builtin_expect(request->slices != NULL, 0))
			gather(w, copy, entries);
		else if (__builtin_expect(request->apart, 0))
			take_apart(w, copy, entries);
		else
			take_copy(w, copy, entries);
		at = (char *)(entries + copy->entries);
	}
	w->notes->used = 0;
	return error;
}

// ---- a job ----

static bool same_process(const struct walker *w)
{
	uint64_t ns = w->notes->start_boottime_ns + w->pagetable->boot_offset_ns;
	return ns / (1000000000 / 100) == w->job->start_ticks; // USER_HZ is 100 but on alpha
}

// 0: all of it was read; or the cause of a gap.
static int read_tables(struct walker *w, int fd)
{
	struct pagetable_worker *notes = w->notes;
	for (;;) {
		char byte;
		ssize_t got = FOREIGN(&w->worker, read(fd, &byte, sizeof(byte)));
		int error = got < 0 ? errno : 0;
		if (error && error != EAGAIN && error != EINTR)
			return error;
		w->reads++;
		if (notes->met && !same_process(w))
			return WALK_REUSED;
		int cause = drain(w);
		if (cause)
			return cause;
		if (!error)
			break;
		if (notes->retries > RETRIES)
			return WALK_BUSY;
	}
	if (notes->execs)
		return WALK_EXECED;
	return notes->met && !notes->unfinished ? 0 : WALK_EXITED;
}

// 0, or the cause of a gap. *fatal: the iterator cannot be had at all.
static int walk_once(struct walker *w, int *fatal)
{
	struct pagetable_worker *notes = w->notes;
	struct walk_job *job = w->job;
	int link_fd, fd = pagetable_iterate(w->pagetable, job->pid, &link_fd);
	if (fd < 0) {
		*fatal = fd;
		return -fd;
	}
	memset(notes, 0, sizeof(*notes));
	notes->stripe = job->stripe;
	notes->stripes = job->stripes;
	struct pagetable_reader *reader = &w->pagetable->state->readers[w->slot];
	if (!reader->tid)
		reader->tid = gettid();
	job->rss_pages = job->hugetlb_pages = job->swap_pages = job->zero_pages = job->refused = 0;
	w->gathering.count = w->gathering.first;
	w->gathering.open.end = 0;
	int cause = read_tables(w, fd);
	if (cause != ECANCELED) {
		gather_close(&w->gathering);
		job->vmas = notes->vmas;
		job->refused += notes->outside;
		w->faults += notes->faults;
		w->retries += notes->retries;
	}
	close(fd);
	close(link_fd);
	return cause;
}

// The directory of the process, opened when it is first needed: where the kernel's iterator has listed the processes, mostly
// never. Negative: the process has left.
static int open_process(struct walker *w)
{
	char path[16];
	snprintf(path, sizeof(path), "%d", w->job->leader);
	return foreign_openat(&w->worker, w->host->proc_fd, path, O_PATH | O_DIRECTORY);
}

static bool still_there(struct walker *w, int *dir)
{
	if (*dir < 0)
		*dir = open_process(w);
	return *dir >= 0 && job_still_there(&w->worker, *dir);
}

// Walks again where that may show more. 0, or the cause of a gap.
static int walk_tables(struct walker *w, int *dir, int *fatal)
{
	int cause = walk_once(w, fatal);
	// Older kernels do not find threads; see pagetable_iterate().
	if (cause == WALK_EXITED && !w->notes->met && w->job->pid != w->job->leader)
		return WALK_UNREACHED;
	for (int attempt = 1; attempt < ATTEMPTS && (cause == WALK_EXECED || cause == WALK_EXITED); attempt++) {
		// Seen as unfinished, but alive: it unmapped what was left, or began a new program.
		if (cause == WALK_EXITED && !still_there(w, dir))
			break;
		if (cause == WALK_EXECED)
			job_gap(&w->worker, STEP_TABLES, cause);
		cause = walk_once(w, fatal);
	}
	// Alive, with memory, and yet the kernel would not show it: some kernels shield some processes.
	if (cause == WALK_EXITED && !w->notes->met && still_there(w, dir))
		job_gap(&w->worker, STEP_OPEN, EACCES);
	return cause;
}

static int walk_job(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	int fatal = 0, dir = -1;
	job_step(worker, STEP_OPEN);
	// From before the walk, so that it is of this process that job_check_moved() asks.
	if (worker->request->tasks && (dir = open_process(w)) < 0) {
		job_gap(worker, STEP_OPEN, job_cause(-errno));
		return 0;
	}
	job_step(worker, STEP_TABLES);
	w->kpageflags = (struct kpages){ .fd = w->host->kpageflags_fd };
	w->gathering.first = w->gathering.count;
	marker_owner(&w->marker, worker->job.owner);
	streak_begin(&w->streak, &w->marker);
	if (worker->request->apart) {
		marker_owner(&w->idle.marker, worker->job.idle_owner);
		streak_begin(&w->idle.streak, &w->idle.marker);
		marker_owner(&w->kept.marker, worker->job.kept_owner);
		streak_begin(&w->kept.streak, &w->kept.marker);
		w->gathering.alone = worker->request->slices ? marker_alone(&w->idle.marker) : MARK_NONE;
	}
	w->pagemap_fd = -1;
	int cause = walk_tables(w, &dir, &fatal);
	if (cause)
		job_gap(worker, cause == WALK_REUSED ? STEP_OPEN : STEP_TABLES, cause);
	job_kpages(worker, &w->kpageflags);
	job_check_moved(worker, dir);
	if (w->pagemap_fd >= 0)
		close(w->pagemap_fd);
	if (dir >= 0)
		close(dir);
	return fatal;
}

// ---- a walk ----

static int slot_take(struct pagetable *pagetable, uint32_t *slot)
{
	pthread_mutex_lock(&pagetable->lock);
	uint64_t free = ~pagetable->used & (UINT64_MAX >> (64 - pagetable->workers));
	if (free) {
		*slot = __builtin_ctzll(free);
		pagetable->used |= UINT64_C(1) << *slot;
	}
	pthread_mutex_unlock(&pagetable->lock);
	return free ? 0 : -EAGAIN;
}

static void slot_give_back(struct walker *w)
{
	// The program knows a thread by its number, which another may get.
	w->pagetable->state->readers[w->slot] = (struct pagetable_reader){ 0 };
	pthread_mutex_lock(&w->pagetable->lock);
	w->pagetable->used &= ~(UINT64_C(1) << w->slot);
	pthread_mutex_unlock(&w->pagetable->lock);
}

static int markers_init(struct walker *w)
{
	struct census *census = w->worker.request->census;
	int error = marker_init(&w->marker, census);
	if (error || !w->worker.request->apart)
		return error;
	error = marker_init(&w->idle.marker, census);
	if (!error && (error = marker_init(&w->kept.marker, census)))
		marker_deinit(&w->idle.marker);
	if (error)
		marker_deinit(&w->marker);
	return error;
}

// 0, or the first error that any of them met.
static int markers_deinit(struct walker *w)
{
	int error = marker_deinit(&w->marker);
	if (!w->worker.request->apart)
		return error;
	int idle = marker_deinit(&w->idle.marker), kept = marker_deinit(&w->kept.marker);
	return error ? error : idle ? idle : kept;
}

static int walker_init(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	struct pagetable *pagetable = worker->source;
	int error = slot_take(pagetable, &w->slot);
	if (error)
		return error;
	w->pagetable = pagetable;
	w->memory = pagetable->memory;
	w->host = worker->request->host;
	w->job = &worker->job;
	w->notes = &pagetable->state->workers[w->slot];
	w->buffer = pagetable->buffers + (size_t)w->slot * PAGETABLE_BUFFER_BYTES;
	w->shape = pagetable->shape;
	w->huge_zero = UINT64_MAX / 2;
	w->known = &pagetable->known;
	memset(w->notes, 0, sizeof(*w->notes));
	error = markers_init(w);
	if (error)
		slot_give_back(w);
	return error;
}

static int walker_settle(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	pthread_mutex_lock(&w->pagetable->lock);
	w->pagetable->reads += w->reads;
	w->pagetable->faults += w->faults;
	w->pagetable->retries += w->retries;
	pthread_mutex_unlock(&w->pagetable->lock);
	// The slot of a worker that was left behind is the kernel's to write in until its thread has ended.
	if (!worker_is_left(worker))
		slot_give_back(w);
	int error = markers_deinit(w);
	if (!error)
		error = w->gathering.error;
	if (!error && worker->request->slices)
		error = slices_add(worker->request->slices, w->gathering.rows, w->gathering.count);
	free(w->gathering.rows);
	w->gathering = (struct gathering){ 0 };
	return error;
}

static void walker_dispose(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	if (worker_is_left(worker))
		slot_give_back(w);
}

static void source_release(void *source)
{
	pagetable_close(source);
}

int pagetable_walk(struct pagetable *pagetable, const struct walk_request *request, struct walk **ret)
{
	static const struct walk_methods methods = {
		.walker_bytes = sizeof(struct walker),
		.init = walker_init,
		.walk = walk_job,
		.settle = walker_settle,
		.dispose = walker_dispose,
		.release = source_release,
	};
	struct walk_request own = *request;
	uint64_t pages = 0;
	for (size_t i = 0; i < request->count; i++)
		pages += request->jobs[i].expected_pages;
	known_restart(&pagetable->known, pages / TABLE_ENTRIES);
	own.threads = own.threads < pagetable->threads ? own.threads : pagetable->threads;
	pthread_mutex_lock(&pagetable->lock);
	pagetable->references++;
	pthread_mutex_unlock(&pagetable->lock);
	return walk_begin(&own, &methods, pagetable, ret);
}

void pagetable_counts(const struct pagetable *pagetable, uint64_t *faults, uint64_t *retries, uint64_t *reads)
{
	*faults = pagetable->faults;
	*retries = pagetable->retries;
	*reads = pagetable->reads;
}
