// The part of the C core that `explain` and the basis incore need, beside core.h; cffi reads this file, too.
#pragma once

#include "core.h"

// ---- payers.c: which memory cgroup is charged for the frames of a census ----------------------------

// Frames of one set of the census that one cgroup is charged for. inode: the cgroup's, as in /proc/kpagecgroup; 0: none.
struct payer {
	uint32_t set;
	uint64_t inode;
	uint64_t pages[5];	// by enum kind
};

// All frames of the census by set and payer; swap slots are left out. *ret is to be freed by payers_free().
int census_payers(const struct census *census, int kpagecgroup_fd, struct payer **ret, size_t *count);
void payers_free(struct payer *rows);

// ---- incore.c: which ranges of which files are mapped, and what of them is in the page cache ----------

// A file that is open for reading, told from others by device, inode and, if it is a System V segment, when it was made.
struct incore_file {
	uint64_t device;
	uint64_t inode;
	uint64_t size_bytes;
	int64_t mtime_ns;
	int64_t made_ns;	// 0: no System V segment
	uint64_t file_system;	// the magic number of statfs(2)
	int32_t fd;
};

// Pages [first, first + pages) of a file, mapped for a zone by addresses that hold no anon page.
struct file_range {
	uint32_t file;		// index into incore_files()
	uint32_t zone;		// of the job
	uint64_t first;
	uint64_t pages;
	uint32_t shared;	// 1: MAP_SHARED, 0: MAP_PRIVATE
};

struct incore;

int incore_create(struct incore **ret);
void incore_destroy(struct incore *incore);

// Collect the ranges of all jobs, in their order. Frames of mappings whose file cannot be asked (devices, the vdso)
// are marked in rest, for the jobs' zones. Gaps are noted in the jobs as by walk_pagemap().
int incore_collect(struct incore *incore, struct census *rest, struct walk_job *jobs, size_t count,
		   const struct walk_settings *settings);
size_t incore_files(const struct incore *incore, const struct incore_file **ret);
size_t incore_ranges(const struct incore *incore, const struct file_range **ret);

enum incore_means { BY_CACHESTAT, BY_MINCORE };

// resident[i]: how many of the pages [first[i], first[i] + pages[i]) of a file are in the page cache.
int incore_count(int fd, enum incore_means means, uint64_t page_bytes, const uint64_t *first, const uint64_t *pages,
		 size_t count, uint64_t *resident);

// The first page of [first, first + pages) that is in the page cache, by mincore. -ENOENT: none is.
int64_t incore_first(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages);

// Frame and enum kind of a page that is in the page cache, by mapping it ourselves. -ENOENT: it is not there.
int incore_frame(int fd, uint64_t page, int own_pagemap_fd, const struct walk_settings *settings, uint64_t *pfn);
