// For walk.c: the number of a mapping's file.
#pragma once

#include <stdint.h>

#include "core.h"

// The number of the file that a mapping is of, given when it is first met; space: struct object's; pid: whose
// mapping it is. -ENOSPC: there is no number left. From several threads at once.
int64_t objects_find(struct objects *objects, const struct vma *vma, const char *text, uint64_t space,
		     int32_t pid);
