// The page tables of many processes into one census, read from /proc/PID/pagemap.
//
// Each thread takes a job at a time: the rows of /proc/PID/maps, then for each row its pagemap words. Small rows
// that lie close together are read in one go. In large rows holes and huge pages are found by PAGEMAP_SCAN, which
// passes over a terabyte of nothing in microseconds but costs a third more where every page is there; so what the
// last stretch was like decides how the next is read.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agenda.h"
#include "census.h"
#include "jobs.h"
#include "kinds.h"
#include "objects.h"
#include "scan.h"

#define WORDS 65536 // of one read: 512 KiB
#define LARGE_PAGES 1024 // rows from here on are worth a PAGEMAP_SCAN
#define NEAR_PAGES 64 // rows no further apart are read together: 64 holes cost less than a system call
#define SCAN_PAGES 4096 // found pages of one PAGEMAP_SCAN
#define REGIONS 512
#define ATTEMPTS 3
#define SECOND_LOOKS 1024 // words under migration that one job may look at again

enum { ASK = -1 }; // this row's kind is not known yet

struct row {
	const struct vma *vma;
	int anon; // kind of its pages that look anon (ASK, KIND_ANON, KIND_HUGETLB, PAGE_DEVICE)
	int file; // kind of the others (ASK, KIND_FILE, KIND_SHMEM, KIND_HUGETLB)
	uint32_t zone; // whom its frames are marked for
};

struct walker {
	_Alignas(128) const struct walk_settings *settings; // no two in one cache line
	struct census *census;
	struct agenda *agenda;

	struct marker marker;
	struct walk_job *job;
	int pagemap_fd;
	uint64_t huge_zero; // frame of the huge zero page once it was met
	unsigned second_looks;
	char *text; // maps
	size_t text_room;
	struct vma *vmas;
	size_t vma_room;
	uint64_t *words;
	struct scan_region regions[REGIONS];
};

// ---- what a row holds ----

static bool row_named(const struct walker *w, const struct vma *vma, const char *prefix)
{
	size_t length = strlen(prefix);
	return vma->name_length >= length && !memcmp(w->text + vma->name, prefix, length);
}

// The kernel's own: [vdso] and the like.
static bool row_special(const struct walker *w, const struct vma *vma)
{
	return row_named(w, vma, "[") && !row_named(w, vma, "[heap]") && !row_named(w, vma, "[stack") &&
	       !row_named(w, vma, "[anon");
}

// System V segments are numbered in each IPC namespace anew. 0: cannot be known.
static uint64_t ipc_space(const struct walker *w)
{
	char path[64];
	struct stat ipc;
	snprintf(path, sizeof(path), "%d/ns/ipc", w->job->pid);
	return fstatat(w->settings->proc_fd, path, &ipc, 0) ? 0 : ipc.st_ino;
}

// Where frames are marked for their files: a row's number among these, and no page of it that is private.
static void row_to_object(struct walker *w, struct row *row)
{
	uint64_t space = row_named(w, row->vma, "/SYSV") ? ipc_space(w) : 0;
	int64_t object = objects_find(w->settings->objects, row->vma, w->text, space, w->job->leader);
	if (object < 0)
		w->marker.error = (int)object;
	row->zone = object < 0 ? 0 : (uint32_t)object;
	row->anon = PAGE_DEVICE;
}

// Before anything was read: a row's kinds, as far as its own line tells.
static struct row row_of(struct walker *w, const struct vma *vma)
{
	struct row row = { .vma = vma, .anon = KIND_ANON, .file = ASK, .zone = w->job->zone };
	bool special = row_special(w, vma);
	if (w->settings->objects)
		row_to_object(w, &row);
	else if (vma->flags & VMA_SHARED)
		row.anon = PAGE_DEVICE; // pages of a shared mapping belong to a file or to no page at all
	else if (row_named(w, vma, "[vvar"))
		row.anon = PAGE_DEVICE;
	else if (special || (row_named(w, vma, "/dev/") && !row_named(w, vma, "/dev/shm/")))
		row.anon = ASK;
	return row;
}

// The first System V segment of an IPC namespace has the id 0, and that is its inode number.
static bool row_has_file(const struct walker *w, const struct vma *vma)
{
	return vma->inode || row_named(w, vma, "/");
}

// hugetlb pages look like others to pagemap. Their rows are aligned to their size and have a file; ask one frame.
static void row_check_hugetlb(struct walker *w, struct row *row, uint64_t pfn)
{
	uint64_t align = (w->settings->huge_pages ? w->settings->huge_pages : 16) * w->settings->page_bytes;
	if (!row_has_file(w, row->vma) || (row->vma->start | row->vma->end) & (align - 1))
		return;
	if (kind_of_frame(w->settings->kpageflags_fd, pfn) == KIND_HUGETLB)
		row->anon = row->file = KIND_HUGETLB;
}

// What the row's pages are, as one frame of it tells. A frame that is no longer mapped was given back since its word
// was read, and says nothing of the row: then the next one is asked.
static int row_kind(struct walker *w, struct row *row, uint64_t pfn, bool is_file)
{
	uint64_t flags;
	int *known = is_file ? &row->file : &row->anon;
	if (*known != ASK)
		return *known;
	if (!kpage_read(w->settings->kpageflags_fd, pfn, &flags))
		return is_file ? (int)KIND_FILE : (int)PAGE_DEVICE;
	int kind = kind_by_flags(flags);
	if (is_file && kind != KIND_SHMEM && kind != KIND_HUGETLB)
		kind = KIND_FILE; // the word says that it is no anon page
	if (!is_file && kind != KIND_ANON && kind != KIND_HUGETLB)
		kind = PAGE_DEVICE;
	if (kpage_has(flags, KPF_MMAP) || kpage_has(flags, KPF_NOPAGE))
		*known = kind;
	return kind;
}

// ---- what a word says ----

// The huge zero page looks like any huge page. It is no page of the census, so it is new each time that it is
// met, and each huge page begins with a frame that is a multiple of its size: so few frames need to be asked.
static bool is_huge_zero(struct walker *w, uint64_t pfn)
{
	uint64_t huge_pages = w->settings->huge_pages;
	if (!huge_pages || pfn & (huge_pages - 1))
		return false;
	uint64_t flags;
	if (!kpage_read(w->settings->kpageflags_fd, pfn, &flags) || !kpage_has(flags, KPF_ZERO_PAGE))
		return false;
	w->huge_zero = pfn;
	return true;
}

static void take_present(struct walker *w, struct row *row, uint64_t pfn, bool is_file)
{
	if (pfn == w->settings->zero_pfn || pfn - w->huge_zero < w->settings->huge_pages) {
		w->job->zero_pages++;
		return;
	}
	if (__builtin_expect(pfn >= SWAP_FRAMES, 0)) {
		w->job->refused++;
		return;
	}
	int known = is_file ? row->file : row->anon;
	if (known == PAGE_DEVICE || (!is_file && known == ASK && row_kind(w, row, pfn, false) == PAGE_DEVICE))
		return;
	if (!marker_known(&w->marker, pfn)) {
		if (is_huge_zero(w, pfn)) {
			w->job->zero_pages++;
			return;
		}
		marker_first(&w->marker, pfn, row_kind(w, row, pfn, is_file));
	}
	w->job->rss_pages++;
}

// An entry that is neither present nor a swap slot is a page under migration, for a moment, or a marker.
static uint64_t second_look(struct walker *w, uint64_t address, uint64_t word)
{
	while ((word & WORD_SWAP) && (word & 31) >= SWAP_TYPES && (word & 31) != SWAP_TYPE_MARKER &&
	       w->second_looks < SECOND_LOOKS) {
		w->second_looks++;
		if (pread(w->pagemap_fd, &word, sizeof(word), address / w->settings->page_bytes * sizeof(word)) !=
		    sizeof(word))
			return 0;
	}
	return word;
}

static __attribute__((noinline)) void take_word(struct walker *w, struct row *row, uint64_t word, uint64_t address)
{
	if (word & WORD_SWAP)
		word = second_look(w, address, word);
	if (word & WORD_PRESENT) {
		take_present(w, row, word & WORD_PFN, word & WORD_FILE);
	} else if (word & WORD_SWAP && (word & 31) < SWAP_TYPES && !w->settings->objects) {
		marker_mark(&w->marker, swap_frame(word & 31, (word & WORD_PFN) >> SWAP_TYPE_BITS), KIND_SWAP);
		w->job->swap_pages++;
	}
}

// Nearly all frames were marked for the zone before, by another of its processes: that is looked up here, and
// everything else elsewhere.
static void take_words(struct walker *w, struct row *row, const uint64_t *words, uint64_t count, uint64_t address)
{
	bool plain = row->anon == KIND_ANON || row->anon == KIND_HUGETLB;
	uint64_t rss_pages = 0;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t word = words[i];
		if (plain && word & WORD_PRESENT && marker_has(&w->marker, word & WORD_PFN))
			rss_pages++;
		else if (word & (WORD_PRESENT | WORD_SWAP))
			take_word(w, row, word, address + i * w->settings->page_bytes);
	}
	w->job->words += count;
	w->job->rss_pages += rss_pages;
}

// ---- reading ----

// count words from an address on, into w->words. 0, or the cause of the gap: the address space has gone when
// nothing comes back.
static int read_words(struct walker *w, uint64_t address, uint64_t count)
{
	char *to = (char *)w->words;
	uint64_t left = count * sizeof(*w->words), at = address / w->settings->page_bytes * sizeof(*w->words);
	while (left) {
		ssize_t got = pread(w->pagemap_fd, to, left, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno : WALK_EXITED;
		to += got;
		at += got;
		left -= got;
	}
	return 0;
}

static void row_first_frame(struct walker *w, struct row *row, const uint64_t *words, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (words[i] & WORD_PRESENT) {
			row_check_hugetlb(w, row, words[i] & WORD_PFN);
			return;
		}
}

// Words of one row, beginning at address.
static void take_row_words(struct walker *w, struct row *row, const uint64_t *words, uint64_t count, uint64_t address)
{
	uint64_t before = w->job->rss_pages;
	marker_zone(&w->marker, row->zone);
	if (row->file == ASK && row->anon != KIND_HUGETLB)
		row_first_frame(w, row, words, count);
	take_words(w, row, words, count, address);
	if (row->anon == KIND_HUGETLB) {
		w->job->hugetlb_pages += w->job->rss_pages - before;
		w->job->rss_pages = before;
	}
}

static int walk_plain(struct walker *w, struct row *row, uint64_t start, uint64_t end)
{
	uint64_t page = w->settings->page_bytes;
	while (start < end) {
		uint64_t count = (end - start) / page;
		if (count > WORDS)
			count = WORDS;
		int error = read_words(w, start, count);
		if (error)
			return error;
		take_row_words(w, row, w->words, count, start);
		start += count * page;
	}
	return 0;
}

// A huge page by its first word: what that one counts as, the others count as, too.
static void take_huge(struct walker *w, struct row *row, uint64_t word, uint64_t count, uint64_t address)
{
	struct walk_job *job = w->job;
	uint64_t rss_pages = job->rss_pages, hugetlb_pages = job->hugetlb_pages, zero_pages = job->zero_pages;
	take_row_words(w, row, &word, 1, address);
	if (job->zero_pages > zero_pages)
		job->zero_pages += count - 1;
	if (job->rss_pages + job->hugetlb_pages == rss_pages + hugetlb_pages)
		return;
	uint64_t pfn = word & WORD_PFN;
	marker_run(&w->marker, pfn + 1, count - 1, row_kind(w, row, pfn, word & WORD_FILE), word & WORD_ALONE);
	*(job->rss_pages > rss_pages ? &job->rss_pages : &job->hugetlb_pages) += count - 1;
}

// One word per huge page; the frames that follow it are its neighbours.
static int walk_huge(struct walker *w, struct row *row, uint64_t start, uint64_t end)
{
	uint64_t page = w->settings->page_bytes, huge = w->settings->huge_pages * page;
	while (start < end) {
		uint64_t stop = (start | (huge - 1)) + 1;
		uint64_t count = ((stop < end ? stop : end) - start) / page;
		int error = read_words(w, start, 1);
		if (error)
			return error;
		uint64_t first = w->words[0];
		// Where the huge page was split since the scan, or is no page of memory, take the words one by one.
		if (!(first & WORD_PRESENT))
			error = walk_plain(w, row, start, start + count * page);
		else
			take_huge(w, row, first, count, start);
		if (error)
			return error;
		start += count * page;
	}
	return 0;
}

// Does this stretch, just read plainly, ask for a scan: mostly holes, or made of huge pages?
static bool stretch_wants_scan(const struct walker *w, uint64_t count)
{
	uint64_t huge = w->settings->huge_pages, present = 0, neighbours = 0;
	for (uint64_t i = 0; i < count; i += 16) {
		present += w->words[i] >> 63;
		neighbours += i && w->words[i] >> 63 && w->words[i] == w->words[i - 16] + 16;
	}
	return present * 2 < count / 16 || (huge && neighbours * 10 > present * 9);
}

static int walk_scanned(struct walker *w, struct row *row, uint64_t *at, uint64_t end, uint64_t *dense_pages)
{
	uint64_t page = w->settings->page_bytes, found = 0, from = *at;
	int64_t regions = scan_pages(w->pagemap_fd, at, end, w->regions, REGIONS, SCAN_PAGES);
	if (regions < 0)
		return regions == -ESRCH ? WALK_EXITED : (int)-regions;
	for (int64_t i = 0; i < regions; i++) {
		const struct scan_region *region = &w->regions[i];
		bool huge = w->settings->huge_pages && region->categories & SCAN_HUGE;
		int error = huge ? walk_huge(w, row, region->start, region->end) :
				   walk_plain(w, row, region->start, region->end);
		if (error)
			return error;
		if (!huge)
			found += (region->end - region->start) / page;
	}
	*dense_pages = found * 2 > (*at - from) / page && found >= LARGE_PAGES ? SCAN_PAGES : 0;
	return 0;
}

static int walk_large(struct walker *w, struct row *row)
{
	uint64_t at = row->vma->start, end = row->vma->end, page = w->settings->page_bytes;
	uint64_t dense_pages = 0; // how far to read without asking
	while (at < end) {
		if (w->settings->use_scan && !dense_pages) {
			int error = walk_scanned(w, row, &at, end, &dense_pages);
			if (error)
				return error;
			continue;
		}
		uint64_t count = (end - at) / page;
		if (w->settings->use_scan && count > dense_pages)
			count = dense_pages;
		if (count > WORDS)
			count = WORDS;
		int error = walk_plain(w, row, at, at + count * page);
		if (error)
			return error;
		at += count * page;
		dense_pages = stretch_wants_scan(w, count) ? 0 : count * 2;
	}
	return 0;
}

// Small rows that lie close together: one read, then each row's part of it.
static int walk_near(struct walker *w, const struct vma *vmas, size_t count)
{
	uint64_t page = w->settings->page_bytes, start = vmas[0].start;
	int error = read_words(w, start, (vmas[count - 1].end - start) / page);
	for (size_t i = 0; !error && i < count; i++) {
		struct row row = row_of(w, &vmas[i]);
		uint64_t pages = (vmas[i].end - vmas[i].start) / page;
		take_row_words(w, &row, w->words + (vmas[i].start - start) / page, pages, vmas[i].start);
	}
	return error;
}

static bool vma_small(const struct walker *w, const struct vma *vma)
{
	return vma->end - vma->start < LARGE_PAGES * w->settings->page_bytes;
}

// The rows that have a file, moved to the front.
static size_t keep_files(struct walker *w, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (row_has_file(w, &w->vmas[i]) || row_special(w, &w->vmas[i]))
			w->vmas[kept++] = w->vmas[i];
	return kept;
}

static int walk_vmas(struct walker *w, size_t count)
{
	if (w->settings->objects)
		count = keep_files(w, count);
	const struct vma *vmas = w->vmas;
	uint64_t page = w->settings->page_bytes;
	for (size_t i = 0, next; i < count; i = next) {
		next = i + 1;
		int error;
		if ((int64_t)vmas[i].start < 0)
			break; // [vsyscall]: the kernel's half
		if (!vma_small(w, &vmas[i])) {
			struct row row = row_of(w, &vmas[i]);
			error = walk_large(w, &row);
		} else {
			while (next < count && vma_small(w, &vmas[next]) && (int64_t)vmas[next].start > 0 &&
			       vmas[next].start - vmas[next - 1].end <= NEAR_PAGES * page &&
			       vmas[next].end - vmas[i].start <= WORDS * page)
				next++;
			error = walk_near(w, &vmas[i], next - i);
		}
		if (error)
			return error;
	}
	return w->marker.error ? -w->marker.error : 0;
}

// ---- a job ----

static int64_t read_maps(struct walker *w, int dir, const char *path)
{
	size_t bad, length = 0;
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		if (w->text_room - length < 16384) {
			char *grown = realloc(w->text, w->text_room * 2 + 65536);
			if (!grown)
				break;
			w->text = grown;
			w->text_room = w->text_room * 2 + 65536;
		}
		ssize_t got = read(fd, w->text + length, w->text_room - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			int error = got ? errno : 0;
			close(fd);
			if (error)
				return -error;
			int64_t rows = maps_parse(w->text, length, w->vmas, w->vma_room, &bad);
			if (rows <= (int64_t)w->vma_room)
				return rows;
			struct vma *more = realloc(w->vmas, (rows + 256) * sizeof(*more));
			if (!more)
				return -ENOMEM;
			w->vmas = more;
			w->vma_room = rows + 256;
			return maps_parse(w->text, length, w->vmas, w->vma_room, &bad);
		}
		length += got;
	}
	close(fd);
	return -ENOMEM;
}

// The pagemap is opened before the maps: if the process replaces its address space in between, the old one's
// pagemap reads as empty, and the job is done again.
static int walk_once(struct walker *w, int dir)
{
	char pagemap[64], maps[64];
	snprintf(pagemap, sizeof(pagemap), "task/%d/pagemap", w->job->pid);
	snprintf(maps, sizeof(maps), "task/%d/maps", w->job->pid);
	w->pagemap_fd = openat(dir, pagemap, O_RDONLY | O_CLOEXEC);
	if (w->pagemap_fd < 0) {
		job_gap(w->job, STEP_OPEN, job_cause(-errno));
		return 0;
	}
	int64_t rows = read_maps(w, dir, maps);
	if (rows < 0)
		job_gap(w->job, STEP_MAPS, job_cause(rows));
	w->job->rss_pages = w->job->hugetlb_pages = w->job->swap_pages = w->job->zero_pages = 0;
	w->job->vmas = rows < 0 ? 0 : rows;
	int error = rows > 0 ? walk_vmas(w, rows) : 0;
	close(w->pagemap_fd);
	return error;
}

static void walk_job(struct walker *w)
{
	int dir = job_open(w->job, w->settings);
	if (dir < 0)
		return;
	w->second_looks = 0;
	int error = walk_once(w, dir);
	for (int attempt = 1; error == WALK_EXITED && attempt < ATTEMPTS && job_still_there(w->job, dir); attempt++) {
		error = walk_once(w, dir);
		if (!error)
			job_gap(w->job, STEP_PAGEMAP, WALK_EXECED);
	}
	if (error)
		job_gap(w->job, STEP_PAGEMAP, error);
	job_check_moved(w->job, dir, w->settings);
	close(dir);
}

// ---- threads ----

static bool walk_one(void *walker, struct walk_job *job)
{
	struct walker *w = walker;
	w->job = job;
	walk_job(w);
	return true;
}

static void *walker_run(void *argument)
{
	struct walker *w = argument;
	agenda_work(w->agenda, walk_one, w);
	return NULL;
}

static int walker_init(struct walker *w, struct census *census, const struct walk_settings *settings,
		       struct agenda *agenda)
{
	*w = (struct walker){ .settings = settings, .census = census, .agenda = agenda, .huge_zero = UINT64_MAX / 2 };
	w->words = malloc(WORDS * sizeof(*w->words));
	return w->words ? marker_init(&w->marker, census) : -ENOMEM;
}

static int walker_deinit(struct walker *w)
{
	int error = w->marker.census ? marker_deinit(&w->marker) : -ENOMEM;
	free(w->text);
	free(w->vmas);
	free(w->words);
	return error;
}

int walk_pagemap(struct census *census, struct walk_job *jobs, size_t count, const struct walk_settings *settings)
{
	size_t threads = settings->threads < 1 ? 1 : settings->threads;
	if (threads > count)
		threads = count ? count : 1;
	struct walker *walkers = aligned_alloc(_Alignof(struct walker), threads * sizeof(*walkers));
	pthread_t *ids = calloc(threads, sizeof(*ids));
	struct agenda agenda;
	int error = agenda_init(&agenda, jobs, count, census->zones);
	if (error || !walkers || !ids) {
		if (!error)
			agenda_deinit(&agenda);
		free(walkers);
		free(ids);
		return -ENOMEM;
	}
	size_t begun = 0;
	for (; !error && begun < threads; begun++)
		error = walker_init(&walkers[begun], census, settings, &agenda);
	// The first walker is this thread. Where no further thread can be had, the others do its work.
	size_t started = 1;
	while (!error && started < threads && !pthread_create(&ids[started], NULL, walker_run, &walkers[started]))
		started++;
	if (!error)
		walker_run(&walkers[0]);
	for (size_t i = 1; !error && i < started; i++)
		pthread_join(ids[i], NULL);
	for (size_t i = 0; i < begun; i++) {
		int failed = walker_deinit(&walkers[i]);
		error = error ? error : failed;
	}
	agenda_deinit(&agenda);
	free(walkers);
	free(ids);
	return error;
}

int walk_can_scan(int pagemap_fd, uint64_t address, uint64_t page_bytes)
{
	struct scan_region region;
	uint64_t at = address;
	return scan_pages(pagemap_fd, &at, address + page_bytes, &region, 1, 0) >= 0;
}
