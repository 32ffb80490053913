// The frames of a census in blocks: what the kernel's files have of each frame is read a block at a time and only where the
// block holds a frame of the census, so that a large machine with little mapped costs little.
#pragma once

#include <stdint.h>

#include "marker.h"

#define BLOCK_FRAMES 4096

// One block: words[0] is of the frame number first. 0 or a negative errno, which ends it.
typedef int (*block_visit)(void *context, uint64_t first, const frame_word *words);

// All blocks of chunks that there are; swap slots are left out. 0, or what a visit returned.
static inline int blocks_for_each(const struct census *census, block_visit visit, void *context)
{
	int error = 0;
	for (size_t i = 0; !error && i < census->chunk_count; i++) {
		uint64_t first = census->chunk_index[i] << CHUNK_BITS;
		const frame_word *words = census_chunk(census, census->chunk_index[i]);
		for (uint64_t at = 0; !error && first < SWAP_FRAMES && at < CHUNK_FRAMES; at += BLOCK_FRAMES)
			error = visit(context, first + at, words + at);
	}
	return error;
}

static inline uint32_t block_word(const frame_word *words, uint32_t at)
{
	return atomic_load_explicit(&words[at], memory_order_relaxed);
}
