// The rows of /proc/PID/maps.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct vma {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	uint64_t inode;
	uint32_t major;
	uint32_t minor;
	uint32_t flags; // enum vma_flag
	uint32_t name;	// offset of the name in the text; raw, as the kernel escaped it
	uint32_t name_length;
};

enum vma_flag { VMA_READ = 1, VMA_WRITE = 2, VMA_EXEC = 4, VMA_SHARED = 8 };

// Parse whole lines of /proc/PID/maps. Returns the number of rows, or -EINVAL with *bad set to the offset
// of the line that is not understood. room: entries of vmas; more rows than that are not written.
int64_t maps_parse(const char *text, size_t length, struct vma *vmas, size_t room, size_t *bad);
