// Which ranges of which files processes map: for the basis incore, which counts a file's pages where they are in the
// page cache, whether or not a page table maps them.
//
// A file is what fstat() says of it, asked through /proc/PID/map_files: that finds deleted files, memfd, shared
// anonymous memory and System V segments, and tells subvolumes of btrfs apart, which maps does not. On overlayfs
// the same pages appear under another device in each mount; those are told to be the same by a frame (incore_frame).
// Nothing is read into memory: cachestat(2) and mincore(2) only look.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "census.h"
#include "explain.h"
#include "files.h"
#include "jobs.h"
#include "kinds.h"
#include "scan.h"

#define WORDS 8192
#define REGIONS 256
#define LARGE_PAGES 4096 // private rows from here on are worth a PAGEMAP_SCAN
#define MINCORE_PAGES (1 << 16) // looked at by one call
#define MADV_POPULATE_READ_ 22 // Linux 5.14; the headers that build us may be older
#define CACHESTAT_NUMBER 451 // cachestat(2) on every architecture, Linux 6.5, commit cf264e1329fb
#define HUGETLBFS_MAGIC_ 0x958458f6

// A row of maps that names a file: which one it is, noted for the other rows of the same process.
struct note {
	uint64_t inode;
	uint32_t major, minor;
	uint32_t name, name_length;
	int64_t file;
};

enum { NOT_A_FILE = -1, PASS_OVER = -2 };

struct incore {
	struct incore_file *files;
	uint32_t file_count, file_room;
	uint32_t *table; // open addressing: file + 1 by device and inode; twice as large as file_room
	struct file_range *ranges;
	size_t range_count, range_room;
};

struct reader {
	struct incore *incore;
	const struct walk_settings *settings;
	struct walk_job *job;
	struct marker marker;
	int dir, pagemap_fd;
	char *text;
	size_t text_room;
	struct vma *vmas;
	size_t vma_room;
	struct note *notes;
	size_t note_count, note_room;
	uint64_t words[WORDS];
};

// Make room for one more of an array, doubling it.
static int reserve(void **array, size_t size, size_t count, size_t *room)
{
	if (count < *room)
		return 0;
	size_t more = *room * 2 + 64;
	void *grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

int incore_create(struct incore **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void incore_destroy(struct incore *incore)
{
	for (uint32_t i = 0; i < incore->file_count; i++)
		if (incore->files[i].fd >= 0)
			close(incore->files[i].fd);
	free(incore->files);
	free(incore->table);
	free(incore->ranges);
	free(incore);
}

size_t incore_files(const struct incore *incore, const struct incore_file **ret)
{
	*ret = incore->files;
	return incore->file_count;
}

size_t incore_ranges(const struct incore *incore, const struct file_range **ret)
{
	*ret = incore->ranges;
	return incore->range_count;
}

// ---- files ----

static uint32_t file_place(const struct incore *incore, uint64_t device, uint64_t inode, int64_t made_ns)
{
	uint64_t hash = inode * UINT64_C(0x9e3779b97f4a7c15) ^ (device + made_ns) * UINT64_C(0xbf58476d1ce4e5b9);
	uint32_t mask = incore->file_room * 2 - 1;
	for (uint32_t at = (hash ^ hash >> 32) & mask;; at = (at + 1) & mask) {
		const struct incore_file *file = &incore->files[incore->table[at] - 1];
		if (!incore->table[at] || (file->device == device && file->inode == inode && file->made_ns == made_ns))
			return at;
	}
}

static int files_grow(struct incore *incore)
{
	uint32_t room = incore->file_room ? incore->file_room * 2 : 256;
	uint32_t *table = calloc(room * 2, sizeof(*table));
	struct incore_file *files = realloc(incore->files, room * sizeof(*files));
	if (files)
		incore->files = files;
	if (!files || !table) {
		free(table);
		return -ENOMEM;
	}
	free(incore->table);
	incore->table = table;
	incore->file_room = room;
	for (uint32_t i = 0; i < incore->file_count; i++)
		table[file_place(incore, files[i].device, files[i].inode, files[i].made_ns)] = i + 1;
	return 0;
}

static int64_t nanoseconds(const struct timespec *time)
{
	return time->tv_sec * INT64_C(1000000000) + time->tv_nsec;
}

static int64_t file_add(struct incore *incore, int dir, const char *path, const struct stat *found, bool system_v)
{
	int64_t made_ns = system_v ? nanoseconds(&found->st_ctim) : 0;
	if (incore->file_count == incore->file_room && files_grow(incore))
		return -ENOMEM;
	uint32_t at = file_place(incore, found->st_dev, found->st_ino, made_ns);
	if (incore->table[at])
		return incore->table[at] - 1;
	int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC, fd = openat(dir, path, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(dir, path, flags);
	if (fd < 0)
		return errno == ENOENT ? PASS_OVER : errno == EMFILE || errno == ENFILE ? -EMFILE : NOT_A_FILE;
	struct statfs system = { 0 };
	if (fstatfs(fd, &system) || (uint32_t)system.f_type == HUGETLBFS_MAGIC_) {
		close(fd);
		return PASS_OVER; // hugetlb pages are beside rss, and counted by frames
	}
	incore->files[incore->file_count] = (struct incore_file){
		.device = found->st_dev,
		.inode = found->st_ino,
		.size_bytes = found->st_size,
		.mtime_ns = nanoseconds(&found->st_mtim),
		.made_ns = made_ns,
		.file_system = (uint32_t)system.f_type,
		.fd = fd,
	};
	incore->table[at] = ++incore->file_count;
	return incore->file_count - 1;
}

// The inode number of a System V segment is its id, which may be 0, another segment's in another IPC namespace, and
// another file's of the kernel's own tmpfs (ipc/shm.c, newseg()): so it is told by when it was made, too, to the
// clock tick that the kernel notes.
static bool row_is_system_v(const struct reader *r, const struct vma *vma)
{
	return vma->name_length >= 5 && !memcmp(r->text + vma->name, "/SYSV", 5);
}

// The file of a row: its index, NOT_A_FILE, PASS_OVER, or another negative errno. Only regular files are
// opened: opening a device could have effects.
static int64_t file_of_row(struct reader *r, const struct vma *vma)
{
	for (size_t i = r->note_count; i-- > 0;) {
		const struct note *note = &r->notes[i];
		if (note->inode == vma->inode && note->major == vma->major && note->minor == vma->minor &&
		    note->name_length == vma->name_length &&
		    !memcmp(r->text + note->name, r->text + vma->name, vma->name_length))
			return note->file;
	}
	char path[80];
	struct stat found;
	snprintf(path, sizeof(path), "map_files/%lx-%lx", (long)vma->start, (long)vma->end);
	int64_t file = fstatat(r->dir, path, &found, 0) ? (errno == ENOENT ? PASS_OVER : NOT_A_FILE) :
		       S_ISREG(found.st_mode)		 ? file_add(r->incore, r->dir, path, &found, row_is_system_v(r, vma)) :
							   NOT_A_FILE;
	if (file < PASS_OVER)
		return file;
	if (reserve((void **)&r->notes, sizeof(*r->notes), r->note_count, &r->note_room))
		return -ENOMEM;
	r->notes[r->note_count++] =
		(struct note){ vma->inode, vma->major, vma->minor, vma->name, vma->name_length, file };
	return file;
}

// ---- ranges ----

static int range_add(struct reader *r, uint32_t file, const struct vma *vma, uint64_t start, uint64_t end)
{
	struct incore *incore = r->incore;
	uint64_t page = r->settings->page_bytes;
	if (start >= end)
		return 0;
	if (reserve((void **)&incore->ranges, sizeof(*incore->ranges), incore->range_count, &incore->range_room))
		return -ENOMEM;
	incore->ranges[incore->range_count++] = (struct file_range){
		.file = file,
		.zone = r->job->zone,
		.first = (vma->offset + (start - vma->start)) / page,
		.pages = (end - start) / page,
		.shared = !!(vma->flags & VMA_SHARED),
	};
	return 0;
}

static bool word_is_anon(uint64_t word)
{
	if (word & WORD_FILE)
		return false;
	return word & WORD_PRESENT || (word & WORD_SWAP && (word & 31) != SWAP_TYPE_MARKER);
}

// Frames of a mapping that is none of a file that can be asked.
static void take_frames(struct reader *r, const uint64_t *words, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t pfn = words[i] & WORD_PFN;
		if (!(words[i] & WORD_PRESENT) || !(words[i] & WORD_FILE) || pfn == r->settings->zero_pfn ||
		    pfn >= SWAP_FRAMES || marker_known(&r->marker, pfn))
			continue;
		int kind = kind_of_frame(r->settings->kpageflags_fd, pfn);
		if (kind != KIND_HUGETLB && kind != PAGE_ZERO)
			marker_first(&r->marker, pfn, kind == KIND_SHMEM ? KIND_SHMEM : KIND_FILE);
	}
}

// Addresses [at, end) of a row, word by word. file: its file, whose ranges without anon pages are added from *from
// on; or NOT_A_FILE.
static int take_words(struct reader *r, const struct vma *vma, int64_t file, uint64_t at, uint64_t end, uint64_t *from)
{
	uint64_t page = r->settings->page_bytes;
	while (at < end) {
		uint64_t count = (end - at) / page < WORDS ? (end - at) / page : WORDS;
		ssize_t got = pread(r->pagemap_fd, r->words, count * sizeof(*r->words), at / page * sizeof(*r->words));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? errno : WALK_EXITED;
		count = got / sizeof(*r->words);
		if (file == NOT_A_FILE)
			take_frames(r, r->words, count);
		for (uint64_t i = 0; file >= 0 && i < count; i++)
			if (word_is_anon(r->words[i])) {
				if (range_add(r, file, vma, *from, at + i * page))
					return ENOMEM;
				*from = at + (i + 1) * page;
			}
		at += count * page;
	}
	return 0;
}

static int take_row(struct reader *r, const struct vma *vma, int64_t file)
{
	struct scan_region regions[REGIONS];
	uint64_t from = vma->start, at = vma->start;
	int error = 0;
	if (file >= 0 && vma->flags & VMA_SHARED)
		return range_add(r, file, vma, vma->start, vma->end) ? ENOMEM : 0;
	if (!r->settings->use_scan || (vma->end - vma->start) / r->settings->page_bytes < LARGE_PAGES)
		error = take_words(r, vma, file, at, vma->end, &from);
	else
		while (!error && at < vma->end) {
			int64_t found = scan_pages(r->pagemap_fd, &at, vma->end, regions, REGIONS, 0);
			error = found == -ESRCH ? WALK_EXITED : found < 0 ? (int)-found : 0;
			for (int64_t i = 0; !error && i < found; i++)
				error = take_words(r, vma, file, regions[i].start, regions[i].end, &from);
		}
	if (!error && file >= 0 && range_add(r, file, vma, from, vma->end))
		error = ENOMEM;
	return error;
}

// Plain anonymous memory: nothing of it is a file's.
static bool row_is_anon(const struct reader *r, const struct vma *vma)
{
	const char *name = r->text + vma->name;
	uint32_t length = vma->name_length;
	return !vma->inode && (!length || (length >= 5 && (!memcmp(name, "[heap", 5) || !memcmp(name, "[stac", 5) ||
							   !memcmp(name, "[anon", 5))));
}

// ---- a job ----

static int64_t read_maps(struct reader *r)
{
	char path[64];
	size_t bad;
	snprintf(path, sizeof(path), "task/%d/maps", r->job->pid);
	for (;;) {
		int64_t length = file_read_at(r->dir, path, r->text, r->text_room);
		if (length < 0)
			return length;
		if ((size_t)length == r->text_room) {
			char *grown = realloc(r->text, r->text_room * 2 + 65536);
			if (!grown)
				return -ENOMEM;
			r->text = grown;
			r->text_room = r->text_room * 2 + 65536;
			continue;
		}
		int64_t rows = maps_parse(r->text, length, r->vmas, r->vma_room, &bad);
		if (rows <= (int64_t)r->vma_room)
			return rows;
		struct vma *more = realloc(r->vmas, (rows + 256) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		r->vmas = more;
		r->vma_room = rows + 256;
	}
}

static int collect_rows(struct reader *r, int64_t rows)
{
	for (int64_t i = 0; i < rows; i++) {
		const struct vma *vma = &r->vmas[i];
		if ((int64_t)vma->start < 0)
			break; // [vsyscall]
		if (row_is_anon(r, vma))
			continue;
		int64_t file = vma->inode || row_is_system_v(r, vma) ? file_of_row(r, vma) : NOT_A_FILE;
		int error = file < PASS_OVER ? (int)-file : file == PASS_OVER ? 0 : take_row(r, vma, file);
		if (error)
			return error;
	}
	return 0;
}

// map_files is a directory of the thread's: where the first one has ended it is another's.
static void collect_job(struct reader *r, const struct walk_settings *settings)
{
	int leader = job_open(r->job, settings);
	if (leader < 0)
		return;
	char path[64];
	snprintf(path, sizeof(path), "%d", r->job->pid);
	r->dir = r->job->pid == r->job->leader ? leader : openat(settings->proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "task/%d/pagemap", r->job->pid);
	r->pagemap_fd = r->dir < 0 ? -1 : openat(r->dir, path, O_RDONLY | O_CLOEXEC);
	if (r->pagemap_fd < 0) {
		job_gap(r->job, STEP_OPEN, job_cause(-errno));
	} else {
		marker_zone(&r->marker, r->job->zone);
		r->note_count = 0;
		int64_t rows = read_maps(r);
		if (rows < 0)
			job_gap(r->job, STEP_MAPS, job_cause(rows));
		int error = rows > 0 ? collect_rows(r, rows) : 0;
		if (error)
			job_gap(r->job, STEP_PAGEMAP, error);
		close(r->pagemap_fd);
	}
	if (r->dir >= 0 && r->dir != leader)
		close(r->dir);
	close(leader);
}

int incore_collect(struct incore *incore, struct census *rest, struct walk_job *jobs, size_t count,
		   const struct walk_settings *settings)
{
	struct reader *r = calloc(1, sizeof(*r));
	int error = r ? marker_init(&r->marker, rest) : -ENOMEM;
	if (!error) {
		r->incore = incore;
		r->settings = settings;
		for (size_t i = 0; i < count; i++) {
			r->job = &jobs[i];
			collect_job(r, settings);
			if (jobs[i].error == ENOMEM || jobs[i].error == EMFILE)
				error = -jobs[i].error;
		}
		int failed = marker_deinit(&r->marker);
		error = error ? error : failed;
	}
	if (r) {
		free(r->text);
		free(r->vmas);
		free(r->notes);
	}
	free(r);
	return error;
}

// ---- what is in the page cache ----

// A view of some pages of a file. VM_RAND_READ keeps the kernel from taking our look for use of the page
// (mm/memory.c, vma_has_recency()). NULL: it cannot be mapped, and errno says why.
static void *view(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages)
{
	void *where = mmap(NULL, pages * page_bytes, PROT_READ, MAP_PRIVATE, fd, first * page_bytes);
	if (where == MAP_FAILED)
		return NULL;
	madvise(where, pages * page_bytes, MADV_RANDOM);
	return where;
}

// Calls of mincore on [first, first + pages): how many are in the page cache, and the first of them.
static int look(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages, uint64_t *resident, int64_t *found)
{
	unsigned char in_core[MINCORE_PAGES];
	*resident = 0;
	*found = -ENOENT;
	for (uint64_t at = 0; at < pages; at += MINCORE_PAGES) {
		uint64_t count = pages - at < MINCORE_PAGES ? pages - at : MINCORE_PAGES;
		void *where = view(fd, page_bytes, first + at, count);
		int error = !where || mincore(where, count * page_bytes, in_core) ? -errno : 0;
		if (where)
			munmap(where, count * page_bytes);
		if (error)
			return error;
		for (uint64_t i = 0; i < count; i++) {
			*resident += in_core[i] & 1;
			if (in_core[i] & 1 && *found < 0)
				*found = first + at + i;
		}
	}
	return 0;
}

static int ask_cachestat(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages, uint64_t *resident)
{
	uint64_t range[2] = { first * page_bytes, pages * page_bytes };
	struct {
		uint64_t cache, dirty, writeback, evicted, recently_evicted;
	} stat;
	if (syscall(CACHESTAT_NUMBER, fd, range, &stat, 0))
		return -errno;
	*resident = stat.cache;
	return 0;
}

int incore_count(int fd, enum incore_means means, uint64_t page_bytes, const uint64_t *first, const uint64_t *pages,
		 size_t count, uint64_t *resident)
{
	int64_t found;
	int error = 0;
	for (size_t i = 0; !error && i < count; i++)
		error = means == BY_CACHESTAT ? ask_cachestat(fd, page_bytes, first[i], pages[i], &resident[i]) :
						look(fd, page_bytes, first[i], pages[i], &resident[i], &found);
	return error;
}

int64_t incore_first(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages)
{
	uint64_t resident;
	int64_t found = -ENOENT;
	for (uint64_t at = 0; found == -ENOENT && at < pages; at += MINCORE_PAGES) {
		uint64_t count = pages - at < MINCORE_PAGES ? pages - at : MINCORE_PAGES;
		int error = look(fd, page_bytes, first + at, count, &resident, &found);
		if (error)
			return error;
	}
	return found;
}

int incore_frame(int fd, uint64_t page, int own_pagemap_fd, const struct walk_settings *settings, uint64_t *pfn)
{
	uint64_t page_bytes = settings->page_bytes, word = 0;
	unsigned char in_core = 0;
	char *where = view(fd, page_bytes, page, 1);
	if (!where)
		return -errno;
	// Not by touching it: a file that is cut short at this moment would end us with SIGBUS.
	if (!mincore(where, page_bytes, &in_core) && in_core & 1 && !madvise(where, page_bytes, MADV_POPULATE_READ_) &&
	    pread(own_pagemap_fd, &word, sizeof(word), (uintptr_t)where / page_bytes * sizeof(word)) != sizeof(word))
		word = 0;
	munmap(where, page_bytes);
	if (!(word & WORD_PRESENT))
		return -ENOENT;
	*pfn = word & WORD_PFN;
	return kind_of_frame(settings->kpageflags_fd, *pfn) == KIND_SHMEM ? KIND_SHMEM : KIND_FILE;
}
