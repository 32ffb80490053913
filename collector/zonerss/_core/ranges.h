// Which ranges of which files processes map.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct walk;
struct walk_request;

// A file that is open for reading, told from others by device, inode and, if it is a System V segment, when it was made.
struct range_file {
	uint64_t device;
	uint64_t inode;
	uint64_t size_bytes;
	int64_t made_ns; // 0: no System V segment
	int32_t fs_kind; // enum fs_kind
	int32_t fd;
	int32_t pid; // a process that maps it
};

// Pages [first, first + pages) of a file, mapped for an owner by addresses that hold no anon page.
struct file_range {
	uint32_t file;	// index into ranges_files()
	uint32_t owner; // of the job
	uint64_t first;
	uint64_t pages;
	uint32_t shared; // 1: MAP_SHARED, 0: MAP_PRIVATE
};

struct ranges;

int ranges_create(struct ranges **ret);
void ranges_destroy(struct ranges *ranges); // does not wait until all files are closed

// Begin to collect the ranges of all jobs, as a walk by one thread. Frames of mappings whose file cannot be asked (devices, the
// vdso, what FUSE serves) are marked in the request's census, for the jobs' owners. The walk fails with -EMFILE where no file more
// may be opened.
int ranges_walk(struct ranges *ranges, const struct walk_request *request, struct walk **ret);
size_t ranges_files(const struct ranges *ranges, const struct range_file **ret);
size_t ranges_all(const struct ranges *ranges, const struct file_range **ret);
