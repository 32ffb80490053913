// How a huge page is marked that one word tells of: for test_pagemap.py. Built with what pagemap.c needs; who marks is a double.

#include "marker.h"

// What the census was last told of the pages that follow the first one.
static int said_count, said_alone;

static void said_run(struct marker *marker, uint64_t pfn, uint64_t count, enum kind kind, bool alone)
{
	(void)marker, (void)pfn, (void)kind;
	said_count = count;
	said_alone = alone;
}

#define marker_run said_run
#include "pagemap.c"
#undef marker_run

// How a huge page of so many pages, of anonymous memory, is marked: -1: as nothing, 0: as one that others may mark meanwhile,
// 1: as one that nobody else does.
int double_huge(uint64_t word, uint64_t count, int twice)
{
	struct census *census;
	if (census_create(1, &census))
		return -ENOMEM;
	static struct walk_host host = { .kpageflags_fd = -1, .page_bytes = 4096 };
	struct walk_job job = { .twice = twice };
	struct row row = { .anon = KIND_ANON, .file = KIND_FILE };
	struct walker *w = calloc(1, sizeof(*w));
	said_count = 0;
	if (w && !marker_init(&w->marking.marker, census)) {
		w->host = &host;
		w->job = &job;
		w->huge_zero = -1;
		take_huge(w, &row, word, count, 0);
		marker_deinit(&w->marking.marker);
	}
	free(w);
	census_destroy(census);
	return said_count == (int)count - 1 && job.rss_pages == count ? said_alone : -1;
}
