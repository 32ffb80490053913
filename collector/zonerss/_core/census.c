// Which set of owners maps each frame: see marker.h for how, docs/theory.md for why.

#include "census.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "array.h"
#include "marker.h"
#include "parts.h"

#define SET_LIMIT (UINT32_C(1) << (31 - KIND_BITS)) // so that set - base never looks negative by mistake

static void *lazy_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); // splitmix64, Steele et al. 2014
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

// ---- frames ----

// A chunk is aligned to its size and may be one huge page: random access then costs few TLB entries.
static frame_word *chunk_map(void)
{
	size_t bytes = CHUNK_FRAMES * sizeof(frame_word);
	char *wide = lazy_memory(2 * bytes);
	if (!wide)
		return NULL;
	char *chunk = (char *)(((uintptr_t)wide + bytes - 1) & ~(uintptr_t)(bytes - 1));
	if (chunk > wide)
		munmap(wide, chunk - wide);
	munmap(chunk + bytes, wide + bytes - chunk);
	madvise(chunk, bytes, MADV_HUGEPAGE);
	return (frame_word *)chunk;
}

frame_word *census_chunk_create(struct census *census, uint64_t index)
{
	if (index >= CHUNKS)
		return NULL;
	pthread_mutex_lock(&census->lock);
	frame_word *chunk = atomic_load_explicit(&census->chunks[index], memory_order_relaxed);
	if (!chunk && !ARRAY_RESERVE(census->chunk_index, census->chunk_room, census->chunk_count + 1) &&
	    (chunk = chunk_map())) {
		census->chunk_index[census->chunk_count++] = index;
		atomic_store_explicit(&census->chunks[index], chunk, memory_order_release);
	}
	pthread_mutex_unlock(&census->lock);
	return chunk;
}

static void chunks_for_each(struct census *census, void (*visit)(frame_word *))
{
	for (size_t i = 0; i < census->chunk_count; i++)
		visit(atomic_load_explicit(&census->chunks[census->chunk_index[i]], memory_order_relaxed));
}

static void chunk_unmap(frame_word *chunk)
{
	munmap(chunk, CHUNK_FRAMES * sizeof(*chunk));
}

static void chunk_clear(frame_word *chunk)
{
	memset((void *)chunk, 0, CHUNK_FRAMES * sizeof(*chunk));
}

// ---- sets ----

static uint64_t set_hash(const void *sets, uint32_t set)
{
	return ((const struct set *)sets)[set].key.lo; // random as it is
}

static bool set_same(const void *sets, uint32_t set, const void *key)
{
	const struct owner_key *own = &((const struct set *)sets)[set].key, *wanted = key;
	return own->lo == wanted->lo && own->hi == wanted->hi;
}

// Parents have smaller numbers than children, and what was made before the owner came cannot hold it.
static bool set_holds(const struct census *census, uint32_t set, uint32_t owner)
{
	for (; set && set >= census->owner_first[owner]; set = census->sets[set].parent)
		if (census->sets[set].owner == owner)
			return true;
	return false;
}

// The set with one owner more, made if it is new. 0: no memory. With the lock held.
static uint32_t set_with(struct census *census, uint32_t set, uint32_t owner)
{
	if (set_holds(census, set, owner))
		return set;
	struct owner_key key = census->sets[set].key;
	key.lo += census->owner_keys[owner].lo;
	key.hi += census->owner_keys[owner].hi;
	uint32_t found = table_find(&census->table, key.lo, set_same, census->sets, &key);
	if (found != TABLE_NONE)
		return found;
	uint32_t made = census->set_count;
	if (made >= SET_LIMIT || ARRAY_RESERVE(census->sets, census->set_room, made + 1))
		return 0;
	census->sets[made] = (struct set){ .parent = set, .owner = owner, .key = key };
	if (table_add(&census->table, key.lo, made, set_hash, census->sets))
		return 0;
	census->set_count++;
	return made;
}

// ---- census ----

int census_restart(struct census *census, uint32_t owners)
{
	uint64_t used = census->set_count;
	if (ARRAY_RESERVE(census->owner_keys, census->owner_room, owners + UINT64_C(1)) ||
	    ARRAY_RESERVE(census->owner_first, census->first_room, owners + UINT64_C(1)))
		return -ENOMEM;
	if (census->base + used + SET_LIMIT > (UINT32_C(1) << (32 - KIND_BITS)) - 1) {
		chunks_for_each(census, chunk_clear);
		census->base = 1;
	} else {
		census->base += used; // what the frames say now is of the past
	}
	for (uint32_t owner = 0; owner < owners; owner++) {
		census->owner_keys[owner].lo = next_random(&census->seed);
		census->owner_keys[owner].hi = next_random(&census->seed);
		census->owner_first[owner] = UINT32_MAX;
	}
	census->owners = owners;
	census->set_count = 1;
	table_clear(&census->table);
	return 0;
}

int census_create(uint32_t owners, struct census **ret)
{
	struct census *census = calloc(1, sizeof(*census));
	if (!census)
		return -ENOMEM;
	pthread_mutex_init(&census->lock, NULL);
	census->base = 1;
	if (getrandom(&census->seed, sizeof(census->seed), 0) != sizeof(census->seed))
		census->seed = (uintptr_t)census;
	census->chunks = lazy_memory(CHUNKS * sizeof(*census->chunks));
	int error = census->chunks ? ARRAY_RESERVE(census->sets, census->set_room, 1024) : -ENOMEM;
	if (!error) {
		census->sets[0] = (struct set){ .owner = UINT32_MAX };
		error = census_restart(census, owners);
	}
	if (error) {
		census_destroy(census);
		return error;
	}
	*ret = census;
	return 0;
}

void census_destroy(struct census *census)
{
	if (!census)
		return;
	if (census->chunks) {
		chunks_for_each(census, chunk_unmap);
		munmap((void *)census->chunks, CHUNKS * sizeof(*census->chunks));
	}
	free(census->owner_keys);
	free(census->owner_first);
	free(census->chunk_index);
	free(census->sets);
	table_free(&census->table);
	pthread_mutex_destroy(&census->lock);
	free(census);
}

// ---- marking ----

static int marker_reserve(struct marker *marker, size_t room)
{
	size_t had = marker->room, next_room = had, moved_room = had;
	if (room <= had)
		return 0;
	room += room / 2 + 1024;
	if (ARRAY_RESERVE(marker->next, next_room, room) || ARRAY_RESERVE(marker->moved, moved_room, room))
		return -ENOMEM;
	memset(marker->next + had, 0, (next_room - had) * sizeof(*marker->next));
	memset(marker->moved + had, 0, (moved_room - had) * sizeof(*marker->moved));
	marker->room = next_room;
	return 0;
}

int marker_init(struct marker *marker, struct census *census)
{
	*marker = (struct marker){ .census = census, .base = census->base, .owner = UINT32_MAX };
	return marker_reserve(marker, 1);
}

void marker_owner(struct marker *marker, uint32_t owner)
{
	if (owner == marker->owner)
		return;
	struct census *census = marker->census;
	marker->owner = owner;
	marker->stamp++;
	pthread_mutex_lock(&census->lock);
	if (census->owner_first[owner] == UINT32_MAX)
		census->owner_first[owner] = census->set_count;
	pthread_mutex_unlock(&census->lock);
}

// What a set becomes with the marker's owner, noted for the next time. 0: no memory.
static uint32_t marker_next(struct marker *marker, uint32_t set)
{
	if (set < marker->room && marker->next[set] >> 32 == marker->stamp)
		return (uint32_t)marker->next[set];
	struct census *census = marker->census;
	pthread_mutex_lock(&census->lock);
	uint32_t next = set_with(census, set, marker->owner);
	pthread_mutex_unlock(&census->lock);
	uint32_t top = next > set ? next : set;
	if (!next || marker_reserve(marker, top + 1)) {
		marker->error = -ENOMEM;
		return 0;
	}
	marker->next[set] = (uint64_t)marker->stamp << 32 | next;
	marker->next[next] = (uint64_t)marker->stamp << 32 | next;
	return next;
}

uint32_t marker_alone(struct marker *marker)
{
	uint32_t alone = marker_next(marker, 0);
	return alone ? marker->base + alone : MARK_NONE;
}

// The frame may be moved by another thread meanwhile: then start again from where it is now.
bool marker_move(struct marker *marker, frame_word *slot, uint32_t word)
{
	for (;;) {
		uint32_t set = word_mark(word) - marker->base, kind = word_kind(word);
		uint32_t next = marker_next(marker, set);
		if (!next || next == set)
			return true;
		uint32_t moved = word_of(marker->base + next, kind);
		if (atomic_compare_exchange_strong_explicit(slot, &word, moved, memory_order_relaxed,
							    memory_order_relaxed)) {
			marker->moved[set][kind]--;
			marker->moved[next][kind]++;
			return true;
		}
	}
}

void marker_first(struct marker *marker, uint64_t pfn, enum kind kind)
{
	if (kind >= KINDS)
		return; // nothing that counts
	frame_word *slot = census_slot(marker->census, pfn);
	uint32_t next = slot ? marker_next(marker, 0) : 0;
	if (!next) {
		marker->error = -ENOMEM;
		return;
	}
	uint32_t word = atomic_load_explicit(slot, memory_order_relaxed);
	uint32_t made = word_of(marker->base + next, kind);
	while (mark_is_new(word_mark(word), marker->base))
		if (atomic_compare_exchange_weak_explicit(slot, &word, made, memory_order_relaxed,
							  memory_order_relaxed)) {
			marker->moved[next][kind]++;
			return;
		}
	marker_move(marker, slot, word);
}

// Two neighbours at once, the first of an even number. false: one of them is not new.
static inline bool pair_first(struct marker *marker, frame_word *slot, uint32_t made)
{
	_Atomic(uint64_t) *pair = (_Atomic(uint64_t) *)slot;
	uint64_t words = atomic_load_explicit(pair, memory_order_relaxed), both = (uint64_t)made << 32 | made;
	return mark_is_new(word_mark(words), marker->base) && mark_is_new(word_mark(words >> 32), marker->base) &&
	       atomic_compare_exchange_strong_explicit(pair, &words, both, memory_order_relaxed, memory_order_relaxed);
}

typedef uint32_t lanes __attribute__((vector_size(32)));
enum { LANES = 8 };

// Eight at once that no other thread will mark. false: one of them is not new.
static inline bool eight_first(struct marker *marker, frame_word *slot, uint32_t made)
{
	lanes words, all = made - (lanes){ 0 };
	memcpy(&words, (void *)slot, sizeof(words));
	union {
		lanes each;
		uint64_t pairs[LANES / 2];
	} old = { ((words >> KIND_BITS) - marker->base) >> 31 };
	if ((old.pairs[0] & old.pairs[1] & old.pairs[2] & old.pairs[3]) != (UINT64_C(1) << 32 | 1))
		return false;
	memcpy((void *)slot, &all, sizeof(all));
	return true;
}

// The part of a run that lies in one chunk.
static void chunk_run(struct marker *marker, frame_word *slot, uint64_t pfn, uint64_t count, enum kind kind, bool alone)
{
	uint32_t next = marker_next(marker, 0);
	uint32_t made = word_of(marker->base + next, kind);
	int64_t fresh = 0;
	for (uint64_t i = 0; next && i < count; i++) {
		if (alone && i + LANES <= count && eight_first(marker, slot + i, made)) {
			fresh += LANES;
			i += LANES - 1;
		} else if (!((pfn + i) & 1) && i + 1 < count && pair_first(marker, slot + i, made)) {
			fresh += 2;
			i++;
		} else if (!marker_has(marker, pfn + i)) {
			marker_mark(marker, pfn + i, kind);
		}
	}
	if (fresh)
		marker->moved[next][kind] += fresh;
}

void marker_run(struct marker *marker, uint64_t pfn, uint64_t count, enum kind kind, bool alone)
{
	while (count) {
		frame_word *slot = census_slot(marker->census, pfn);
		uint64_t left = CHUNK_FRAMES - (pfn & (CHUNK_FRAMES - 1)), piece = count < left ? count : left;
		if (!slot) {
			marker->error = -ENOMEM;
			return;
		}
		chunk_run(marker, slot, pfn, piece, kind, alone);
		pfn += piece;
		count -= piece;
	}
}

int marker_deinit(struct marker *marker)
{
	struct census *census = marker->census;
	pthread_mutex_lock(&census->lock);
	size_t sets = marker->room < census->set_count ? marker->room : census->set_count;
	for (size_t set = 1; set < sets; set++)
		for (int kind = 0; kind < KINDS; kind++)
			census->sets[set].pages[kind] += marker->moved[set][kind];
	pthread_mutex_unlock(&census->lock);
	free(marker->next);
	free(marker->moved);
	return marker->error;
}

// ---- streaks ----

uint32_t census_word(struct census *census, uint64_t pfn)
{
	const frame_word *slot = census_slot(census, pfn);
	return slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;
}

void streak_begin(struct streak *streak, const struct marker *marker)
{
	*streak = (struct streak){
		.chunks = marker->census->chunks,
		.base = marker->base,
		.kind = KINDS,
		.ours = MARK_NONE,
		.alone = MARK_NONE,
		.from = MARK_NONE,
		.into = MARK_NONE,
	};
}

// The set of our owner alone, if the marker has come across it.
static void streak_learn_alone(struct streak *streak, const struct marker *marker)
{
	if (marker->next[0] >> 32 == marker->stamp && streak->kind < KINDS)
		streak->alone = streak->base + (uint32_t)marker->next[0];
}

void streak_kind(struct streak *streak, const struct marker *marker, uint32_t kind)
{
	streak->kind = kind;
	streak->alone = MARK_NONE;
	streak_learn_alone(streak, marker);
}

void streak_settle(struct streak *streak, struct marker *marker)
{
	if (streak->fresh)
		marker->moved[streak->alone - streak->base][streak->kind] += streak->fresh;
	for (int kind = 0; streak->from != MARK_NONE && kind < KINDS; kind++) {
		marker->moved[streak->from - streak->base][kind] -= streak->moved[kind];
		marker->moved[streak->into - streak->base][kind] += streak->moved[kind];
	}
	streak->fresh = 0;
	memset(streak->moved, 0, sizeof(streak->moved));
}

// A frame was of this set before it was taken: others of that set go the same way, which the marker has noted.
static void streak_remember(struct streak *streak, struct marker *marker, uint32_t before)
{
	uint32_t mark = word_mark(before), set = mark - streak->base;
	if ((int32_t)set <= 0 || set >= marker->room || marker->next[set] >> 32 != marker->stamp ||
	    mark == streak->from || (uint32_t)marker->next[set] == set)
		return;
	streak_settle(streak, marker);
	streak->from = mark;
	streak->into = streak->base + (uint32_t)marker->next[set];
}

void streak_learn(struct streak *streak, struct marker *marker, uint64_t pfn, uint32_t before)
{
	uint32_t mark = word_mark(census_word(marker->census, pfn)), set = mark - streak->base;
	if ((int32_t)set > 0 && marker_is_in(marker, set))
		streak->ours = mark;
	streak_remember(streak, marker, before);
	streak_learn_alone(streak, marker);
}

// ---- for Python ----

int census_mark(struct census *census, uint32_t owner, const uint64_t *pfns, const uint8_t *kinds, size_t count)
{
	struct marker marker;
	int error = owner < census->owners ? marker_init(&marker, census) : -EINVAL;
	if (error)
		return error;
	marker_owner(&marker, owner);
	for (size_t i = 0; i < count; i++) {
		if (kinds[i] >= KINDS || pfns[i] >= SWAP_FRAMES) {
			marker_deinit(&marker);
			return -EINVAL;
		}
		marker_mark(&marker, pfns[i] + (kinds[i] == KIND_SWAP ? SWAP_FRAMES : 0), kinds[i]);
	}
	return marker_deinit(&marker);
}

int census_parts(const struct census *census, struct parts **ret)
{
	int error = parts_create(census->owners, census->set_count, ret);
	for (size_t set = 0; !error && set < census->set_count; set++) {
		const struct set *own = &census->sets[set];
		(*ret)->parent[set] = own->parent;
		(*ret)->owner[set] = own->owner;
		memcpy((*ret)->pages[set], own->pages, sizeof(own->pages));
	}
	return error;
}

uint64_t census_bytes(const struct census *census)
{
	return census->chunk_count * CHUNK_FRAMES * sizeof(frame_word) + census->set_room * sizeof(*census->sets) +
	       (census->table.mask + UINT64_C(1)) * sizeof(*census->table.slots);
}
