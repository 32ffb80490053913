// The marking side of the census, for whoever walks page tables.
//
// Every frame has one 32-bit word: which set of owners maps it, and its kind. An owner that meets a frame of set S moves it to
// the set S + {owner}; an owner that is in S already leaves it alone, which costs a load and a compare. A set is found by the
// sum of a random 128-bit number per owner (Zobrist hashing), so each set exists once in whatever order owners come, and
// several threads may mark at once: moving a frame is one compare-and-swap, and whoever wins it does the counting.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "census.h"
#include "kinds.h"
#include "table.h"

// Frames to 2^40, and swap slots in as many numbers above them.
#define FRAME_BITS 40
#define SWAP_FRAMES (UINT64_C(1) << FRAME_BITS)
#define CHUNK_BITS 19 // 2 MiB of words, one huge page
#define CHUNK_FRAMES (UINT64_C(1) << CHUNK_BITS)
#define CHUNKS (UINT64_C(1) << (FRAME_BITS + 1 - CHUNK_BITS))
#define KIND_BITS 3
#define KIND_MASK ((1 << KIND_BITS) - 1)

typedef _Atomic(uint32_t) frame_word;

struct owner_key {
	uint64_t lo, hi;
};

struct set {
	uint32_t parent, owner;
	struct owner_key key; // the sum of its owners' keys
	uint64_t pages[KINDS];
};

struct census {
	_Atomic(frame_word *) *chunks;
	uint32_t base; // words below base << KIND_BITS belong to an earlier census
	uint32_t owners;
	struct owner_key *owner_keys;

	pthread_mutex_t lock;  // for all below
	uint32_t *owner_first; // sets made before an owner was first marked cannot hold it
	size_t owner_room, first_room;
	struct set *sets;
	size_t set_count, set_room;
	struct table table; // sets by key
	uint64_t seed;
	uint64_t *chunk_index; // of the chunks that there are
	size_t chunk_count, chunk_room;
};

// One thread's view: the owner that it marks for, what each set becomes with that owner, and what it counted.
struct marker {
	struct census *census;
	uint32_t base;
	uint32_t owner;
	uint32_t stamp; // one per change of owner: older notes are void
	size_t room;
	uint64_t *next;		 // [set] = stamp << 32 | the set with this owner added
	int64_t (*moved)[KINDS]; // [set]: pages gained, summed up at the end
	int error;
};

int marker_init(struct marker *marker, struct census *census);
// Adds what the marker counted to the census; returns the first error that it met.
int marker_deinit(struct marker *marker);
void marker_owner(struct marker *marker, uint32_t owner);
// What word_mark() says of frames that the marker's owner has and no other one; MARK_NONE: no memory.
uint32_t marker_alone(struct marker *marker);

// Slow paths.
frame_word *census_chunk_create(struct census *census, uint64_t chunk);
bool marker_move(struct marker *marker, frame_word *slot, uint32_t word);
void marker_first(struct marker *marker, uint64_t pfn, enum kind kind);

// Mark a run of frames of one kind, as a huge page is. alone: nobody else maps them, so that no other thread will
// mark them, and what is new of them needs no compare-and-swap.
void marker_run(struct marker *marker, uint64_t pfn, uint64_t count, enum kind kind, bool alone);

// ---- words ----

static inline uint32_t word_kind(uint32_t word)
{
	return word & KIND_MASK;
}

// Set and kind of a frame as this census has it, in one word's upper part: set + base. Only to be compared.
static inline uint32_t word_mark(uint32_t word)
{
	return word >> KIND_BITS;
}

static inline uint32_t word_of(uint32_t mark, uint32_t kind)
{
	return mark << KIND_BITS | kind;
}

static inline bool mark_is_new(uint32_t mark, uint32_t base)
{
	return (int32_t)(mark - base) < 0;
}

// The set of a frame; 0 where the census has not met it.
static inline uint32_t set_of(const struct census *census, uint32_t word)
{
	uint32_t set = word_mark(word) - census->base;
	return (int32_t)set > 0 ? set : 0;
}

static inline const frame_word *census_chunk(const struct census *census, uint64_t chunk)
{
	return atomic_load_explicit(&census->chunks[chunk], memory_order_acquire);
}

static inline frame_word *census_slot(struct census *census, uint64_t pfn)
{
	frame_word *chunk = atomic_load_explicit(&census->chunks[pfn >> CHUNK_BITS], memory_order_acquire);
	if (__builtin_expect(!chunk, 0)) {
		chunk = census_chunk_create(census, pfn >> CHUNK_BITS);
		if (!chunk)
			return NULL;
	}
	return chunk + (pfn & (CHUNK_FRAMES - 1));
}

// ---- one frame ----

// Does the marker know that its owner is in this set?
static inline bool marker_is_in(const struct marker *marker, uint32_t set)
{
	return set < marker->room && marker->next[set] == ((uint64_t)marker->stamp << 32 | set);
}

// Has the marker's owner this frame already? Any number may be asked for.
static inline bool marker_has(const struct marker *marker, uint64_t pfn)
{
	if (pfn >= 2 * SWAP_FRAMES)
		return false;
	const frame_word *chunk = census_chunk(marker->census, pfn >> CHUNK_BITS);
	if (!chunk)
		return false;
	uint32_t word = atomic_load_explicit(chunk + (pfn & (CHUNK_FRAMES - 1)), memory_order_relaxed);
	return marker_is_in(marker, word_mark(word) - marker->base); // beyond the room where it is of an earlier census
}

// What a frame that this census has met counts as.
static inline enum kind marker_kind(struct marker *marker, uint64_t pfn)
{
	frame_word *slot = census_slot(marker->census, pfn);
	return slot ? (enum kind)word_kind(atomic_load_explicit(slot, memory_order_relaxed)) : KIND_ANON;
}

// Mark a frame that this census has met before. false: it has not; find out its kind and call marker_first().
// pfn must be below 2 * SWAP_FRAMES.
static inline bool marker_known(struct marker *marker, uint64_t pfn)
{
	frame_word *slot = census_slot(marker->census, pfn);
	if (__builtin_expect(!slot, 0)) {
		marker->error = -ENOMEM;
		return true;
	}
	uint32_t word = atomic_load_explicit(slot, memory_order_relaxed);
	if (mark_is_new(word_mark(word), marker->base))
		return false;
	return marker_move(marker, slot, word);
}

static inline void marker_mark(struct marker *marker, uint64_t pfn, enum kind kind)
{
	if (!marker_known(marker, pfn))
		marker_first(marker, pfn, kind);
}

// ---- many frames ----

#define MARK_NONE UINT32_MAX

// What a loop over many frames of one owner can do by itself. It takes a frame whose set is one of the owner's that it has
// seen, that nobody has met before, or that comes out of the set that the last frames came out of; whatever else a frame is,
// the marker has to be asked, and the streak learns from the answer.
struct streak {
	_Atomic(frame_word *) *chunks; // of the census
	uint32_t base;
	uint32_t kind;	     // of frames not met yet; KINDS or more: not known
	uint32_t ours;	     // what the words of some set say that our owner is in
	uint32_t alone;	     // the same for the set of our owner alone; MARK_NONE: not known yet
	uint32_t from, into; // what frames moved out of last, and where our owner takes them; MARK_NONE: not known yet
	uint64_t known;	     // frames of ours that were met; for the caller to take
	uint64_t fresh;	     // of these, not met by anybody before; until streak_settle()
	uint64_t moved[KINDS]; // of these, moved from one set into the other; likewise
};

// A new owner, of which nothing is known.
void streak_begin(struct streak *streak, const struct marker *marker);
// Frames to come that nobody has met are of this kind; KINDS or more: nobody knows.
void streak_kind(struct streak *streak, const struct marker *marker, uint32_t kind);
// Learn from a frame that the marker has just been asked about. before: its word until then.
void streak_learn(struct streak *streak, struct marker *marker, uint64_t pfn, uint32_t before);
// What changed its set goes to the marker.
void streak_settle(struct streak *streak, struct marker *marker);

// What the census has noted of a frame; 0: nothing.
uint32_t census_word(struct census *census, uint64_t pfn);

// Takes a frame that is not known to be ours, where it is known what becomes of it.
static inline bool streak_take_other(struct streak *s, frame_word *slot, uint32_t word, bool may_be_new)
{
	uint32_t mark = word_mark(word), kind = word_kind(word);
	bool known = mark == s->from;
	if (!known && (!may_be_new || !mark_is_new(mark, s->base) || s->alone == MARK_NONE))
		return false;
	uint32_t next = known ? word_of(s->into, kind) : word_of(s->alone, s->kind);
	if (!atomic_compare_exchange_strong_explicit(slot, &word, next, memory_order_relaxed, memory_order_relaxed))
		return false;
	s->moved[kind] += known;
	s->fresh += !known;
	return true;
}

// Takes a frame, which is counted then. false: the marker has to be asked. may_be_new: false of a frame that may be none that
// counts, and has to be looked at where nobody has met it.
static inline bool streak_take(struct streak *s, uint64_t pfn, bool may_be_new)
{
	frame_word *chunk = atomic_load_explicit(&s->chunks[pfn >> CHUNK_BITS], memory_order_acquire);
	if (!chunk)
		return false;
	frame_word *slot = chunk + (pfn & (CHUNK_FRAMES - 1));
	uint32_t word = atomic_load_explicit(slot, memory_order_relaxed), mark = word_mark(word);
	if (mark != s->ours && mark != s->alone && !streak_take_other(s, slot, word, may_be_new))
		return false;
	s->known++;
	return true;
}
