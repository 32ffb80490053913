// Tables that an owner has met before: see known.h.

#include "known.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PROBES 8
#define LEAST_ROWS 64

// States of a row in a walk; those of earlier walks are smaller.
#define STATE_TAKEN(known) ((known)->walk << 1)
#define STATE_READY(known) ((known)->walk << 1 | 1)

_Static_assert(sizeof(struct known_row) == 64, "one cache line");

// ---- the hash ----

static inline uint64_t word(const uint64_t *entries, uint32_t at, uint32_t count, uint64_t mask)
{
	return at < count ? entries[at] & mask : 0;
}

struct known_hash known_hash_plain(const struct known_key *key, const uint64_t *entries, uint32_t count, uint64_t mask)
{
	unsigned __int128 sums[2] = { 0 };
	for (uint32_t i = 0; i < count; i += 2) {
		uint64_t a = entries[i] & mask, b = word(entries, i + 1, count, mask);
		for (int half = 0; half < 2; half++) {
			const uint64_t *words = key->words[half] + i;
			sums[half] += (unsigned __int128)(a + words[0]) * (b + words[1]);
		}
	}
	return (struct known_hash){ { sums[0], sums[0] >> 64, sums[1], sums[1] >> 64 } };
}

#ifdef __x86_64__
#include <immintrin.h>

#define CARRYLESS __attribute__((target("vpclmulqdq,avx2")))

// Four words: two products of each half.
CARRYLESS static inline void add_products(const struct known_key *key, uint32_t at, __m256i words, __m256i sums[2])
{
	for (int half = 0; half < 2; half++) {
		__m256i keyed = _mm256_xor_si256(words, _mm256_loadu_si256((const __m256i *)(key->words[half] + at)));
		sums[half] = _mm256_xor_si256(sums[half], _mm256_clmulepi64_epi128(keyed, keyed, 0x10));
	}
}

CARRYLESS static struct known_hash hash_carryless(const struct known_key *key, const uint64_t *entries, uint32_t count,
						  uint64_t mask)
{
	__m256i wanted = _mm256_set1_epi64x(mask), sums[2] = { _mm256_setzero_si256(), _mm256_setzero_si256() };
	uint32_t i = 0;
	for (; i + 4 <= count; i += 4)
		add_products(key, i, _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(entries + i)), wanted),
			     sums);
	if (i < count) {
		uint64_t rest[4] = { 0 };
		memcpy(rest, entries + i, (count - i) * sizeof(*rest));
		add_products(key, i, _mm256_and_si256(_mm256_loadu_si256((const __m256i *)rest), wanted), sums);
	}
	struct known_hash hash;
	for (int half = 0; half < 2; half++) {
		__m128i sum =
			_mm_xor_si128(_mm256_castsi256_si128(sums[half]), _mm256_extracti128_si256(sums[half], 1));
		_mm_storeu_si128((__m128i *)(hash.words + 2 * half), sum);
	}
	return hash;
}

struct known_hash known_hash(const struct known_key *key, const uint64_t *entries, uint32_t count, uint64_t mask)
{
	return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2") ?
		       hash_carryless(key, entries, count, mask) :
		       known_hash_plain(key, entries, count, mask);
}
#else
struct known_hash known_hash(const struct known_key *key, const uint64_t *entries, uint32_t count, uint64_t mask)
{
	return known_hash_plain(key, entries, count, mask);
}
#endif

// ---- the rows ----

static uint64_t rows_for(uint64_t tables)
{
	uint64_t rows = LEAST_ROWS;
	while (rows < tables)
		rows *= 2;
	return rows;
}

static int draw(struct known_key *key)
{
	char *at = (char *)key;
	size_t left = sizeof(*key);
	while (left) {
		ssize_t got = getrandom(at, left, 0);
		if (got < 0 && errno != EINTR)
			return -errno;
		at += got < 0 ? 0 : got;
		left -= got < 0 ? 0 : got;
	}
	return 0;
}

int known_create(struct known_tables *known, uint64_t tables)
{
	uint64_t room = rows_for(tables);
	int error = draw(&known->key);
	if (error)
		return error;
	void *rows = mmap(NULL, room * sizeof(*known->rows), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rows == MAP_FAILED)
		return -ENOMEM;
	known->rows = rows;
	known->room = room;
	known->mask = LEAST_ROWS - 1;
	known->walk = 1;
	return 0;
}

void known_destroy(struct known_tables *known)
{
	if (known->rows)
		munmap(known->rows, known->room * sizeof(*known->rows));
	known->rows = NULL;
}

void known_restart(struct known_tables *known, uint64_t tables)
{
	uint64_t rows = rows_for(tables);
	known->mask = (rows < known->room ? rows : known->room) - 1;
	known->walk++;
}

static bool same(const struct known_table *a, const struct known_table *b)
{
	return !memcmp(&a->hash, &b->hash, sizeof(a->hash)) && a->owner == b->owner && a->traits == b->traits &&
	       a->entries == b->entries;
}

static uint64_t first_row(const struct known_table *table)
{
	// The low bits of a sum are those of the entries' low bits, which are always the same.
	const uint64_t *words = table->hash.words;
	return ((words[0] ^ words[1] ^ table->owner) * UINT64_C(0x9e3779b97f4a7c15)) >> 24;
}

bool known_find(const struct known_tables *known, struct known_table *table)
{
	uint64_t first = first_row(table);
	for (uint64_t probe = 0; probe < PROBES; probe++) {
		const struct known_row *row = &known->rows[(first + probe) & known->mask];
		uint64_t state = atomic_load_explicit(&row->state, memory_order_acquire);
		if (state < STATE_TAKEN(known))
			return false;
		if (state == STATE_READY(known) && same(&row->table, table)) {
			table->rss_pages = row->table.rss_pages;
			table->zero_pages = row->table.zero_pages;
			return true;
		}
	}
	return false;
}

void known_add(struct known_tables *known, const struct known_table *table)
{
	uint64_t first = first_row(table);
	for (uint64_t probe = 0; probe < PROBES; probe++) {
		struct known_row *row = &known->rows[(first + probe) & known->mask];
		uint64_t state = atomic_load_explicit(&row->state, memory_order_relaxed);
		if (state >= STATE_TAKEN(known))
			continue;
		// Acquire: whoever read it in an earlier walk has done so.
		if (!atomic_compare_exchange_strong_explicit(&row->state, &state, STATE_TAKEN(known),
							     memory_order_acquire, memory_order_relaxed))
			continue;
		row->table = *table;
		atomic_store_explicit(&row->state, STATE_READY(known), memory_order_release);
		return;
	}
}
