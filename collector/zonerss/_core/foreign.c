#include "foreign.h"

#include "array.h"

int64_t foreign_read_file(struct worker *worker, int dir, const char *path, struct buffer *buffer)
{
	int64_t length = 0;
	int fd = foreign_openat(worker, dir, path, O_RDONLY);
	if (fd < 0)
		return -errno;
	for (;;) {
		if (array_reserve(&buffer->bytes, &buffer->room, length + 4096, 1)) {
			length = -ENOMEM;
			break;
		}
		ssize_t got = foreign_read(worker, fd, buffer->bytes + length, buffer->room - length);
		if (got < 0)
			length = -errno;
		if (got <= 0)
			break;
		length += got;
	}
	close(fd);
	return length;
}
