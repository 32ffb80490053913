// Parts summed up over a tree of zones: what each node and all below it map, every frame once. Pure.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

struct tree {
	const uint32_t *parent; // of each node; the root is its own
	uint32_t *stamp; // the last part that was counted at a node
	uint32_t *depth;
};

static uint32_t common_ancestor(const struct tree *tree, uint32_t a, uint32_t b)
{
	while (a != b) {
		uint32_t *lower = tree->depth[a] < tree->depth[b] ? &b : &a;
		*lower = tree->parent[*lower];
	}
	return a;
}

static void add(uint64_t *to, const uint64_t *pages)
{
	for (int kind = 0; kind < KINDS; kind++)
		to[kind] += pages[kind];
}

// One part: once to every node above any of its zones; to those above all of them as their own.
static void tree_add_part(struct tree *tree, uint32_t set, const uint32_t *parent, const uint32_t *zone,
			  const uint64_t *pages, const uint32_t *node_of, struct zone_sum *sums)
{
	uint32_t zones = 0, top = node_of[zone[set]];
	for (uint32_t at = set; at; at = parent[at], zones++) {
		uint32_t node = node_of[zone[at]];
		top = common_ancestor(tree, top, node);
		for (; tree->stamp[node] != set; node = tree->parent[node]) {
			tree->stamp[node] = set;
			add(sums[node].mapped, pages);
		}
	}
	add(sums[top].exclusive, pages);
	for (uint32_t at = set; at; at = parent[at])
		for (int kind = 0; kind < KINDS; kind++)
			sums[node_of[zone[at]]].proportional[kind] += (double)pages[kind] / zones;
}

static int part_empty(const uint64_t *pages)
{
	for (int kind = 0; kind < KINDS; kind++)
		if (pages[kind])
			return 0;
	return 1;
}

int parts_tree(uint32_t sets, const uint32_t *parent, const uint32_t *zone, const uint64_t *pages,
	       const uint32_t *node_of, uint32_t nodes, const uint32_t *node_parent, struct zone_sum *sums)
{
	struct tree tree = { .parent = node_parent };
	tree.stamp = calloc(nodes ? nodes : 1, sizeof(*tree.stamp));
	tree.depth = calloc(nodes ? nodes : 1, sizeof(*tree.depth));
	int error = tree.stamp && tree.depth ? 0 : -ENOMEM;
	memset(sums, 0, nodes * sizeof(*sums));
	for (uint32_t node = 1; !error && node < nodes; node++) {
		if (node_parent[node] >= node)
			error = -EINVAL;
		else
			tree.depth[node] = tree.depth[node_parent[node]] + 1;
	}
	for (uint32_t set = 1; !error && set < sets; set++)
		if (!part_empty(pages + (size_t)set * KINDS))
			tree_add_part(&tree, set, parent, zone, pages + (size_t)set * KINDS, node_of, sums);
	for (uint32_t node = nodes; !error && node-- > 1;) {
		add(sums[node_parent[node]].exclusive, sums[node].exclusive);
		for (int kind = 0; kind < KINDS; kind++)
			sums[node_parent[node]].proportional[kind] += sums[node].proportional[kind];
	}
	free(tree.stamp);
	free(tree.depth);
	return error;
}
