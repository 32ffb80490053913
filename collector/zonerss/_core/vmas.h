// The mappings of a process, read from its maps.
#pragma once

#include <stdbool.h>
#include <string.h>

#include "foreign.h"
#include "maps.h"

struct vmas {
	struct buffer text;
	struct vma *rows;
	size_t room;
};

// Reads the maps of a thread, below its process's open directory. Returns the number of rows, or a negative errno.
int64_t vmas_read(struct vmas *vmas, struct worker *worker, int dir, int tid);
void vmas_free(struct vmas *vmas);

static inline const char *vma_name(const struct vmas *vmas, const struct vma *vma)
{
	return vmas->text.bytes + vma->name;
}

static inline bool vma_named(const struct vmas *vmas, const struct vma *vma, const char *prefix)
{
	size_t length = strlen(prefix);
	return vma->name_length >= length && !memcmp(vma_name(vmas, vma), prefix, length);
}

// Plain memory by its name: of no file and not the kernel's own ([vdso] and the like).
static inline bool vma_plain(const struct vmas *vmas, const struct vma *vma)
{
	return !vma->name_length || vma_named(vmas, vma, "[heap]") || vma_named(vmas, vma, "[stack") ||
	       vma_named(vmas, vma, "[anon");
}

// A System V segment. The first one of an IPC namespace has the id 0, and that is its inode number.
static inline bool vma_system_v(const struct vmas *vmas, const struct vma *vma)
{
	return vma_named(vmas, vma, "/SYSV");
}

static inline bool vma_has_file(const struct vmas *vmas, const struct vma *vma)
{
	return vma->inode || vma_named(vmas, vma, "/");
}
