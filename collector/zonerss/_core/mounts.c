// Mounts, by the rows of /proc/PID/mountinfo (fs/proc_namespace.c, show_mountinfo()):
//   id parent major:minor root mount-point options [tags...] - type source options
//
// A mount is known by its id, which statx(2) tells of a file (Linux 5.8, commit fa2fcf4f1df1), or by its device, which is not the
// files' own on btrfs and some overlays. The kernel's own mounts (memfd, System V segments, shared anonymous memory) are in no
// mountinfo, nor are those of another mount namespace.

#include "mounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cursor.h"
#include "foreign.h"
#include "table.h"

#define MOST_MOUNTS 65536
#define TEXT_BYTES 65536 // of one read; a longer line is not looked at, and none after it

struct mount {
	uint64_t id;
	uint32_t major, minor;
	enum fs_kind kind;
};

struct mounts {
	struct mount *by_id, *by_device;
	size_t id_room, device_room;
	struct table ids, devices;
};

int mounts_create(struct mounts **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void mounts_destroy(struct mounts *mounts)
{
	if (!mounts)
		return;
	free(mounts->by_id);
	free(mounts->by_device);
	table_free(&mounts->ids);
	table_free(&mounts->devices);
	free(mounts);
}

void mounts_forget(struct mounts *mounts)
{
	table_clear(&mounts->ids);
	table_clear(&mounts->devices);
}

static uint64_t id_hash(const void *mounts, uint32_t index)
{
	return hash_pair(((const struct mount *)mounts + index)->id, 0);
}

static bool id_same(const void *mounts, uint32_t index, const void *key)
{
	return ((const struct mount *)mounts + index)->id == ((const struct mount *)key)->id;
}

static uint64_t device_hash(const void *mounts, uint32_t index)
{
	const struct mount *mount = (const struct mount *)mounts + index;
	return hash_pair(mount->major, mount->minor);
}

static bool device_same(const void *mounts, uint32_t index, const void *key)
{
	const struct mount *mount = (const struct mount *)mounts + index, *wanted = key;
	return mount->major == wanted->major && mount->minor == wanted->minor;
}

// ---- rows ----

static bool is_word(const char *word, size_t length, const char *wanted)
{
	return length == strlen(wanted) && !memcmp(word, wanted, length);
}

// A file system in user space may say more of itself after a dot.
static bool is_fuse(const char *word, size_t length)
{
	const char *dot = memchr(word, '.', length);
	size_t plain = dot ? (size_t)(dot - word) : length;
	return is_word(word, plain, "fuse") || is_word(word, plain, "fuseblk");
}

static enum fs_kind kind_of(const char *type, size_t length)
{
	static const struct {
		const char *type;
		enum fs_kind kind;
	} known[] = {
		{ "tmpfs", FS_TMPFS },	 { "devtmpfs", FS_TMPFS },	{ "ramfs", FS_RAMFS },
		{ "rootfs", FS_ROOTFS }, { "hugetlbfs", FS_HUGETLBFS }, { "overlay", FS_OVERLAY },
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (is_word(type, length, known[i].type))
			return known[i].kind;
	return is_fuse(type, length) ? FS_FUSE : FS_ORDINARY;
}

static bool parse_row(const char *row, const char *end, struct mount *ret)
{
	struct cursor c = { row, end, false };
	const char *word;
	size_t length;
	ret->id = take_number(&c, 10);
	take_char(&c, ' ');
	take_number(&c, 10);
	take_char(&c, ' ');
	uint64_t major = take_number(&c, 10);
	take_char(&c, ':');
	uint64_t minor = take_number(&c, 10);
	for (int i = 0; i < 3; i++) { // root, mount point, options
		take_char(&c, ' ');
		take_word(&c, &word);
	}
	do { // tags, up to the dash
		take_char(&c, ' ');
		length = take_word(&c, &word);
	} while (!c.bad && !is_word(word, length, "-"));
	take_char(&c, ' ');
	length = take_word(&c, &word);
	take_char(&c, ' ');
	ret->major = major;
	ret->minor = minor;
	ret->kind = kind_of(word, length);
	return !c.bad && major <= UINT32_MAX && minor <= UINT32_MAX;
}

int64_t mounts_add(struct mounts *mounts, const char *text, size_t length)
{
	const char *row = text, *stop;
	for (; (stop = memchr(row, '\n', text + length - row)); row = stop + 1) {
		struct mount mount;
		if (mounts->ids.count >= MOST_MOUNTS || !parse_row(row, stop, &mount))
			continue;
		if (TABLE_ROW(mounts->ids, mounts->by_id, mounts->id_room, id_hash, id_same, &mount) == TABLE_NONE ||
		    TABLE_ROW(mounts->devices, mounts->by_device, mounts->device_room, device_hash, device_same,
			      &mount) == TABLE_NONE)
			return -ENOMEM;
	}
	return row - text;
}

// ---- a mountinfo ----

int mounts_read(struct mounts *mounts, struct worker *worker, int fd)
{
	char text[TEXT_BYTES];
	size_t kept = 0;
	while (kept < sizeof(text) && mounts->ids.count < MOST_MOUNTS) {
		ssize_t got = foreign_read(worker, fd, text + kept, sizeof(text) - kept);
		if (got <= 0)
			return got ? -errno : 0;
		kept += got;
		int64_t whole = mounts_add(mounts, text, kept);
		if (whole < 0)
			return whole;
		kept -= whole;
		memmove(text, text + whole, kept);
	}
	return 0;
}

enum fs_kind mounts_find(const struct mounts *mounts, uint64_t mount_id, uint32_t major, uint32_t minor)
{
	struct mount wanted = { .id = mount_id, .major = major, .minor = minor };
	uint32_t found = table_find(&mounts->ids, id_hash(&wanted, 0), id_same, mounts->by_id, &wanted);
	if (found != TABLE_NONE)
		return mounts->by_id[found].kind;
	found = table_find(&mounts->devices, device_hash(&wanted, 0), device_same, mounts->by_device, &wanted);
	return found != TABLE_NONE ? mounts->by_device[found].kind : FS_UNKNOWN;
}
