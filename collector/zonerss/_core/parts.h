// The parts of a census, and sums over them. Pure.
//
// A part is a set of owners and the pages whose frames exactly these owners map. The sets form a tree: set 0 is the empty
// one, every other set is its parent's and one owner more; parents come before children, and no two sets are equal.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kinds.h"

struct parts {
	uint32_t owners;
	uint32_t sets;
	uint32_t *parent;	  // [sets]
	uint32_t *owner;	  // [sets]: the one that the set has and its parent has not
	uint64_t (*pages)[KINDS]; // [sets]
};

// What one owner maps, in pages; exclusive: mapped by no other owner; proportional: each page divided by its owners.
struct owner_sum {
	uint64_t mapped[KINDS];
	uint64_t exclusive[KINDS];
	double proportional[KINDS];
};

// Parts of nothing, with room for so many sets, to be filled by the caller. 0 or -ENOMEM.
int parts_create(uint32_t owners, uint32_t sets, struct parts **ret);
void parts_free(struct parts *parts);

// sums: one for each owner, filled here. 0 or -ENOMEM.
int parts_sum(const struct parts *parts, struct owner_sum *sums);

// What some owners map, taken as one. chosen: [owners], not 0 for these. sum: mapped and exclusive are filled.
void parts_together(const struct parts *parts, const uint8_t *chosen, struct owner_sum *sum);

// The sets that hold pages, ascending; filled: room for all sets. Returns their number.
uint32_t parts_filled(const struct parts *parts, uint32_t *filled);

// The owners of some sets, ascending: those of numbers[i] are members[ends[i - 1]] to members[ends[i] - 1], from 0 on
// for the first. Returns how many there are in all, of which at most room are written, or -ENOMEM.
int64_t parts_members(const struct parts *parts, const uint32_t *numbers, uint32_t count, uint64_t *ends,
		      uint32_t *members, uint64_t room);

// The same parts seen through coarser owners, in *ret. group_of: [owners], the group of each owner, 0 to groups-1, or
// UINT32_MAX for "leave this owner out". 0 or -ENOMEM.
int parts_project(const struct parts *parts, const uint32_t *group_of, uint32_t groups, struct parts **ret);

// Parts that are being put together.
struct parts_builder;

int parts_builder_create(struct parts_builder **ret); // 0 or -ENOMEM
void parts_builder_free(struct parts_builder *builder);

// Adds to the pages ([KINDS]) that exactly these owners map; owners: ascending, each once. 0 or -ENOMEM.
int parts_builder_add(struct parts_builder *builder, const uint32_t *owners, size_t count, const uint64_t *pages);

// Adds all parts of others, but only pages of some kinds: the bits 1 << kind. 0 or -ENOMEM.
int parts_builder_add_all(struct parts_builder *builder, const struct parts *parts, uint32_t kinds);

// What was added, in *ret; owners: how many there are. 0 or -ENOMEM.
int parts_builder_parts(const struct parts_builder *builder, uint32_t owners, struct parts **ret);

// What two owners both map.
struct pair {
	uint32_t one, other; // owners; one is the lower
	uint64_t pages;	     // of the kinds anon, file and shmem
};

// The owners that map pages in common, the most pages first, equal ones by number; largest: room for so many. Returns how
// many there are in all, of which at most room are written, or -ENOMEM. Needs memory by owners, not by pairs.
int64_t parts_pairs(const struct parts *parts, struct pair *largest, uint64_t room);

// Sums for a tree above the owners. node_of: [owners], the node of each owner; node_parent: of each node, lower than its own
// number; node 0 is the root, its own parent. sums: [nodes], filled with what each node and all below it map, every frame
// once; exclusive: mapped by no owner elsewhere. 0, -ENOMEM, or -EINVAL for a parent that is not lower.
int parts_tree(const struct parts *parts, const uint32_t *node_of, uint32_t nodes, const uint32_t *node_parent,
	       struct owner_sum *sums);
