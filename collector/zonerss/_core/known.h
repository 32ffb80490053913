// Page tables that an owner has met before: processes that were forked from one another, or map the same memory, have tables
// of the same content, and of such a table all frames are known to be the owner's once one of them was taken.
//
// Content is known by a keyed hash of 254 bits. The key is random and drawn anew by every process of zonerss, nothing of it or of
// a hash is ever shown, and for any two different contents the chance that their hashes are the same is at most 2^-128: two independent
// sums of products of 64-bit words, each of which is almost universal with 2^-64 (NH: Black, Halevi,
// Krawczyk, Krovetz, Rogaway, "UMAC", CRYPTO 1999; the same over GF(2): Lemire and Kaser, "Faster 64-bit universal hashing
// using carry-less multiplications", 2016). What else makes two tables differ is compared as it is.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_ENTRIES 512
#define KNOWN_LEAST 32 // entries of a copy that is worth it

struct known_key {
	uint64_t words[2][TABLE_ENTRIES];
};

struct known_hash {
	uint64_t words[4];
};

// What a table is besides its entries, and what it counts as.
struct known_table {
	struct known_hash hash;
	uint32_t owner;
	uint32_t traits;
	uint16_t entries;
	uint16_t rss_pages;
	uint16_t zero_pages;
	uint16_t pad;
};

struct known_row {
	_Atomic(uint64_t) state;
	struct known_table table;
	uint64_t pad;
};

// Of all threads of a walk: rows are written once in a walk and then only read.
struct known_tables {
	struct known_key key;
	struct known_row *rows;
	uint64_t room; // rows, a power of 2
	uint64_t mask; // of the rows that this walk uses
	uint64_t walk;
};

// tables: of how many there is room at most; what is not used takes no memory. 0, or a negative errno.
int known_create(struct known_tables *known, uint64_t tables);
void known_destroy(struct known_tables *known);
// A new walk begins, which will meet about so many tables: all that is known is void.
// Walks of one source do not overlap: no thread reads or writes rows meanwhile, and no lock is taken.
void known_restart(struct known_tables *known, uint64_t tables);
// Of the bits of mask of so many entries, at most TABLE_ENTRIES.
struct known_hash known_hash(const struct known_key *key, const uint64_t *entries, uint32_t count, uint64_t mask);
// The same by what every processor has; other values.
struct known_hash known_hash_plain(const struct known_key *key, const uint64_t *entries, uint32_t count, uint64_t mask);
// Was this one met? Its counts are then filled in.
bool known_find(const struct known_tables *known, struct known_table *table);
// It is met, and all of its frames were marked. Where there is no room it stays unknown.
void known_add(struct known_tables *known, const struct known_table *table);
