// Which ranges of which files processes map: for the basis incore, which counts a file's pages where they are in the
// page cache, whether or not a page table maps them.
//
// A file is what statx() says of it, asked through /proc/PID/map_files: that finds deleted files, memfd, shared
// anonymous memory and System V segments, and tells subvolumes of btrfs apart, which maps does not. On overlayfs
// the same pages appear under another device in each mount and below; those are told to be the same by a frame (incore_frame).

#include "ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "array.h"
#include "jobs.h"
#include "marker.h"
#include "mounts.h"
#include "pageflags.h"
#include "pool.h"
#include "scan.h"
#include "table.h"
#include "vmas.h"

#define WORDS 8192
#define REGIONS 256
#define LARGE_PAGES 4096	 // private rows from here on are worth a PAGEMAP_SCAN
#define PLAIN_PAGES (1ull << 24) // of such rows that a process may have us read word by word, 0.2 s, and
#define PLAIN_OF_A_PAGE 8	 // for each page that it has
#define TMPFS_MAGIC_ 0x01021994

// A row of maps that names a file: which one it is, noted for the other rows of the same process.
struct note {
	uint64_t inode;
	uint32_t major, minor;
	uint32_t name, name_length;
	int64_t file;
};

enum { NOT_A_FILE = -1, PASS_OVER = -2 };

struct ranges {
	struct range_file *files;
	size_t file_count, file_room;
	struct table table; // files
	struct file_range *ranges;
	size_t range_count, range_room;
};

struct walker {
	struct marking marking;
	struct ranges *ranges;
	const struct walk_host *host;
	struct kpages kpageflags;
	struct walk_job *job;
	int dir, pagemap_fd;
	struct vmas vmas;
	struct note *notes;
	size_t note_count, note_room;
	uint64_t plain_pages;  // of large rows that are read word by word
	struct mounts *mounts; // of the job's process
	bool knows_mounts;     // they were read
	struct scan_region regions[REGIONS];
	uint64_t words[WORDS];
};

int ranges_create(struct ranges **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void *destroy(void *argument)
{
	struct ranges *ranges = argument;
	for (size_t i = 0; i < ranges->file_count; i++)
		close(ranges->files[i].fd);
	free(ranges->files);
	free(ranges->ranges);
	table_free(&ranges->table);
	free(ranges);
	return NULL;
}

// Some file systems wait for their server when a file is closed.
void ranges_destroy(struct ranges *ranges)
{
	if (!ranges->file_count || thread_start(destroy, ranges))
		destroy(ranges);
}

size_t ranges_files(const struct ranges *ranges, const struct range_file **ret)
{
	*ret = ranges->files;
	return ranges->file_count;
}

size_t ranges_all(const struct ranges *ranges, const struct file_range **ret)
{
	*ret = ranges->ranges;
	return ranges->range_count;
}

// ---- files ----

static uint64_t hash_of(const struct range_file *file)
{
	return hash_pair(file->inode, file->device + file->made_ns);
}

static uint64_t file_hash(const void *files, uint32_t index)
{
	return hash_of((const struct range_file *)files + index);
}

static bool file_same(const void *files, uint32_t index, const void *key)
{
	const struct range_file *file = (const struct range_file *)files + index, *wanted = key;
	return file->device == wanted->device && file->inode == wanted->inode && file->made_ns == wanted->made_ns;
}

static struct range_file file_of(const struct statx *found, bool system_v)
{
	return (struct range_file){
		.device = (uint64_t)found->stx_dev_major << 32 | found->stx_dev_minor,
		.inode = found->stx_ino,
		.size_bytes = found->stx_size,
		.made_ns = system_v ? found->stx_ctime.tv_sec * INT64_C(1000000000) + found->stx_ctime.tv_nsec : 0,
	};
}

// ---- where files are ----

// Of a file system that the kernel has mounted for itself.
static enum fs_kind own_kind(const struct walk_host *host, const struct statx *found)
{
	if (found->stx_dev_major == host->shm_major && found->stx_dev_minor == host->shm_minor)
		return FS_TMPFS;
	return host_owns_hugetlb(host, found->stx_dev_major, found->stx_dev_minor) ? FS_HUGETLBFS : FS_UNKNOWN;
}

static enum fs_kind find_mount(const struct walker *w, const struct statx *found)
{
	uint64_t id = found->stx_mask & STATX_MNT_ID ? found->stx_mnt_id : 0;
	return mounts_find(w->mounts, id, found->stx_dev_major, found->stx_dev_minor);
}

// What we lack ourselves, whatever is read.
static bool is_ours(int error)
{
	return error == ENOMEM || error == EMFILE || error == ENFILE;
}

// A file that could not be asked: what is mapped of it counts, and it is said. A stranger's file system may answer anything.
static void file_gap(struct walker *w, int error)
{
	job_gap(&w->marking.worker, STEP_PAGEMAP, is_ours(error) ? EIO : error);
}

// The mounts of the job's process are read when they are first asked for. 0 or an errno.
static int read_mounts(struct walker *w)
{
	mounts_forget(w->mounts);
	w->knows_mounts = true;
	int fd = foreign_openat(&w->marking.worker, w->dir, "mountinfo", O_RDONLY);
	int error = fd < 0 ? -errno : mounts_read(w->mounts, &w->marking.worker, fd);
	if (fd >= 0)
		close(fd);
	if (is_ours(-error) || error == -ECANCELED)
		return -error;
	if (error && error != -ENOENT && error != -ESRCH)
		file_gap(w, -error);
	return 0;
}

// 0 or an errno.
static int kind_of_file_system(struct walker *w, const struct statx *found, enum fs_kind *kind)
{
	*kind = own_kind(w->host, found);
	if (*kind != FS_UNKNOWN)
		return 0;
	int error = w->knows_mounts ? 0 : read_mounts(w);
	if (!error)
		*kind = find_mount(w, found);
	return error;
}

// ---- opening ----

// Without a trace in its times. Negative errno.
static int open_again(struct walker *w, int there)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", there);
	int fd = foreign_openat(&w->marking.worker, AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = foreign_openat(&w->marking.worker, AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

// Opens what path was seen to be; -ENOENT where something else is mapped there by now. Another negative errno.
static int open_file(struct walker *w, const char *path, const struct range_file *wanted, bool system_v)
{
	struct statx found = { 0 };
	int there = foreign_openat(&w->marking.worker, w->dir, path, O_PATH);
	if (there < 0)
		return -errno;
	int fd = foreign_look(&w->marking.worker, there, "", &found) ? -errno : 0;
	struct range_file same = file_of(&found, system_v);
	if (!fd)
		fd = file_same(&same, 0, wanted) ? open_again(w, there) : -ENOENT;
	close(there);
	return fd;
}

// May we? A file system in user space may have answered EMFILE of its own.
static bool may_open_more(void)
{
	int fd = open("/", O_PATH | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

// The first file system is of either sort. 0 or an errno.
static int ask_rootfs(struct walker *w, struct range_file *file)
{
	struct statfs system = { 0 };
	int failed = FOREIGN(&w->marking.worker, fstatfs(file->fd, &system)) ? errno : 0;
	file->fs_kind = system.f_type == TMPFS_MAGIC_ ? FS_TMPFS : FS_RAMFS;
	return failed == ECANCELED ? failed : 0;
}

static int file_keep(struct ranges *ranges, const struct range_file *file, int64_t *number)
{
	if (ARRAY_RESERVE(ranges->files, ranges->file_room, ranges->file_count + 1))
		return ENOMEM;
	ranges->files[ranges->file_count] = *file;
	if (table_add(&ranges->table, hash_of(file), ranges->file_count, file_hash, ranges->files))
		return ENOMEM;
	*number = ranges->file_count++;
	return 0;
}

// *number: of the file, NOT_A_FILE or PASS_OVER. 0 or an errno.
//
// Not opened is what anybody can serve: a server that has read a request is waited for by everybody, exit included (fs/fuse/dev.c,
// request_wait_answer()), and open(2), statfs(2) and close(2) are requests. Nor is what is mounted where we do not see it.
static int file_add(struct walker *w, const char *path, const struct statx *found, bool system_v, int64_t *number)
{
	struct ranges *ranges = w->ranges;
	struct range_file file = file_of(found, system_v);
	uint32_t known = table_find(&ranges->table, hash_of(&file), file_same, ranges->files, &file);
	*number = known;
	if (known != TABLE_NONE)
		return 0;
	*number = NOT_A_FILE;
	enum fs_kind kind;
	int error = kind_of_file_system(w, found, &kind);
	if (error || kind == FS_UNKNOWN || kind == FS_FUSE)
		return error;
	if (kind == FS_HUGETLBFS) { // hugetlb pages are beside rss, and counted by frames
		*number = PASS_OVER;
		return 0;
	}
	file.fs_kind = kind;
	file.pid = w->job->leader;
	file.fd = open_file(w, path, &file, system_v);
	if (file.fd == -ECANCELED)
		return ECANCELED;
	if ((file.fd == -EMFILE || file.fd == -ENFILE) && !may_open_more())
		return EMFILE;
	if (file.fd < 0) {
		*number = file.fd == -ENOENT ? PASS_OVER : NOT_A_FILE;
		if (file.fd != -ENOENT)
			file_gap(w, -file.fd);
		return 0;
	}
	error = kind == FS_ROOTFS ? ask_rootfs(w, &file) : 0;
	error = error ? error : file_keep(ranges, &file, number);
	if (error)
		close(file.fd);
	return error;
}

static const struct note *note_of(const struct walker *w, const struct vma *vma)
{
	for (size_t i = w->note_count; i-- > 0;) {
		const struct note *note = &w->notes[i];
		if (note->inode == vma->inode && note->major == vma->major && note->minor == vma->minor &&
		    note->name_length == vma->name_length &&
		    !memcmp(w->vmas.text.bytes + note->name, vma_name(&w->vmas, vma), vma->name_length))
			return note;
	}
	return NULL;
}

// The file of a row. Only regular files are opened: opening a device could have effects. *number: as in file_add(). 0 or an errno.
//
// The inode number of a System V segment is its id, which may be 0, another segment's in another IPC namespace, and
// another file's of the kernel's own tmpfs (ipc/shm.c, newseg()): so it is told by when it was made, too, to the
// clock tick that the kernel notes.
static int file_of_row(struct walker *w, const struct vma *vma, int64_t *number)
{
	char path[80];
	struct statx found = { 0 };
	const struct note *known = note_of(w, vma);
	*number = known ? known->file : NOT_A_FILE;
	if (known || !(vma->inode || vma_system_v(&w->vmas, vma)))
		return 0;
	snprintf(path, sizeof(path), "map_files/%lx-%lx", (long)vma->start, (long)vma->end);
	if (foreign_look(&w->marking.worker, w->dir, path, &found)) {
		if (errno == ECANCELED)
			return errno;
		*number = errno == ENOENT ? PASS_OVER : NOT_A_FILE;
		if (errno != ENOENT)
			file_gap(w, errno);
	} else if (S_ISREG(found.stx_mode)) {
		int error = file_add(w, path, &found, vma_system_v(&w->vmas, vma), number);
		if (error)
			return error;
	}
	if (ARRAY_RESERVE(w->notes, w->note_room, w->note_count + 1))
		return ENOMEM;
	w->notes[w->note_count++] =
		(struct note){ vma->inode, vma->major, vma->minor, vma->name, vma->name_length, *number };
	return 0;
}

// ---- ranges ----

static int range_add(struct walker *w, uint32_t file, const struct vma *vma, uint64_t start, uint64_t end)
{
	struct ranges *ranges = w->ranges;
	uint64_t page = w->host->page_bytes;
	if (start >= end)
		return 0;
	if (ARRAY_RESERVE(ranges->ranges, ranges->range_room, ranges->range_count + 1))
		return ENOMEM;
	ranges->ranges[ranges->range_count++] = (struct file_range){
		.file = file,
		.owner = w->job->owner,
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
	return word & WORD_PRESENT || (word & WORD_SWAP && word_swap_type(word) != SWAP_TYPE_MARKER);
}

// Frames of a mapping that is none of a file that can be asked.
static void take_frames(struct walker *w, const uint64_t *words, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t pfn = words[i] & WORD_PFN;
		if (!(words[i] & WORD_PRESENT) || !(words[i] & WORD_FILE) || pfn == w->host->zero_pfn ||
		    pfn >= SWAP_FRAMES || marker_known(&w->marking.marker, pfn))
			continue;
		int kind = kind_of_frame(&w->kpageflags, pfn, SAYS_FILE);
		if (kind == KIND_FILE || kind == KIND_SHMEM)
			marker_first(&w->marking.marker, pfn, kind);
	}
}

// Addresses [at, end) of a row, word by word. file: its file, whose ranges without anon pages are added from *from
// on; or NOT_A_FILE.
static int take_words(struct walker *w, const struct vma *vma, int64_t file, uint64_t at, uint64_t end, uint64_t *from)
{
	uint64_t page = w->host->page_bytes;
	while (at < end) {
		uint64_t count = (end - at) / page < WORDS ? (end - at) / page : WORDS;
		int64_t got = foreign_words(&w->marking.worker, w->pagemap_fd, w->words, count, at / page);
		if (got < 0)
			return errno;
		if ((uint64_t)got < count)
			return WALK_EXITED;
		if (file == NOT_A_FILE)
			take_frames(w, w->words, count);
		for (uint64_t i = 0; file >= 0 && i < count; i++)
			if (word_is_anon(w->words[i])) {
				if (range_add(w, file, vma, *from, at + i * page))
					return ENOMEM;
				*from = at + (i + 1) * page;
			}
		at += count * page;
	}
	return 0;
}

static int take_scanned(struct walker *w, const struct vma *vma, int64_t file, uint64_t *from)
{
	uint64_t at = vma->start;
	while (at < vma->end) {
		int64_t found = scan_pages(&w->marking.worker, w->pagemap_fd, &at, vma->end, w->regions, REGIONS, 0);
		if (found < 0)
			return found == -ESRCH ? WALK_EXITED : (int)-found;
		for (int64_t i = 0; i < found; i++) {
			int error = take_words(w, vma, file, w->regions[i].start, w->regions[i].end, from);
			if (error)
				return error;
		}
	}
	return 0;
}

static int take_row(struct walker *w, const struct vma *vma, int64_t file)
{
	uint64_t from = vma->start, pages = (vma->end - vma->start) / w->host->page_bytes;
	bool all = file >= 0 && vma->flags & VMA_SHARED; // no page of it is private
	bool scans = w->host->can_scan && pages >= LARGE_PAGES;
	if (!all && !scans) {
		// Any user can map 128 TiB, and each word of it would be read.
		if (w->plain_pages + pages > PLAIN_PAGES + PLAIN_OF_A_PAGE * w->job->expected_pages) {
			job_gap(&w->marking.worker, STEP_PAGEMAP, WALK_BUSY);
			return 0;
		}
		w->plain_pages += pages;
	}
	int error = all	  ? 0 :
		    scans ? take_scanned(w, vma, file, &from) :
			    take_words(w, vma, file, vma->start, vma->end, &from);
	return !error && file >= 0 ? range_add(w, file, vma, from, vma->end) : error;
}

// ---- a job ----

static int collect_rows(struct walker *w, int64_t rows)
{
	for (int64_t i = 0; i < rows; i++) {
		const struct vma *vma = &w->vmas.rows[i];
		int64_t file;
		if ((int64_t)vma->start < 0)
			break; // [vsyscall]
		if (!vma->inode && vma_plain(&w->vmas, vma))
			continue;
		int error = file_of_row(w, vma, &file);
		if (!error && file != PASS_OVER)
			error = take_row(w, vma, file);
		if (error)
			return error;
	}
	return 0;
}

// The pagemap of the job is open.
static int collect(struct walker *w)
{
	marker_owner(&w->marking.marker, w->job->owner);
	w->note_count = 0;
	w->plain_pages = 0;
	w->knows_mounts = false;
	w->kpageflags = (struct kpages){ .fd = w->host->kpageflags_fd };
	job_step(&w->marking.worker, STEP_MAPS);
	int64_t rows = vmas_read(&w->vmas, &w->marking.worker, w->dir, w->job->pid);
	if (rows < 0)
		job_gap(&w->marking.worker, STEP_MAPS, job_cause(rows));
	job_step(&w->marking.worker, STEP_PAGEMAP);
	int error = rows > 0 ? collect_rows(w, rows) : 0;
	if (error)
		job_gap(&w->marking.worker, STEP_PAGEMAP, error);
	job_kpages(&w->marking.worker, &w->kpageflags);
	return error;
}

// map_files is a directory of the thread's: where the first one has ended it is another's.
static int walk_job(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	int leader = job_open(worker), error = 0;
	char path[64];
	if (leader < 0)
		return 0;
	snprintf(path, sizeof(path), "%d", w->job->pid);
	w->dir = leader;
	if (w->job->pid != w->job->leader)
		w->dir = foreign_openat(worker, w->host->proc_fd, path, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof(path), "task/%d/pagemap", w->job->pid);
	w->pagemap_fd = w->dir < 0 ? -1 : foreign_openat(worker, w->dir, path, O_RDONLY);
	if (w->pagemap_fd < 0) {
		job_gap(worker, STEP_OPEN, job_cause(-errno));
	} else {
		error = collect(w);
		close(w->pagemap_fd);
	}
	if (w->dir >= 0 && w->dir != leader)
		close(w->dir);
	close(leader);
	return error == ENOMEM || error == EMFILE ? -error : 0;
}

// ---- a walk ----

static int walker_init(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	w->ranges = worker->source;
	w->host = worker->request->host;
	w->job = &worker->job;
	int error = mounts_create(&w->mounts);
	error = error ? error : marker_init(&w->marking.marker, worker->request->census);
	if (error)
		mounts_destroy(w->mounts);
	return error;
}

static void walker_dispose(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	vmas_free(&w->vmas);
	free(w->notes);
	mounts_destroy(w->mounts);
}

int ranges_walk(struct ranges *ranges, const struct walk_request *request, struct walk **ret)
{
	static const struct walk_methods methods = {
		.walker_bytes = sizeof(struct walker),
		.init = walker_init,
		.walk = walk_job,
		.settle = marking_settle,
		.dispose = walker_dispose,
	};
	struct walk_request own = *request;
	own.threads = 1;
	return walk_begin(&own, &methods, ranges, ret);
}
