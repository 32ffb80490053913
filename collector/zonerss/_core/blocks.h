// The frames of a census in runs: what the kernel's files have of each frame is read a run at a time, and what lies between
// frames of the census is left out where that costs less than another system call.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "marker.h"

#define BLOCK_FRAMES 4096
#define MOST_BETWEEN 16 // frames that are not asked for and yet read, because another read would cost more
#define ABREAST 16	// words that are looked at together

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

// The first of the words [from, to) whose frame the census has met; to: there is none.
static inline uint32_t next_met(const struct census *census, const frame_word *words, uint32_t from, uint32_t to)
{
	uint32_t least = word_of(census->base + 1, 0);
	for (; from + ABREAST <= to; from += ABREAST) {
		uint32_t abreast[ABREAST], met = 0;
		memcpy(abreast, words + from, sizeof(abreast));
		for (uint32_t i = 0; i < ABREAST; i++)
			met |= abreast[i] >= least;
		if (met)
			break;
	}
	while (from < to && block_word(words, from) < least)
		from++;
	return from;
}

// Frames [first + from, first + to), the first and the last of which the census has met. 0 or a negative errno, which ends it.
typedef int (*run_visit)(void *context, uint64_t first, const frame_word *words, uint32_t from, uint32_t to);

// The runs of one block. 0, or what a visit returned.
static inline int runs_of_block(const struct census *census, uint64_t first, const frame_word *words, run_visit visit,
				void *context)
{
	int error = 0;
	for (uint32_t from = next_met(census, words, 0, BLOCK_FRAMES), next; !error && from < BLOCK_FRAMES;
	     from = next) {
		uint32_t to = from + 1;
		while ((next = next_met(census, words, to, BLOCK_FRAMES)) < BLOCK_FRAMES && next - to <= MOST_BETWEEN)
			to = next + 1;
		error = visit(context, first, words, from, to);
	}
	return error;
}
