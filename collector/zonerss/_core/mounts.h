// On what sort of file system a file is, told by what is mounted: asking the file system itself may be asking a stranger's
// server, who need not answer (FUSE).
#pragma once

#include <stddef.h>
#include <stdint.h>

enum fs_kind {
	FS_UNKNOWN,  // mounted nowhere where we have looked
	FS_ORDINARY, // one that only an administrator can mount, or that asks nobody
	FS_TMPFS,
	FS_RAMFS,
	FS_ROOTFS, // the kernel's first one: a ramfs or a tmpfs
	FS_HUGETLBFS,
	FS_OVERLAY,
	FS_FUSE, // of anybody's making
};

struct mounts;
struct worker;

// The mounts of nobody. 0 or -ENOMEM.
int mounts_create(struct mounts **ret);
void mounts_destroy(struct mounts *mounts);
void mounts_forget(struct mounts *mounts);

// Adds the mounts of a mountinfo's whole lines; those that are not of its form are passed over. Returns how many bytes of the
// text are whole lines, or -ENOMEM.
int64_t mounts_add(struct mounts *mounts, const char *text, size_t length);

// Adds those of an open /proc/PID/mountinfo, the first 65,536 at most. worker: whose foreign calls these are (foreign.h); NULL.
// 0 or a negative errno.
int mounts_read(struct mounts *mounts, struct worker *worker, int fd);

// The sort of the file system that a mount is of; or, where it is none of ours, of the file system of a device number.
enum fs_kind mounts_find(const struct mounts *mounts, uint64_t mount_id, uint32_t major, uint32_t minor);
