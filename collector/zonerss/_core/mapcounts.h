// How often the frames of a census are mapped on the whole machine.
#pragma once

#include <stdint.h>

struct census;
struct parts;

// Frames mapped once, twice, 3 to 9, 10 to 99, and 100 times or more. As many as there are kinds, so that parts can hold them.
enum mapcount_class { MAPPED_1, MAPPED_2, MAPPED_3, MAPPED_10, MAPPED_100, MAPPED_CLASSES };

// The parts of the census once more, with the pages of memory (anon, file, shmem) of each set in the places of enum
// mapcount_class, in *ret, to be freed with parts_free(). Pages whose count is 0 by now or unknown are in none. 0 or a negative
// errno.
// kpageflags_fd: of pages of large folios kpagecount has only an average, so it is asked which these are; -1: it tells each page.
int census_mapcounts(const struct census *census, int kpagecount_fd, int kpageflags_fd, struct parts **ret);

// Mark the frames of memory (anon, file, shmem) of the census that are mapped more than once now for an owner, too. 0 or a negative
// errno.
// wanted: [owners], whether frames that an owner alone maps are asked about, all others being left as they are; NULL: all are.
int census_mark_several(struct census *census, uint32_t owner, const uint8_t *wanted, int kpagecount_fd);
