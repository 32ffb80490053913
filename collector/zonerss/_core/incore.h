// What of a file is in the page cache. Nothing is read into memory: cachestat(2) and mincore(2) only look.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct walk_host;

enum incore_means { BY_CACHESTAT, BY_MINCORE };

// resident[i]: how many of the pages [first[i], first[i] + pages[i]) of a file are in the page cache. 0 or a negative errno.
int incore_count(int fd, enum incore_means means, uint64_t page_bytes, const uint64_t *first, const uint64_t *pages,
		 size_t count, uint64_t *resident);

// The first page of [first, first + pages) that is in the page cache, by mincore. -ENOENT: none is.
int64_t incore_first(int fd, uint64_t page_bytes, uint64_t first, uint64_t pages);

// Frame and enum kind of a page that is in the page cache, by mapping it ourselves. -ENOENT: it is not there.
int incore_frame(int fd, uint64_t page, int own_pagemap_fd, const struct walk_host *host, uint64_t *pfn);
