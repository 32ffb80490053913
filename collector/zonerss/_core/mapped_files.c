// The files that mappings are of.
//
// A mapping's file is known by device, inode and name together. Neither is enough: one lower file of two overlay
// mounts has two devices, subvolumes of btrfs repeat inodes under one device, and a name is relative to a mount
// namespace. That two of them are one file shows in the frames that they share (collector/zonerss/walk/files.py).

#include "mapped_files.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "foreign.h"
#include "maps.h"
#include "table.h"

struct mapped_files {
	pthread_mutex_t lock;
	uint32_t limit;
	struct mapped_file *files;
	size_t count, room;
	struct table table;
	char *text;
	size_t text_length, text_room;
};

// A file that is looked for.
struct wanted {
	const struct vma *vma;
	const char *name;
	uint64_t ipc_namespace;
};

int mapped_files_create(uint32_t room, struct mapped_files **ret)
{
	struct mapped_files *m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	pthread_mutex_init(&m->lock, NULL);
	m->limit = room;
	*ret = m;
	return 0;
}

void mapped_files_destroy(struct mapped_files *m)
{
	if (!m)
		return;
	free(m->files);
	free(m->text);
	table_free(&m->table);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

uint32_t mapped_files_count(const struct mapped_files *m)
{
	return m->count;
}

const struct mapped_file *mapped_files_all(const struct mapped_files *m)
{
	return m->files;
}

const char *mapped_files_text(const struct mapped_files *m)
{
	return m->text;
}

static uint64_t hash(uint64_t inode, uint32_t major, uint32_t minor, uint64_t space, const char *name, size_t length)
{
	return hash_bytes(hash_pair(inode ^ space, (uint64_t)major << 32 | minor), name, length);
}

static uint64_t file_hash(const void *owner, uint32_t index)
{
	const struct mapped_files *m = owner;
	const struct mapped_file *f = &m->files[index];
	return hash(f->inode, f->major, f->minor, f->ipc_namespace, m->text + f->name, f->name_length);
}

static bool file_same(const void *owner, uint32_t index, const void *key)
{
	const struct mapped_files *m = owner;
	const struct mapped_file *f = &m->files[index];
	const struct wanted *w = key;
	return f->inode == w->vma->inode && f->ipc_namespace == w->ipc_namespace && f->major == w->vma->major &&
	       f->minor == w->vma->minor && f->name_length == w->vma->name_length &&
	       !memcmp(m->text + f->name, w->name, f->name_length);
}

// With the lock held.
static int64_t file_add(struct mapped_files *m, const struct wanted *wanted, int32_t pid, uint64_t hash)
{
	const struct vma *vma = wanted->vma;
	if (m->count == m->limit)
		return -ENOSPC;
	if (m->text_length + vma->name_length > UINT32_MAX || ARRAY_RESERVE(m->files, m->room, m->count + 1) ||
	    ARRAY_RESERVE(m->text, m->text_room, m->text_length + vma->name_length + 1))
		return -ENOMEM;
	memcpy(m->text + m->text_length, wanted->name, vma->name_length);
	m->files[m->count] = (struct mapped_file){
		.inode = vma->inode,
		.ipc_namespace = wanted->ipc_namespace,
		.major = vma->major,
		.minor = vma->minor,
		.name = m->text_length,
		.name_length = vma->name_length,
		.pid = pid,
		.start = vma->start,
		.end = vma->end,
	};
	if (table_add(&m->table, hash, m->count, file_hash, m))
		return -ENOMEM;
	m->text_length += vma->name_length;
	return m->count++;
}

int64_t mapped_files_find(struct mapped_files *m, const struct vma *vma, const char *name, uint64_t ipc_namespace,
			  int32_t pid)
{
	struct wanted wanted = { vma, name, ipc_namespace };
	uint64_t hashed = hash(vma->inode, vma->major, vma->minor, ipc_namespace, name, vma->name_length);
	pthread_mutex_lock(&m->lock);
	int64_t found = table_find(&m->table, hashed, file_same, m, &wanted);
	if (found == TABLE_NONE)
		found = file_add(m, &wanted, pid, hashed);
	pthread_mutex_unlock(&m->lock);
	return found;
}

int file_look(int dir, const char *path, struct file_look *ret)
{
	struct statx found = { 0 };
	if (foreign_look(NULL, dir, path, &found))
		return -errno;
	*ret = (struct file_look){
		.links = found.stx_nlink,
		.size = found.stx_size,
		.mode = found.stx_mode,
		.major = found.stx_dev_major,
		.minor = found.stx_dev_minor,
		.mount_id = found.stx_mask & STATX_MNT_ID ? found.stx_mnt_id : 0,
	};
	return 0;
}
