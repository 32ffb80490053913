// Small files of /proc, read whole.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

// Reads at most room bytes. Returns their number, or a negative errno.
static inline int64_t file_read_at(int dir, const char *path, char *text, size_t room)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t length = 0;
	while (length < room) {
		ssize_t got = read(fd, text + length, room - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = errno;
			close(fd);
			return -error;
		}
		if (!got)
			break;
		length += got;
	}
	close(fd);
	return length;
}
