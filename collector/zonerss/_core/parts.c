// Sums over parts. A part is a set of zones and the pages whose frames exactly these zones map; the sets form a
// tree in which each node's set is its parent's and one zone more (core.h). So what a zone maps is what hangs below
// the nodes that add it, and every sum here is one pass over the tree, or one over the path of each part.

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

typedef uint64_t kind_pages[KINDS];

static bool part_empty(const uint64_t *pages)
{
	for (int kind = 0; kind < KINDS; kind++)
		if (pages[kind])
			return false;
	return true;
}

int parts_sum(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
	      uint32_t zones, struct zone_sum *sums)
{
	const kind_pages *own = (const kind_pages *)pages;
	kind_pages *below = malloc(sets * sizeof(*below));
	double(*share)[KINDS] = malloc(sets * sizeof(*share));
	uint32_t *depth = malloc(sets * sizeof(*depth));
	int error = below && share && depth ? 0 : -ENOMEM;
	memset(sums, 0, zones * sizeof(*sums));
	if (!error && sets) {
		memcpy(below, own, sets * sizeof(*below));
		depth[0] = 0;
		for (uint32_t set = 1; set < sets; set++) {
			depth[set] = depth[parent[set]] + 1;
			for (int kind = 0; kind < KINDS; kind++)
				share[set][kind] = (double)own[set][kind] / depth[set];
		}
		memset(share[0], 0, sizeof(share[0]));
	}
	for (uint32_t set = sets; !error && set-- > 1;) {
		struct zone_sum *sum = &sums[zone[set]];
		for (int kind = 0; kind < KINDS; kind++) {
			sum->mapped[kind] += below[set][kind];
			sum->proportional[kind] += share[set][kind];
			if (!parent[set])
				sum->exclusive[kind] += own[set][kind];
			below[parent[set]][kind] += below[set][kind];
			share[parent[set]][kind] += share[set][kind];
		}
	}
	free(below);
	free(share);
	free(depth);
	return error;
}

uint32_t parts_filled(uint32_t sets, const uint64_t *pages, uint32_t *filled)
{
	uint32_t count = 0;
	for (uint32_t set = 1; set < sets; set++)
		if (!part_empty(pages + (size_t)set * KINDS))
			filled[count++] = set;
	return count;
}

int64_t parts_members(const uint32_t *parent, const uint32_t *zone, uint32_t zones, const uint32_t *numbers,
		      uint32_t count, uint64_t *ends, uint32_t *members, uint64_t room)
{
	size_t words = zones / 64 + 1;
	uint64_t *there = calloc(words, sizeof(*there)), total = 0;
	if (!there)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t set = numbers[i]; set; set = parent[set])
			there[zone[set] / 64] |= UINT64_C(1) << zone[set] % 64;
		for (size_t word = 0; word < words; word++)
			for (; there[word]; there[word] &= there[word] - 1, total++)
				if (total < room)
					members[total] = word * 64 + __builtin_ctzll(there[word]);
		ends[i] = total;
	}
	free(there);
	return total;
}

// ---- projection: each part's path is translated, sorted, and followed down a new tree -----------------

struct projection {
	uint32_t room, sets;
	uint32_t *parent, *zone;
	uint64_t *pages;
	uint32_t *table, mask; // (parent, zone) -> set
};

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

// The child of a set for a zone, made if it is new; UINT32_MAX: no room left.
static uint32_t projection_child(struct projection *to, uint32_t parent, uint32_t zone)
{
	uint64_t hash = (parent * UINT64_C(0x9e3779b97f4a7c15)) ^ (zone * UINT64_C(0xc2b2ae3d27d4eb4f));
	uint32_t i = (uint32_t)(hash >> 29) & to->mask;
	for (uint32_t set; (set = to->table[i]); i = (i + 1) & to->mask)
		if (to->parent[set] == parent && to->zone[set] == zone)
			return set;
	if (to->sets == to->room)
		return UINT32_MAX;
	to->table[i] = to->sets;
	to->parent[to->sets] = parent;
	to->zone[to->sets] = zone;
	memset(to->pages + (size_t)to->sets * KINDS, 0, sizeof(kind_pages));
	return to->sets++;
}

// Groups of one part, sorted, each once.
static size_t part_groups(uint32_t set, const uint32_t *parent, const uint32_t *zone, const uint32_t *group_of,
			  uint32_t *groups)
{
	size_t count = 0, kept = 0;
	for (; set; set = parent[set])
		if (group_of[zone[set]] != UINT32_MAX)
			groups[count++] = group_of[zone[set]];
	qsort(groups, count, sizeof(*groups), compare_u32);
	for (size_t i = 0; i < count; i++)
		if (!i || groups[i] != groups[i - 1])
			groups[kept++] = groups[i];
	return kept;
}

int parts_project(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
		  uint32_t zones, const uint32_t *group_of, uint32_t new_room, uint32_t *new_sets,
		  uint32_t *new_parent, uint32_t *new_zone, uint64_t *new_pages)
{
	struct projection to = { .room = new_room, .parent = new_parent, .zone = new_zone, .pages = new_pages };
	uint32_t *groups = malloc((zones + 1) * sizeof(*groups));
	to.mask = 63;
	while (to.mask < 2 * (uint64_t)new_room)
		to.mask = to.mask * 2 + 1;
	to.table = calloc(to.mask + UINT64_C(1), sizeof(*to.table));
	int error = groups && to.table ? 0 : -ENOMEM;
	if (!error && !new_room)
		error = -ENOSPC;
	if (!error) {
		to.sets = 1;
		new_parent[0] = 0;
		new_zone[0] = UINT32_MAX;
		memset(new_pages, 0, sizeof(kind_pages));
	}
	for (uint32_t set = 1; !error && set < sets; set++) {
		const uint64_t *own = pages + (size_t)set * KINDS;
		if (part_empty(own))
			continue;
		uint32_t at = 0;
		size_t count = part_groups(set, parent, zone, group_of, groups);
		for (size_t i = 0; i < count && at != UINT32_MAX; i++)
			at = projection_child(&to, at, groups[i]);
		if (at == UINT32_MAX)
			error = -ENOSPC;
		for (int kind = 0; !error && at && kind < KINDS; kind++)
			new_pages[(size_t)at * KINDS + kind] += own[kind];
	}
	*new_sets = error ? new_room + 1 : to.sets;
	free(groups);
	free(to.table);
	return error;
}

// Adds what hangs below each set of a path to its zone's row, for all zones further up; sets that another path has
// had are passed over (below 0). One half of the matrix only, whichever it is: so all the writes of a set lie in one
// row.
static void pairs_add_path(const uint32_t *path, size_t length, const uint32_t *zone_at, uint64_t *below, uint32_t zones,
			   uint64_t *shared)
{
	for (size_t i = 0; i < length && below[path[i]]; i++) {
		uint64_t *row = shared + (size_t)zone_at[i] * zones, pages = below[path[i]];
		for (size_t up = i; up < length; up++)
			row[zone_at[up]] += pages;
		below[path[i]] = 0;
	}
}

int parts_pairs(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
		uint32_t zones, uint64_t *shared)
{
	uint64_t *below = calloc(sets ? sets : 1, sizeof(*below));
	uint32_t *path = malloc((zones + 1) * sizeof(*path)), *zone_at = malloc((zones + 1) * sizeof(*zone_at));
	int error = below && path && zone_at ? 0 : -ENOMEM;
	memset(shared, 0, (size_t)zones * zones * sizeof(*shared));
	for (uint32_t set = sets; !error && set-- > 1;) {
		const uint64_t *own = pages + (size_t)set * KINDS;
		below[set] += own[KIND_ANON] + own[KIND_FILE] + own[KIND_SHMEM];
		below[parent[set]] += below[set];
	}
	for (uint32_t set = sets; !error && set-- > 1;) {
		size_t length = 0;
		if (!below[set])
			continue;
		for (uint32_t up = set; up; up = parent[up], length++) {
			path[length] = up;
			zone_at[length] = zone[up];
		}
		pairs_add_path(path, length, zone_at, below, zones, shared);
	}
	for (size_t one = 0; !error && one < zones; one++)
		for (size_t other = 0; other < one; other++) {
			uint64_t both = shared[one * zones + other] + shared[other * zones + one];
			shared[one * zones + other] = shared[other * zones + one] = both;
		}
	free(below);
	free(path);
	free(zone_at);
	return error;
}
