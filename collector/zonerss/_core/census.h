// The census: which set of owners maps each frame. How it is marked: marker.h.
//
// An owner is what frames are marked for: a zone, or an address space, by number.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct census;
struct parts;

// A census of nothing. owners: how many will be named, 0 to owners-1. 0 or -ENOMEM.
int census_create(uint32_t owners, struct census **ret);
void census_destroy(struct census *census);

// Forget every frame and set, keep the memory; costs nothing per frame. 0 or -ENOMEM.
int census_restart(struct census *census, uint32_t owners);

// Mark frames as mapped by an owner, as a walk does; for tests and for recorded walks. kinds: enum kind, one a frame.
// -EINVAL: an owner, a kind or a frame number that cannot be.
int census_mark(struct census *census, uint32_t owner, const uint64_t *pfns, const uint8_t *kinds, size_t count);

// The parts so far, in *ret, to be freed with parts_free(). 0 or -ENOMEM.
int census_parts(const struct census *census, struct parts **ret);

// Bytes of memory that the census holds, frames and sets together.
uint64_t census_bytes(const struct census *census);
