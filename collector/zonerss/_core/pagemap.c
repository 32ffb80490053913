// The page tables of many processes into one census, read from /proc/PID/pagemap.
//
// Each thread takes a job at a time: the rows of /proc/PID/maps, then for each row its pagemap words. Small rows
// that lie close together are read in one go. In large rows holes and huge pages are found by PAGEMAP_SCAN, which
// passes over a terabyte of nothing in microseconds but costs a third more where every page is there; so what the
// last stretch was like decides how the next is read. Where the kernel has no PAGEMAP_SCAN, and the mappings of a process are much
// larger than what it has in them, smaps tells which of them to read, and how much of a hole is read is bounded.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "jobs.h"
#include "mapped_files.h"
#include "marker.h"
#include "pageflags.h"
#include "pool.h"
#include "present.h"
#include "scan.h"
#include "table.h"
#include "vmas.h"

#define WORDS 65536	 // of one read: 512 KiB
#define LARGE_PAGES 1024 // rows from here on are worth a PAGEMAP_SCAN
#define NEAR_PAGES 64	 // rows no further apart are read together: 64 holes cost less than a system call
#define SCAN_PAGES 4096	 // found pages of one PAGEMAP_SCAN
#define REGIONS 512
#define SPARSE_PAGES 2000000ull	   // of all large rows, beyond what is in them: from here on smaps is worth its cost
#define SMAPS_PAGES (1ull << 20)   // who has more would feel it: smaps keeps the mmap lock for a whole mapping
#define SMAPS_NS 200000000ull	   // of processor time, and
#define SMAPS_HUGETLB (1ull << 28) // pages of mappings that may be of hugetlb: 10 ms at the most, in one call
#define HUGETLB_STEPS 2000000ull   // pages of hugetlb that may be looked at, 0.1 s, besides two for each that there is
#define HOLE_PAGES (1ull << 24)	   // of holes that a process may have us read, 0.2 s, and
#define HOLES_OF_A_PAGE 8	   // for each page that it has
#define ATTEMPTS 3
#define SECOND_LOOKS 1024 // words under migration that one job may look at again
#define LEARN_PAGES 8	  // of one stretch, to find out what a file's pages are

enum { ASK = -1 }; // this row's kind is not known yet

struct row {
	const struct vma *vma;
	int anon;	// kind of its pages that look anon (ASK, KIND_ANON, KIND_HUGETLB, PAGE_DEVICE)
	int file;	// kind of the others (ASK, KIND_FILE, KIND_SHMEM, KIND_HUGETLB)
	uint32_t owner; // whom its frames are marked for
};

// What the pages of a file were found to be.
struct file_kind {
	uint64_t inode;
	uint64_t name; // a hash of it where device and inode are not enough; else 0
	uint32_t major, minor;
	int kind;
};

struct walker {
	struct marking marking;
	const struct walk_host *host;
	struct kpages kpageflags;
	struct mapped_files *files; // NULL, or whose numbers frames are marked for

	struct walk_job *job;
	int pagemap_fd;
	bool sparse;		// its large rows are read as far as they are known to have anything
	struct present present; // of a sparse one
	uint64_t hole_pages;	// of it, read
	uint64_t hugetlb_steps; // of the job
	uint64_t huge_zero;	// frame of the huge zero page once it was met
	// Other threads mark frames meanwhile: that the first frame of a huge page is mapped here alone says nothing of the rest.
	bool others;
	unsigned second_looks;
	struct vmas vmas;
	uint64_t *words;
	struct file_kind *kinds;
	size_t kind_count, kind_room;
	struct table kind_table;
	struct scan_region regions[REGIONS];
};

// ---- what a row holds ----

// System V segments are numbered in each IPC namespace anew. *space: the inode of the process's; 0: cannot be known.
static int ipc_namespace(struct walker *w, uint64_t *space)
{
	char path[64];
	struct stat ipc = { 0 };
	snprintf(path, sizeof(path), "%d/ns/ipc", w->job->pid);
	int error = foreign_stat(&w->marking.worker, w->host->proc_fd, path, &ipc) ? -errno : 0;
	*space = error ? 0 : ipc.st_ino;
	return error == -ECANCELED ? error : 0;
}

// Where frames are marked for their files: a row's number among these, and no page of it that is private.
static int row_to_file(struct walker *w, struct row *row)
{
	uint64_t space = 0;
	int error = vma_system_v(&w->vmas, row->vma) ? ipc_namespace(w, &space) : 0;
	if (error)
		return error;
	const char *name = vma_name(&w->vmas, row->vma);
	int64_t file = mapped_files_find(w->files, row->vma, name, space, w->job->leader);
	if (file < 0)
		return file;
	row->owner = file;
	row->anon = PAGE_DEVICE;
	return 0;
}

// ---- what files hold ----

static uint64_t file_kind_hash(const void *kinds, uint32_t index)
{
	const struct file_kind *file = (const struct file_kind *)kinds + index;
	return hash_pair(hash_pair(file->inode, (uint64_t)file->major << 32 | file->minor), file->name);
}

static bool file_kind_same(const void *kinds, uint32_t index, const void *key)
{
	const struct file_kind *file = (const struct file_kind *)kinds + index, *wanted = key;
	return file->inode == wanted->inode && file->major == wanted->major && file->minor == wanted->minor &&
	       file->name == wanted->name;
}

// What tells a row's file. In maps, files of an overlay have its device and the inode of the file system below, so that of two
// such file systems two files may be alike. Its device, as all that no disk is behind, has the major number 0.
static struct file_kind file_of(const struct walker *w, const struct vma *vma)
{
	struct file_kind file = { .inode = vma->inode, .major = vma->major, .minor = vma->minor };
	if (!vma->major)
		file.name = hash_bytes(0, vma_name(&w->vmas, vma), vma->name_length);
	return file;
}

// The kind of the pages of a row's file, where it is known: the kernel's own tmpfs holds memfds, System V segments and shared
// anonymous memory, and what a file was found to hold before it holds now. ASK: not known.
static int kinds_find(const struct walker *w, const struct vma *vma)
{
	if (!vma_has_file(&w->vmas, vma))
		return ASK;
	if (vma->major == w->host->shm_major && vma->minor == w->host->shm_minor)
		return KIND_SHMEM;
	struct file_kind wanted = file_of(w, vma);
	uint32_t found = table_find(&w->kind_table, file_kind_hash(&wanted, 0), file_kind_same, w->kinds, &wanted);
	return found == TABLE_NONE ? (int)ASK : w->kinds[found].kind;
}

// 0 or an errno.
static int kinds_remember(struct walker *w, const struct vma *vma, int kind)
{
	if (ARRAY_RESERVE(w->kinds, w->kind_room, w->kind_count + 1))
		return ENOMEM;
	struct file_kind *file = w->kinds + w->kind_count;
	*file = file_of(w, vma);
	file->kind = kind;
	if (table_add(&w->kind_table, file_kind_hash(file, 0), w->kind_count, file_kind_hash, w->kinds))
		return ENOMEM;
	w->kind_count++;
	return 0;
}

// Before anything was read: a row's kinds, as far as its own line tells. 0 or a negative errno.
static int row_of(struct walker *w, const struct vma *vma, struct row *row)
{
	*row = (struct row){ .vma = vma, .anon = KIND_ANON, .file = kinds_find(w, vma), .owner = w->job->owner };
	if (w->files)
		return row_to_file(w, row);
	if (row->file == KIND_HUGETLB) {
		row->anon = KIND_HUGETLB;
		return 0;
	}
	if (vma->flags & VMA_SHARED || vma_named(&w->vmas, vma, "[vvar"))
		row->anon = PAGE_DEVICE; // pages of a shared mapping belong to a file or to no page at all
	else if ((vma_named(&w->vmas, vma, "[") && !vma_plain(&w->vmas, vma)) ||
		 (vma_named(&w->vmas, vma, "/dev/") && !vma_named(&w->vmas, vma, "/dev/shm/")))
		row->anon = ASK;
	return 0;
}

// hugetlb pages look like others to pagemap. Their rows are aligned to their size and have a file.
static bool row_may_be_hugetlb(const struct walker *w, const struct vma *vma)
{
	uint64_t align = (w->host->hugetlb_pages ? w->host->hugetlb_pages : 1) * w->host->page_bytes;
	return vma_has_file(&w->vmas, vma) && !((vma->start | vma->end) & (align - 1));
}

// Does this address still map the frame of the word that was read there? What the frame is says something of the row only
// then: a frame that was given back meanwhile may be anybody's. 1, 0 or a negative errno.
static int still_maps(struct walker *w, uint64_t address, uint64_t word)
{
	uint64_t again = 0;
	ssize_t got = foreign_pread(&w->marking.worker, w->pagemap_fd, &again, sizeof(again),
				    address / w->host->page_bytes * sizeof(again));
	if (got < 0 && errno == ECANCELED)
		return -errno;
	return got == sizeof(again) && !((again ^ word) & (WORD_PRESENT | WORD_PFN | WORD_FILE));
}

// What the row's pages are, as its first pages tell that stay where they are while they are asked; the same for each row of
// this file. 0 or an errno.
static int row_learn(struct walker *w, struct row *row, const uint64_t *words, uint64_t count, uint64_t address)
{
	bool may_be_hugetlb = row_may_be_hugetlb(w, row->vma);
	unsigned asked = 0;
	for (uint64_t i = 0; i < count && asked < LEARN_PAGES; i++) {
		uint64_t word = words[i], pfn = word & WORD_PFN;
		if (!(word & WORD_PRESENT) || !(word & WORD_FILE || may_be_hugetlb) || pfn == w->host->zero_pfn)
			continue;
		asked++;
		int kind = kind_of_frame(&w->kpageflags, pfn, word & WORD_FILE ? SAYS_FILE : SAYS_ANON);
		int stays = still_maps(w, address + i * w->host->page_bytes, word);
		if (stays < 0)
			return -stays;
		if (!stays || w->kpageflags.error)
			continue;
		if (kind == KIND_HUGETLB && may_be_hugetlb)
			row->anon = row->file = KIND_HUGETLB;
		else if (word & WORD_FILE && (kind == KIND_FILE || kind == KIND_SHMEM))
			row->file = kind;
		if (row->file != ASK)
			return kinds_remember(w, row->vma, row->file);
		may_be_hugetlb = false; // an ordinary page is there
	}
	return 0;
}

// What one frame of a row is, where the row's kind is not known.
static int row_kind(struct walker *w, const struct row *row, uint64_t pfn, bool is_file)
{
	int known = is_file ? row->file : row->anon;
	if (known != ASK)
		return known;
	int kind = kind_of_frame(&w->kpageflags, pfn, is_file ? SAYS_FILE : SAYS_ANON);
	return kind == PAGE_ZERO ? (is_file ? (int)KIND_FILE : (int)PAGE_DEVICE) : kind;
}

// ---- what a word says ----

// The huge zero page looks like any huge page. It is no page of the census, so it is new each time that it is
// met, and each huge page begins with a frame that is a multiple of its size: so few frames need to be asked.
static bool is_huge_zero(struct walker *w, uint64_t pfn)
{
	uint64_t huge_pages = w->host->huge_pages;
	if (!huge_pages || pfn & (huge_pages - 1))
		return false;
	uint64_t flags;
	if (!kpage_read(&w->kpageflags, pfn, &flags) || !kpage_has(flags, KPF_ZERO_PAGE))
		return false;
	w->huge_zero = pfn;
	return true;
}

static void take_present(struct walker *w, struct row *row, uint64_t pfn, bool is_file)
{
	if (pfn == w->host->zero_pfn || pfn - w->huge_zero < w->host->huge_pages) {
		w->job->zero_pages++;
		return;
	}
	if (__builtin_expect(pfn >= SWAP_FRAMES, 0)) {
		w->job->refused++;
		return;
	}
	int kind = is_file ? row->file : row->anon;
	// A frame is asked once: it may be freed meanwhile, and then be nothing that counts.
	if (kind == ASK && !is_file)
		kind = row_kind(w, row, pfn, false);
	if (kind == PAGE_DEVICE)
		return;
	if (!marker_known(&w->marking.marker, pfn)) {
		if (is_huge_zero(w, pfn)) {
			w->job->zero_pages++;
			return;
		}
		kind = kind == ASK ? row_kind(w, row, pfn, true) : kind;
		if (kind >= KINDS)
			return;
		marker_first(&w->marking.marker, pfn, kind);
	}
	w->job->rss_pages++;
}

// An entry that is neither present nor a swap slot is a page under migration, for a moment, or a marker. 0 or an errno.
static int second_look(struct walker *w, uint64_t address, uint64_t *word)
{
	while ((*word & WORD_SWAP) && !word_is_swap(*word) && word_swap_type(*word) != SWAP_TYPE_MARKER &&
	       w->second_looks < SECOND_LOOKS) {
		w->second_looks++;
		ssize_t got = foreign_pread(&w->marking.worker, w->pagemap_fd, word, sizeof(*word),
					    address / w->host->page_bytes * sizeof(*word));
		if (got != sizeof(*word)) {
			*word = 0;
			return got < 0 ? errno : 0;
		}
	}
	return 0;
}

static __attribute__((noinline)) int take_word(struct walker *w, struct row *row, uint64_t word, uint64_t address)
{
	int error = word & WORD_SWAP ? second_look(w, address, &word) : 0;
	if (error)
		return error;
	if (word & WORD_PRESENT) {
		take_present(w, row, word & WORD_PFN, word & WORD_FILE);
	} else if (word_is_swap(word) && !w->files) {
		marker_mark(&w->marking.marker, word_swap_frame(word), KIND_SWAP);
		w->job->swap_pages++;
	}
	return 0;
}

// Nearly all frames were marked for the owner before, by another of its processes: that is looked up here, and
// everything else elsewhere. 0 or an errno.
static int take_words(struct walker *w, struct row *row, const uint64_t *words, uint64_t count, uint64_t address)
{
	bool plain = row->anon == KIND_ANON || row->anon == KIND_HUGETLB;
	uint64_t rss_pages = 0;
	int error = 0;
	for (uint64_t i = 0; !error && i < count; i++) {
		uint64_t word = words[i];
		if (plain && word & WORD_PRESENT && marker_has(&w->marking.marker, word & WORD_PFN))
			rss_pages++;
		else if (word & (WORD_PRESENT | WORD_SWAP))
			error = take_word(w, row, word, address + i * w->host->page_bytes);
	}
	if (error)
		return error;
	w->job->entries += count;
	w->job->rss_pages += rss_pages;
	return 0;
}

// ---- reading ----

// count words from an address on, into w->words. 0, or the cause of the gap: the address space has gone when fewer come back.
static int read_words(struct walker *w, uint64_t address, uint64_t count)
{
	int64_t got = foreign_words(&w->marking.worker, w->pagemap_fd, w->words, count, address / w->host->page_bytes);
	if (got < 0)
		return errno;
	return (uint64_t)got == count ? 0 : WALK_EXITED;
}

// Words of one row, beginning at address. 0 or an errno.
static int take_row_words(struct walker *w, struct row *row, const uint64_t *words, uint64_t count, uint64_t address)
{
	uint64_t before = w->job->rss_pages;
	marker_owner(&w->marking.marker, row->owner);
	int error = row->file == ASK && vma_has_file(&w->vmas, row->vma) ? row_learn(w, row, words, count, address) : 0;
	if (!error)
		error = take_words(w, row, words, count, address);
	if (!error && row->anon == KIND_HUGETLB) {
		w->job->hugetlb_pages += w->job->rss_pages - before;
		w->job->rss_pages = before;
	}
	return error;
}

static int walk_plain(struct walker *w, struct row *row, uint64_t start, uint64_t end)
{
	uint64_t page = w->host->page_bytes;
	int error = 0;
	while (!error && start < end) {
		uint64_t count = (end - start) / page;
		if (count > WORDS)
			count = WORDS;
		error = read_words(w, start, count);
		if (!error)
			error = take_row_words(w, row, w->words, count, start);
		start += count * page;
	}
	return error;
}

// A huge page by its first word: what that one counts as, the others count as, too.
static int take_huge(struct walker *w, struct row *row, uint64_t word, uint64_t count, uint64_t address)
{
	struct walk_job *job = w->job;
	uint64_t rss_pages = job->rss_pages, hugetlb_pages = job->hugetlb_pages, zero_pages = job->zero_pages;
	int error = take_row_words(w, row, &word, 1, address);
	if (error)
		return error;
	if (job->zero_pages > zero_pages)
		job->zero_pages += count - 1;
	if (job->rss_pages + job->hugetlb_pages == rss_pages + hugetlb_pages)
		return 0;
	uint64_t pfn = word & WORD_PFN;
	marker_run(&w->marking.marker, pfn + 1, count - 1, marker_kind(&w->marking.marker, pfn),
		   word & WORD_ALONE && !w->job->twice && !w->others);
	*(job->rss_pages > rss_pages ? &job->rss_pages : &job->hugetlb_pages) += count - 1;
	return 0;
}

// May what PAGEMAP_SCAN calls huge be taken by one word for each PMD? It says so of hugetlb pages of every size (fs/proc/task_mmu.c,
// pagemap_hugetlb_category()), and where some are smaller, the first tells nothing of those that follow it.
static bool row_steps(const struct walker *w, const struct row *row)
{
	if (!w->host->huge_pages)
		return false;
	if (w->host->hugetlb_pages >= w->host->huge_pages)
		return true;
	return row->file == KIND_FILE || row->file == KIND_SHMEM || !row_may_be_hugetlb(w, row->vma);
}

// One word per huge page; the frames that follow it are its neighbours.
static int walk_huge(struct walker *w, struct row *row, uint64_t start, uint64_t end)
{
	uint64_t page = w->host->page_bytes, huge = w->host->huge_pages * page;
	while (start < end) {
		uint64_t stop = (start | (huge - 1)) + 1;
		uint64_t count = ((stop < end ? stop : end) - start) / page;
		int error = read_words(w, start, 1);
		if (error)
			return error;
		uint64_t first = w->words[0];
		// Where the huge page was split since the scan, or is no page of memory, take the words one by one.
		error = first & WORD_PRESENT ? take_huge(w, row, first, count, start) :
					       walk_plain(w, row, start, start + count * page);
		if (error)
			return error;
		start += count * page;
	}
	return 0;
}

// Does this stretch, just read plainly, ask for a scan: mostly holes, or made of huge pages?
static bool stretch_wants_scan(const struct walker *w, uint64_t count)
{
	uint64_t huge = w->host->huge_pages, present = 0, neighbours = 0;
	for (uint64_t i = 0; i < count; i += 16) {
		present += w->words[i] >> 63;
		neighbours += i && w->words[i] >> 63 && w->words[i] == w->words[i - 16] + 16;
	}
	return present * 2 < count / 16 || (huge && neighbours * 10 > present * 9);
}

static int walk_scanned(struct walker *w, struct row *row, uint64_t *at, uint64_t end, uint64_t *dense_pages)
{
	uint64_t page = w->host->page_bytes, found = 0, from = *at;
	int64_t regions = scan_pages(&w->marking.worker, w->pagemap_fd, at, end, w->regions, REGIONS, SCAN_PAGES);
	if (regions < 0)
		return regions == -ESRCH ? WALK_EXITED : (int)-regions;
	for (int64_t i = 0; i < regions; i++) {
		const struct scan_region *region = &w->regions[i];
		bool huge = region->categories & SCAN_HUGE && row_steps(w, row);
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
	uint64_t at = row->vma->start, end = row->vma->end, page = w->host->page_bytes;
	uint64_t dense_pages = 0; // how far to read without asking
	while (at < end) {
		if (w->host->can_scan && !dense_pages) {
			int error = walk_scanned(w, row, &at, end, &dense_pages);
			if (error)
				return error;
			continue;
		}
		uint64_t count = (end - at) / page;
		if (w->host->can_scan && count > dense_pages)
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

// Pages that were met of what smaps tells.
static uint64_t found_pages(const struct walk_job *job)
{
	return job->rss_pages + job->hugetlb_pages + job->swap_pages;
}

// Is what is left of a row, as far as smaps knows, mostly there?
static bool rest_is_dense(uint64_t rest, uint64_t there, uint64_t found)
{
	return there >= found && there - found >= rest / 2 && there - found <= rest;
}

// A large row of a process whose rows are mostly holes: as far as all that it has was met. Without smaps that is all of it, and where
// more than that was met, smaps is of another moment. Where the holes are more than the process's size explains, the rest is left, and
// a gap: it could have us read for minutes.
static int walk_sparse(struct walker *w, struct row *row)
{
	uint64_t page = w->host->page_bytes, at = row->vma->start, end = row->vma->end, found = 0;
	uint64_t there = present_bytes(&w->present, at, end) / page;
	while (at < end && found != there) {
		uint64_t count = (end - at) / page, before = found_pages(w->job);
		if (w->hole_pages > HOLE_PAGES + HOLES_OF_A_PAGE * w->job->expected_pages &&
		    !rest_is_dense(count, there, found)) {
			job_gap(&w->marking.worker, STEP_PAGEMAP, WALK_BUSY);
			return 0;
		}
		if (count > WORDS)
			count = WORDS;
		int error = walk_plain(w, row, at, at + count * page);
		if (error)
			return error;
		uint64_t more = found_pages(w->job) - before;
		found += more;
		w->hole_pages += count - more;
		at += count * page;
	}
	return 0;
}

// Small rows that lie close together: one read, then each row's part of it.
static int walk_near(struct walker *w, const struct vma *vmas, size_t count)
{
	uint64_t page = w->host->page_bytes, start = vmas[0].start;
	int error = read_words(w, start, (vmas[count - 1].end - start) / page);
	for (size_t i = 0; !error && i < count; i++) {
		struct row row;
		uint64_t pages = (vmas[i].end - vmas[i].start) / page;
		error = -row_of(w, &vmas[i], &row);
		if (!error)
			error = take_row_words(w, &row, w->words + (vmas[i].start - start) / page, pages,
					       vmas[i].start);
	}
	return error;
}

static bool vma_small(const struct walker *w, const struct vma *vma)
{
	return vma->end - vma->start < LARGE_PAGES * w->host->page_bytes;
}

// The rows that have a file, moved to the front.
static size_t keep_files(struct walker *w, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (vma_has_file(&w->vmas, &w->vmas.rows[i]) || !vma_plain(&w->vmas, &w->vmas.rows[i]))
			w->vmas.rows[kept++] = w->vmas.rows[i];
	return kept;
}

// How many rows from the first one on are so small and near one another that one read serves all.
static size_t near_rows(const struct walker *w, const struct vma *vmas, size_t count)
{
	uint64_t page = w->host->page_bytes;
	size_t next = 1;
	while (next < count && vma_small(w, &vmas[next]) && (int64_t)vmas[next].start > 0 &&
	       vmas[next].start - vmas[next - 1].end <= NEAR_PAGES * page &&
	       vmas[next].end - vmas[0].start <= WORDS * page)
		next++;
	return next;
}

// Where holes cannot be passed over: are the large rows so large that most of them must be holes? Then smaps is read.
static int find_sparse(struct walker *w, int dir, size_t count)
{
	uint64_t page = w->host->page_bytes, pages = 0, hugetlb = 0;
	w->hole_pages = w->hugetlb_steps = 0;
	for (size_t i = 0; i < count && (int64_t)w->vmas.rows[i].start >= 0; i++) {
		const struct vma *vma = &w->vmas.rows[i];
		uint64_t more = vma_small(w, vma) ? 0 : (vma->end - vma->start) / page;
		pages += more;
		hugetlb += row_may_be_hugetlb(w, vma) ? more : 0;
	}
	w->sparse = !w->host->can_scan && pages > SPARSE_PAGES + 4 * w->job->expected_pages;
	w->present.count = 0;
	if (!w->sparse || w->job->expected_pages > SMAPS_PAGES || hugetlb > SMAPS_HUGETLB)
		return 0;
	int error = present_read(&w->present, &w->marking.worker, dir, w->job->pid, LARGE_PAGES * page, SMAPS_NS);
	return error == -ENOMEM || error == -ECANCELED ? -error : 0;
}

// Is this a row that is mostly holes, as far as that is known? It may have to be left.
static bool vma_giant(const struct walker *w, const struct vma *vma)
{
	if (!w->sparse)
		return false;
	uint64_t bytes = vma->end - vma->start, there = present_bytes(&w->present, vma->start, vma->end);
	return there == UINT64_MAX ? bytes > SPARSE_PAGES * w->host->page_bytes : bytes / 4 > there;
}

static bool vma_is_hugetlb(const struct walker *w, const struct vma *vma)
{
	return vma->inode && host_owns_hugetlb(w->host, vma->major, vma->minor);
}

// Any user can map 128 TiB of hugetlb where there is none, or little, and the kernel looks at each page that could be. False: nothing can
// be there, or so much of it would have to be looked at that it is a gap.
static bool hugetlb_is_read(struct walker *w, const struct vma *vma)
{
	const struct walk_host *host = w->host;
	uint64_t step = host->hugetlb_pages ? host->hugetlb_pages : 1, pool = host->hugetlb_pool;
	if (pool == 0)
		return false;
	w->hugetlb_steps += (vma->end - vma->start) / host->page_bytes / step;
	if (w->hugetlb_steps <= HUGETLB_STEPS || w->hugetlb_steps - HUGETLB_STEPS <= pool / step * 2)
		return true;
	job_gap(&w->marking.worker, STEP_PAGEMAP, WALK_BUSY);
	return false;
}

static int walk_rows(struct walker *w, size_t count, bool giant)
{
	const struct vma *vmas = w->vmas.rows;
	int error = 0;
	// [vsyscall] is in the kernel's half.
	for (size_t i = 0, rows; i < count && (int64_t)vmas[i].start >= 0; i += rows) {
		rows = 1;
		if (vma_giant(w, &vmas[i]) != giant || (vma_is_hugetlb(w, &vmas[i]) && !hugetlb_is_read(w, &vmas[i])))
			continue;
		if (vma_small(w, &vmas[i])) {
			rows = near_rows(w, &vmas[i], count - i);
			error = walk_near(w, &vmas[i], rows);
		} else {
			struct row row;
			error = -row_of(w, &vmas[i], &row);
			if (!error)
				error = w->sparse ? walk_sparse(w, &row) : walk_large(w, &row);
		}
		if (error)
			return error;
	}
	return -w->marking.marker.error;
}

static int walk_vmas(struct walker *w, int dir, size_t count)
{
	if (w->files)
		count = keep_files(w, count);
	int error = find_sparse(w, dir, count);
	if (!error)
		error = walk_rows(w, count, false);
	// Last: they may have to be left.
	return error || !w->sparse ? error : walk_rows(w, count, true);
}

// ---- a job ----

// The pagemap is opened before the maps: if the process replaces its address space in between, the old one's
// pagemap reads as empty, and the job is done again.
static int walk_once(struct walker *w, int dir)
{
	char path[64];
	struct walk_job *job = w->job;
	snprintf(path, sizeof(path), "task/%d/pagemap", job->pid);
	job_step(&w->marking.worker, STEP_OPEN);
	w->pagemap_fd = foreign_openat(&w->marking.worker, dir, path, O_RDONLY);
	if (w->pagemap_fd < 0) {
		job_gap(&w->marking.worker, STEP_OPEN, job_cause(-errno));
		return 0;
	}
	job_step(&w->marking.worker, STEP_MAPS);
	int64_t rows = vmas_read(&w->vmas, &w->marking.worker, dir, job->pid);
	int error = 0;
	if (rows < 0) {
		job_gap(&w->marking.worker, STEP_MAPS, job_cause(rows));
	} else {
		job->rss_pages = job->hugetlb_pages = job->swap_pages = job->zero_pages = 0;
		job->step = job->error = 0; // of an attempt before
		job->vmas = rows;
		job_step(&w->marking.worker, STEP_PAGEMAP);
		error = walk_vmas(w, dir, rows);
	}
	close(w->pagemap_fd);
	return error;
}

// Is this the failure of the walk as a whole?
static bool is_fatal(int error)
{
	return error == ENOMEM || error == ENOSPC;
}

static int walk_job(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	int dir = job_open(worker);
	if (dir < 0)
		return 0;
	w->second_looks = 0;
	w->kpageflags = (struct kpages){ .fd = w->host->kpageflags_fd };
	int error = walk_once(w, dir);
	for (int attempt = 1; error == WALK_EXITED && attempt < ATTEMPTS && job_still_there(worker, dir); attempt++) {
		error = walk_once(w, dir);
		if (!error)
			job_gap(worker, STEP_PAGEMAP, WALK_EXECED);
	}
	if (error)
		job_gap(worker, STEP_PAGEMAP, error);
	job_kpages(worker, &w->kpageflags);
	job_check_moved(worker, dir);
	close(dir);
	return is_fatal(error) ? -error : 0;
}

// ---- a walk ----

static int walker_init(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	w->host = worker->request->host;
	w->files = worker->source;
	w->job = &worker->job;
	w->huge_zero = UINT64_MAX / 2;
	w->others = worker_count(worker) > 1;
	w->words = malloc(WORDS * sizeof(*w->words));
	int error = w->words ? marker_init(&w->marking.marker, worker->request->census) : -ENOMEM;
	if (error)
		free(w->words);
	return error;
}

static void walker_dispose(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	vmas_free(&w->vmas);
	present_free(&w->present);
	free(w->words);
	free(w->kinds);
	table_free(&w->kind_table);
}

int pagemap_walk(const struct walk_request *request, struct mapped_files *files, struct walk **ret)
{
	static const struct walk_methods methods = {
		.walker_bytes = sizeof(struct walker),
		.init = walker_init,
		.walk = walk_job,
		.settle = marking_settle,
		.dispose = walker_dispose,
	};
	return walk_begin(request, &methods, files, ret);
}

int pagemap_can_scan(int pagemap_fd, uint64_t address, uint64_t page_bytes)
{
	struct scan_region region;
	uint64_t at = address;
	return scan_pages(NULL, pagemap_fd, &at, address + page_bytes, &region, 1, 0) >= 0;
}
