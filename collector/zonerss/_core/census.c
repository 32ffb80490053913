// Which set of zones maps each frame: see census.h for how, DESIGN and docs/theory.md for why.

#include "census.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

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

// With the lock held.
static int chunk_note(struct census *census, uint64_t index)
{
	if (census->chunk_count == census->chunk_room) {
		uint64_t room = census->chunk_room * 2 + 64;
		uint64_t *grown = realloc(census->chunk_index, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		census->chunk_index = grown;
		census->chunk_room = room;
	}
	census->chunk_index[census->chunk_count++] = index;
	return 0;
}

frame_word *census_chunk_create(struct census *census, uint64_t index)
{
	if (index >= CHUNKS)
		return NULL;
	pthread_mutex_lock(&census->lock);
	frame_word *chunk = atomic_load_explicit(&census->chunks[index], memory_order_relaxed);
	if (!chunk && !chunk_note(census, index)) {
		chunk = chunk_map();
		if (chunk)
			atomic_store_explicit(&census->chunks[index], chunk, memory_order_release);
		else
			census->chunk_count--;
	}
	pthread_mutex_unlock(&census->lock);
	return chunk;
}

static void chunks_for_each(struct census *census, void (*visit)(frame_word *))
{
	for (uint64_t i = 0; i < census->chunk_count; i++)
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

static int sets_reserve(struct census *census, uint32_t room)
{
	if (room <= census->room)
		return 0;
	if (room > SET_LIMIT)
		return -E2BIG;
#define GROW(field)                                                                    \
	do {                                                                           \
		void *grown = realloc(census->field, room * sizeof(*census->field));   \
		if (!grown)                                                            \
			return -ENOMEM;                                                \
		census->field = grown;                                                 \
	} while (0)
	GROW(parent);
	GROW(zone);
	GROW(keys);
	GROW(pages);
#undef GROW
	// At most half full. Built anew, so that no deletion is needed.
	uint32_t slots = 64;
	while (slots < 2 * room)
		slots *= 2;
	uint32_t *table = calloc(slots, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(census->table);
	census->table = table;
	census->table_mask = slots - 1;
	census->room = room;
	for (uint32_t set = 1; set < census->sets; set++) {
		uint32_t i = census->keys[set].lo & census->table_mask;
		while (table[i])
			i = (i + 1) & census->table_mask;
		table[i] = set;
	}
	return 0;
}

// Parents have smaller numbers than children, and what was made before the zone came cannot hold it.
static bool set_holds(const struct census *census, uint32_t set, uint32_t zone, uint32_t zone_first)
{
	for (; set && set >= zone_first; set = census->parent[set])
		if (census->zone[set] == zone)
			return true;
	return false;
}

// The set with one zone more, made if it is new. 0: no memory. With the lock held.
static uint32_t set_with(struct census *census, uint32_t set, uint32_t zone)
{
	if (set_holds(census, set, zone, census->zone_first[zone]))
		return set;
	struct zone_key key = census->keys[set];
	key.lo += census->zone_keys[zone].lo;
	key.hi += census->zone_keys[zone].hi;
	uint32_t i = key.lo & census->table_mask;
	for (uint32_t found; (found = census->table[i]); i = (i + 1) & census->table_mask)
		if (census->keys[found].lo == key.lo && census->keys[found].hi == key.hi)
			return found;
	if (census->sets == census->room) {
		if (sets_reserve(census, census->room * 2))
			return 0;
		for (i = key.lo & census->table_mask; census->table[i];)
			i = (i + 1) & census->table_mask;
	}
	uint32_t made = census->sets++;
	census->parent[made] = set;
	census->zone[made] = zone;
	census->keys[made] = key;
	memset(census->pages[made], 0, sizeof(census->pages[made]));
	census->table[i] = made;
	return made;
}

// ---- census ----

int census_restart(struct census *census, uint32_t zones)
{
	uint32_t used = census->sets;
	if (census->base + (uint64_t)used + SET_LIMIT > (UINT32_C(1) << (32 - KIND_BITS)) - 1) {
		chunks_for_each(census, chunk_clear);
		census->base = 1;
	} else {
		census->base += used; // what the frames say now is of the past
	}
	struct zone_key *keys = realloc(census->zone_keys, (zones + 1) * sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	census->zone_keys = keys;
	uint32_t *first = realloc(census->zone_first, (zones + 1) * sizeof(*census->zone_first));
	if (!first)
		return -ENOMEM;
	census->zone_first = first;
	for (uint32_t zone = 0; zone < zones; zone++) {
		keys[zone].lo = next_random(&census->seed);
		keys[zone].hi = next_random(&census->seed);
		first[zone] = UINT32_MAX;
	}
	census->zones = zones;
	census->sets = 1;
	memset(census->table, 0, (census->table_mask + UINT64_C(1)) * sizeof(*census->table));
	return 0;
}

int census_create(uint32_t zones, struct census **ret)
{
	struct census *census = calloc(1, sizeof(*census));
	if (!census)
		return -ENOMEM;
	pthread_mutex_init(&census->lock, NULL);
	census->base = 1;
	if (getrandom(&census->seed, sizeof(census->seed), 0) != sizeof(census->seed))
		census->seed = (uintptr_t)census;
	census->chunks = lazy_memory(CHUNKS * sizeof(*census->chunks));
	int error = census->chunks ? sets_reserve(census, 1024) : -ENOMEM;
	if (!error) {
		memset(&census->keys[0], 0, sizeof(census->keys[0]));
		memset(census->pages[0], 0, sizeof(census->pages[0]));
		census->parent[0] = 0;
		census->zone[0] = UINT32_MAX;
		error = census_restart(census, zones);
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
	free(census->zone_keys);
	free(census->zone_first);
	free(census->chunk_index);
	free(census->parent);
	free(census->zone);
	free(census->keys);
	free(census->pages);
	free(census->table);
	pthread_mutex_destroy(&census->lock);
	free(census);
}

// ---- marking ----

static int marker_reserve(struct marker *marker, uint32_t room)
{
	if (room <= marker->room)
		return 0;
	room += room / 2 + 1024;
	uint64_t *next = realloc(marker->next, room * sizeof(*next));
	if (!next)
		return -ENOMEM;
	marker->next = next;
	void *moved = realloc(marker->moved, room * sizeof(*marker->moved));
	if (!moved)
		return -ENOMEM;
	marker->moved = moved;
	memset(next + marker->room, 0, (room - marker->room) * sizeof(*next));
	memset(marker->moved + marker->room, 0, (room - marker->room) * sizeof(*marker->moved));
	marker->room = room;
	return 0;
}

int marker_init(struct marker *marker, struct census *census)
{
	*marker = (struct marker){ .census = census, .base = census->base, .zone = UINT32_MAX };
	return marker_reserve(marker, 1);
}

void marker_zone(struct marker *marker, uint32_t zone)
{
	if (zone == marker->zone)
		return;
	struct census *census = marker->census;
	marker->zone = zone;
	marker->stamp++;
	pthread_mutex_lock(&census->lock);
	if (census->zone_first[zone] == UINT32_MAX)
		census->zone_first[zone] = census->sets;
	pthread_mutex_unlock(&census->lock);
}

// What a set becomes with the marker's zone, noted for the next time. 0: no memory.
static uint32_t marker_next(struct marker *marker, uint32_t set)
{
	if (set < marker->room && marker->next[set] >> 32 == marker->stamp)
		return (uint32_t)marker->next[set];
	struct census *census = marker->census;
	pthread_mutex_lock(&census->lock);
	uint32_t next = set_with(census, set, marker->zone);
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

// The frame may be moved by another thread meanwhile: then start again from where it is now.
bool marker_move(struct marker *marker, frame_word *slot, uint32_t word)
{
	for (;;) {
		uint32_t set = (word >> KIND_BITS) - marker->base;
		uint32_t kind = word & ((1 << KIND_BITS) - 1);
		uint32_t next = marker_next(marker, set);
		if (!next || next == set)
			return true;
		uint32_t moved = (marker->base + next) << KIND_BITS | kind;
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
	frame_word *slot = census_slot(marker->census, pfn);
	uint32_t next = slot ? marker_next(marker, 0) : 0;
	if (!next) {
		marker->error = -ENOMEM;
		return;
	}
	uint32_t word = atomic_load_explicit(slot, memory_order_relaxed);
	uint32_t made = (marker->base + next) << KIND_BITS | kind;
	while ((int32_t)((word >> KIND_BITS) - marker->base) < 0)
		if (atomic_compare_exchange_weak_explicit(slot, &word, made, memory_order_relaxed,
							  memory_order_relaxed)) {
			marker->moved[next][kind]++;
			return;
		}
	marker_move(marker, slot, word);
}

static bool word_is_new(const struct marker *marker, uint32_t word)
{
	return (int32_t)((word >> KIND_BITS) - marker->base) < 0;
}

// Two neighbours at once, the first of an even number. false: one of them is not new.
static inline bool pair_first(struct marker *marker, frame_word *slot, uint32_t made)
{
	_Atomic(uint64_t) *pair = (_Atomic(uint64_t) *)slot;
	uint64_t words = atomic_load_explicit(pair, memory_order_relaxed), both = (uint64_t)made << 32 | made;
	return word_is_new(marker, words) && word_is_new(marker, words >> 32) &&
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
	uint32_t made = (marker->base + next) << KIND_BITS | kind;
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
	uint32_t sets = marker->room < census->sets ? marker->room : census->sets;
	for (uint32_t set = 1; set < sets; set++)
		for (int kind = 0; kind < KINDS; kind++)
			census->pages[set][kind] += marker->moved[set][kind];
	pthread_mutex_unlock(&census->lock);
	free(marker->next);
	free(marker->moved);
	return marker->error;
}

// ---- for Python ----

int census_mark(struct census *census, uint32_t zone, const uint64_t *pfns, const uint8_t *kinds, size_t count)
{
	struct marker marker;
	int error = zone < census->zones ? marker_init(&marker, census) : -EINVAL;
	if (error)
		return error;
	marker_zone(&marker, zone);
	for (size_t i = 0; i < count; i++) {
		if (kinds[i] >= KINDS || pfns[i] >= SWAP_FRAMES) {
			marker_deinit(&marker);
			return -EINVAL;
		}
		marker_mark(&marker, pfns[i] + (kinds[i] == KIND_SWAP ? SWAP_FRAMES : 0), kinds[i]);
	}
	return marker_deinit(&marker);
}

uint32_t census_sets(const struct census *census)
{
	return census->sets;
}

void census_export(const struct census *census, uint32_t *parent, uint32_t *zone, uint64_t *pages)
{
	memcpy(parent, census->parent, census->sets * sizeof(*parent));
	memcpy(zone, census->zone, census->sets * sizeof(*zone));
	memcpy(pages, census->pages, census->sets * sizeof(*census->pages));
}

uint64_t census_bytes(const struct census *census)
{
	uint64_t per_set = sizeof(*census->parent) + sizeof(*census->zone) + sizeof(*census->keys) + sizeof(*census->pages);
	return census->chunk_count * CHUNK_FRAMES * sizeof(frame_word) + census->room * per_set +
	       (census->table_mask + UINT64_C(1)) * sizeof(*census->table);
}
