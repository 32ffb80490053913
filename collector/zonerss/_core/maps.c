// The rows of /proc/PID/maps (fs/proc/task_mmu.c, show_map_vma()):
//   start-end perms offset major:minor inode            name

#include "maps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cursor.h"
#include "vmas.h"

static uint32_t take_flags(struct cursor *c)
{
	if (c->end - c->at < 4) {
		c->bad = true;
		return 0;
	}
	const char *p = c->at;
	c->at += 4;
	c->bad |= !strchr("r-", p[0]) || !strchr("w-", p[1]) || !strchr("x-", p[2]) || !strchr("sp", p[3]) || !p[0] ||
		  !p[1] || !p[2] || !p[3];
	return (p[0] == 'r' ? VMA_READ : 0) | (p[1] == 'w' ? VMA_WRITE : 0) | (p[2] == 'x' ? VMA_EXEC : 0) |
	       (p[3] == 's' ? VMA_SHARED : 0);
}

static bool parse_row(const char *text, const char *row, const char *end, struct vma *vma)
{
	struct cursor c = { row, end, false };
	vma->start = take_number(&c, 16);
	take_char(&c, '-');
	vma->end = take_number(&c, 16);
	take_char(&c, ' ');
	vma->flags = take_flags(&c);
	take_char(&c, ' ');
	vma->offset = take_number(&c, 16);
	take_char(&c, ' ');
	vma->major = take_number(&c, 16);
	take_char(&c, ':');
	vma->minor = take_number(&c, 16);
	take_char(&c, ' ');
	vma->inode = take_number(&c, 10);
	if (c.bad || vma->start >= vma->end)
		return false;
	while (c.at < end && *c.at == ' ')
		c.at++;
	vma->name = c.at - text;
	vma->name_length = end - c.at;
	return true;
}

int64_t maps_parse(const char *text, size_t length, struct vma *vmas, size_t room, size_t *bad)
{
	int64_t rows = 0;
	for (const char *row = text, *end = text + length; row < end; rows++) {
		const char *stop = memchr(row, '\n', end - row);
		struct vma vma;
		if (!stop || !parse_row(text, row, stop, &vma)) {
			*bad = row - text;
			return -EINVAL;
		}
		if ((size_t)rows < room)
			vmas[rows] = vma;
		row = stop + 1;
	}
	return rows;
}

int64_t vmas_read(struct vmas *vmas, struct worker *worker, int dir, int tid)
{
	char path[64];
	size_t bad;
	snprintf(path, sizeof(path), "task/%d/maps", tid);
	int64_t length = foreign_read_file(worker, dir, path, &vmas->text);
	if (length < 0)
		return length;
	int64_t rows = maps_parse(vmas->text.bytes, length, vmas->rows, vmas->room, &bad);
	if (rows <= (int64_t)vmas->room)
		return rows;
	if (ARRAY_RESERVE(vmas->rows, vmas->room, (size_t)rows))
		return -ENOMEM;
	return maps_parse(vmas->text.bytes, length, vmas->rows, vmas->room, &bad);
}

void vmas_free(struct vmas *vmas)
{
	free(vmas->text.bytes);
	free(vmas->rows);
}
