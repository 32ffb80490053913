// Two censuses of the same frames, one by zone and one by file: what their parts have in common.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

struct census;

// The pages that lie in a set of one census and in another set of the other; other 0: it has not met them.
struct overlap {
	uint32_t set;
	uint32_t other;
	uint64_t pages[KINDS]; // as the first census has them
};

// All overlaps, in *ret, to be freed with overlaps_free(). wanted: [sets], indexed by set of the first, 0 where it does not
// matter, as sets from there on do not; NULL: all. Returns their number or -ENOMEM.
int64_t census_overlaps(const struct census *census, const struct census *others, const uint8_t *wanted, size_t sets,
			struct overlap **ret);
void overlaps_free(struct overlap *overlaps);
