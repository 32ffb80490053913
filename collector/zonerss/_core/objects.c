// The files that mappings are of, each under a number: what the walk marks frames for when it is asked whose file
// they hold (core.h, walk_settings.objects).
//
// A mapping's file is known by device, inode and name together. Neither is enough: one lower file of two overlay
// mounts has two devices, subvolumes of btrfs repeat inodes under one device, and a name is relative to a mount
// namespace. That two of them are one file shows in the frames that they share (collector/zonerss/walk/files.py).

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "objects.h"

struct objects {
	pthread_mutex_t lock;
	uint32_t count, room;
	struct object *objects;
	uint32_t *table, mask; // open addressing: number + 1, 0 is free
	char *text;
	size_t text_length, text_room;
};

int objects_create(uint32_t room, struct objects **ret)
{
	struct objects *o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	o->room = room;
	o->mask = 63;
	while (o->mask < 2 * (uint64_t)room)
		o->mask = o->mask * 2 + 1;
	o->objects = malloc((room ? room : 1) * sizeof(*o->objects));
	o->table = calloc(o->mask + UINT64_C(1), sizeof(*o->table));
	if (!o->objects || !o->table) {
		objects_destroy(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

void objects_destroy(struct objects *o)
{
	if (!o)
		return;
	free(o->objects);
	free(o->table);
	free(o->text);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

uint32_t objects_count(const struct objects *o)
{
	return o->count;
}

const struct object *objects_all(const struct objects *o)
{
	return o->objects;
}

const char *objects_text(const struct objects *o)
{
	return o->text;
}

static uint64_t object_hash(const struct vma *vma, const char *name, uint64_t space)
{
	uint64_t hash = vma->inode ^ space << 16 ^ (uint64_t)vma->major << 52 ^ (uint64_t)vma->minor << 32;
	for (uint32_t i = 0; i < vma->name_length; i++)
		hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3); // FNV-1a
	return hash ^ hash >> 29;
}

static int object_is(const struct objects *o, const struct object *object, const struct vma *vma, const char *name,
		     uint64_t space)
{
	return object->inode == vma->inode && object->space == space && object->major == vma->major &&
	       object->minor == vma->minor && object->name_length == vma->name_length &&
	       !memcmp(o->text + object->name, name, vma->name_length);
}

// With the lock held. Where in the text a copy of the name begins, or -ENOMEM.
static int64_t keep_name(struct objects *o, const char *name, uint32_t length)
{
	if (o->text_room - o->text_length < length) {
		size_t room = o->text_room * 2 + length + 65536;
		char *grown = room > UINT32_MAX ? NULL : realloc(o->text, room);
		if (!grown)
			return -ENOMEM;
		o->text = grown;
		o->text_room = room;
	}
	memcpy(o->text + o->text_length, name, length);
	o->text_length += length;
	return o->text_length - length;
}

static int64_t object_add(struct objects *o, const struct vma *vma, const char *name, uint64_t space, int32_t pid,
			  uint32_t slot)
{
	if (o->count == o->room)
		return -ENOSPC;
	int64_t kept = keep_name(o, name, vma->name_length);
	if (kept < 0)
		return kept;
	o->objects[o->count] = (struct object){ .inode = vma->inode, .space = space, .major = vma->major, .minor = vma->minor,
						.name = kept, .name_length = vma->name_length, .pid = pid,
						.start = vma->start, .end = vma->end };
	o->table[slot] = ++o->count;
	return o->count - 1;
}

int64_t objects_find(struct objects *o, const struct vma *vma, const char *text, uint64_t space, int32_t pid)
{
	const char *name = text + vma->name;
	uint64_t hash = object_hash(vma, name, space);
	int64_t found = -1;
	pthread_mutex_lock(&o->lock);
	uint32_t i = hash & o->mask;
	for (; o->table[i] && found < 0; i = (i + 1) & o->mask)
		if (object_is(o, &o->objects[o->table[i] - 1], vma, name, space))
			found = o->table[i] - 1;
	if (found < 0)
		found = object_add(o, vma, name, space, pid, i);
	pthread_mutex_unlock(&o->lock);
	return found;
}

int file_look(const char *path, struct file_look *ret)
{
	struct stat file;
	struct statfs fs;
	if (stat(path, &file) || statfs(path, &fs))
		return -errno;
	*ret = (struct file_look){ .links = file.st_nlink, .size = file.st_size, .mode = file.st_mode,
				   .fs_type = (uint32_t)fs.f_type };
	return 0;
}
