// Lines of /proc/PID/smaps (fs/proc/task_mmu.c, show_smap()): one as in maps for each mapping, and below it its figures, as in
//   Rss:                   4 kB

#include "present.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "clock.h"
#include "cursor.h"
#include "foreign.h"

#define CHUNK (64 << 10)
#define LINE 128 // of a line no more is needed; what follows is a name

struct reading {
	struct present *present;
	uint64_t least_bytes;
	bool wanted; // the mapping whose lines are read
	char line[LINE];
	size_t length;
};

static bool is_figure(const struct cursor *c)
{
	static const char *const names[] = { "Rss:", "Swap:", "Shared_Hugetlb:", "Private_Hugetlb:" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((size_t)(c->end - c->at) > strlen(names[i]) && !memcmp(c->at, names[i], strlen(names[i])))
			return true;
	return false;
}

// 0 or a negative errno.
static int take_figure(struct reading *r, struct cursor c)
{
	c.at = (const char *)memchr(c.at, ':', c.end - c.at) + 1;
	while (c.at < c.end && *c.at == ' ')
		c.at++;
	uint64_t kilobytes = take_number(&c, 10);
	if (c.bad || kilobytes >= 1ull << 50)
		return -EINVAL;
	r->present->rows[r->present->count - 1].bytes += kilobytes << 10;
	return 0;
}

static int take_line(struct reading *r)
{
	struct present *present = r->present;
	struct cursor c = { r->line, r->line + r->length, false };
	if (is_figure(&c))
		return r->wanted ? take_figure(r, c) : 0;
	struct present_row row = { .start = take_number(&c, 16) };
	take_char(&c, '-');
	row.end = take_number(&c, 16);
	if (c.bad)
		return 0; // another figure: their names begin with a capital
	r->wanted = row.end > row.start && row.end - row.start >= r->least_bytes;
	if (!r->wanted)
		return 0;
	if (ARRAY_RESERVE(present->rows, present->room, present->count + 1))
		return -ENOMEM;
	present->rows[present->count++] = row;
	return 0;
}

static int take_text(struct reading *r, const char *text, size_t length)
{
	for (const char *at = text, *end = text + length; at < end;) {
		const char *stop = memchr(at, '\n', end - at);
		size_t whole = (stop ? stop : end) - at, room = LINE - r->length, kept = whole < room ? whole : room;
		memcpy(r->line + r->length, at, kept);
		r->length += kept;
		at += whole + !!stop;
		if (!stop)
			return 0;
		int error = take_line(r);
		r->length = 0;
		if (error)
			return error;
	}
	return 0;
}

int present_read(struct present *present, struct worker *worker, int dir, int tid, uint64_t least_bytes,
		 uint64_t most_ns)
{
	char path[64], *text = malloc(CHUNK);
	struct reading reading = { .present = present, .least_bytes = least_bytes };
	uint64_t began_ns = thread_ns();
	present->count = 0;
	if (!text)
		return -ENOMEM;
	snprintf(path, sizeof(path), "task/%d/smaps", tid);
	int fd = foreign_openat(worker, dir, path, O_RDONLY), error = fd < 0 ? -errno : 0;
	for (ssize_t got = 1; !error && got > 0;) {
		if (thread_ns() - began_ns > most_ns) {
			present->count -= present->count && reading.wanted; // its figures may not all have come
			break;
		}
		got = foreign_read(worker, fd, text, CHUNK);
		error = got < 0 ? -errno : take_text(&reading, text, got);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	if (error)
		present->count = 0;
	return error;
}

static int compare_starts(const void *key, const void *row)
{
	uint64_t wanted = *(const uint64_t *)key, start = ((const struct present_row *)row)->start;
	return (wanted > start) - (wanted < start);
}

uint64_t present_bytes(const struct present *present, uint64_t start, uint64_t end)
{
	const struct present_row *row =
		present->count ? bsearch(&start, present->rows, present->count, sizeof(*row), compare_starts) : NULL;
	return row && row->end == end ? row->bytes : UINT64_MAX;
}

void present_free(struct present *present)
{
	free(present->rows);
}
