// Sums over parts. What an owner maps is what hangs below the sets that add it, so every sum here is one pass over the tree,
// or one over the path of each part.

#include "parts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

int parts_create(uint32_t owners, uint32_t sets, struct parts **ret)
{
	struct parts *parts = calloc(1, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	size_t room = sets ? sets : 1;
	*parts = (struct parts){ .owners = owners, .sets = sets };
	parts->parent = calloc(room, sizeof(*parts->parent));
	parts->owner = calloc(room, sizeof(*parts->owner));
	parts->pages = calloc(room, sizeof(*parts->pages));
	if (!parts->parent || !parts->owner || !parts->pages) {
		parts_free(parts);
		return -ENOMEM;
	}
	*ret = parts;
	return 0;
}

void parts_free(struct parts *parts)
{
	if (!parts)
		return;
	free(parts->parent);
	free(parts->owner);
	free(parts->pages);
	free(parts);
}

static bool is_empty(const uint64_t *pages)
{
	for (int kind = 0; kind < KINDS; kind++)
		if (pages[kind])
			return false;
	return true;
}

static void add(uint64_t *to, const uint64_t *pages)
{
	for (int kind = 0; kind < KINDS; kind++)
		to[kind] += pages[kind];
}

static void add_shares(double *to, const double *shares)
{
	for (int kind = 0; kind < KINDS; kind++)
		to[kind] += shares[kind];
}

int parts_sum(const struct parts *parts, struct owner_sum *sums)
{
	size_t room = parts->sets ? parts->sets : 1;
	uint64_t(*below)[KINDS] = malloc(room * sizeof(*below));
	double(*share)[KINDS] = calloc(room, sizeof(*share));
	uint32_t *depth = calloc(room, sizeof(*depth));
	int error = below && share && depth ? 0 : -ENOMEM;
	memset(sums, 0, parts->owners * sizeof(*sums));
	if (!error)
		memcpy(below, parts->pages, parts->sets * sizeof(*below));
	for (uint32_t set = 1; !error && set < parts->sets; set++) {
		depth[set] = depth[parts->parent[set]] + 1;
		for (int kind = 0; kind < KINDS; kind++)
			share[set][kind] = (double)parts->pages[set][kind] / depth[set];
	}
	for (uint32_t set = parts->sets; !error && set-- > 1;) {
		struct owner_sum *sum = &sums[parts->owner[set]];
		uint32_t parent = parts->parent[set];
		add(sum->mapped, below[set]);
		add_shares(sum->proportional, share[set]);
		if (!parent)
			add(sum->exclusive, parts->pages[set]);
		add(below[parent], below[set]);
		add_shares(share[parent], share[set]);
	}
	free(below);
	free(share);
	free(depth);
	return error;
}

void parts_together(const struct parts *parts, const uint8_t *chosen, struct owner_sum *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint32_t set = 1; set < parts->sets; set++) {
		bool any = false, all = true;
		if (is_empty(parts->pages[set]))
			continue;
		for (uint32_t at = set; at; at = parts->parent[at]) {
			any |= chosen[parts->owner[at]] != 0;
			all &= chosen[parts->owner[at]] != 0;
		}
		if (any)
			add(sum->mapped, parts->pages[set]);
		if (all)
			add(sum->exclusive, parts->pages[set]);
	}
}

uint32_t parts_filled(const struct parts *parts, uint32_t *filled)
{
	uint32_t count = 0;
	for (uint32_t set = 1; set < parts->sets; set++)
		if (!is_empty(parts->pages[set]))
			filled[count++] = set;
	return count;
}

int64_t parts_members(const struct parts *parts, const uint32_t *numbers, uint32_t count, uint64_t *ends,
		      uint32_t *members, uint64_t room)
{
	size_t words = parts->owners / 64 + 1;
	uint64_t *there = calloc(words, sizeof(*there)), total = 0;
	if (!there)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t set = numbers[i]; set; set = parts->parent[set])
			there[parts->owner[set] / 64] |= UINT64_C(1) << parts->owner[set] % 64;
		for (size_t word = 0; word < words; word++)
			for (; there[word]; there[word] &= there[word] - 1, total++)
				if (total < room)
					members[total] = word * 64 + __builtin_ctzll(there[word]);
		ends[i] = total;
	}
	free(there);
	return total;
}

// ---- new trees: each part's path is followed down one, which grows by it ----

struct node {
	uint32_t parent, owner;
	uint64_t pages[KINDS];
};

struct parts_builder {
	struct node *nodes;
	size_t room;
	struct table table; // nodes, by parent and owner
};

static uint64_t node_hash(const void *nodes, uint32_t index)
{
	const struct node *node = (const struct node *)nodes + index;
	return hash_pair(node->parent, node->owner);
}

static bool node_same(const void *nodes, uint32_t index, const void *key)
{
	const struct node *node = (const struct node *)nodes + index, *wanted = key;
	return node->parent == wanted->parent && node->owner == wanted->owner;
}

// The child of a set for an owner, made if it is new; TABLE_NONE: no memory.
static uint32_t child_of(struct parts_builder *to, uint32_t parent, uint32_t owner)
{
	struct node wanted = { .parent = parent, .owner = owner };
	return TABLE_ROW(to->table, to->nodes, to->room, node_hash, node_same, &wanted);
}

int parts_builder_create(struct parts_builder **ret)
{
	struct parts_builder *builder = calloc(1, sizeof(*builder));
	if (!builder)
		return -ENOMEM;
	if (child_of(builder, 0, UINT32_MAX) == TABLE_NONE) { // the empty set
		parts_builder_free(builder);
		return -ENOMEM;
	}
	*ret = builder;
	return 0;
}

void parts_builder_free(struct parts_builder *builder)
{
	if (!builder)
		return;
	free(builder->nodes);
	table_free(&builder->table);
	free(builder);
}

int parts_builder_add(struct parts_builder *builder, const uint32_t *owners, size_t count, const uint64_t *pages)
{
	uint32_t at = 0;
	for (size_t i = 0; i < count; i++)
		if ((at = child_of(builder, at, owners[i])) == TABLE_NONE)
			return -ENOMEM;
	if (at)
		add(builder->nodes[at].pages, pages);
	return 0;
}

int parts_builder_parts(const struct parts_builder *builder, uint32_t owners, struct parts **ret)
{
	uint32_t sets = builder->table.count;
	int error = parts_create(owners, sets, ret);
	for (uint32_t set = 0; !error && set < sets; set++) {
		(*ret)->parent[set] = builder->nodes[set].parent;
		(*ret)->owner[set] = builder->nodes[set].owner;
		memcpy((*ret)->pages[set], builder->nodes[set].pages, sizeof(builder->nodes[set].pages));
	}
	return error;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

// Groups of one part, sorted, each once.
static size_t groups_of(const struct parts *parts, uint32_t set, const uint32_t *group_of, uint32_t *groups)
{
	size_t count = 0, kept = 0;
	bool ascending = true;
	for (; set; set = parts->parent[set]) {
		uint32_t group = group_of[parts->owner[set]];
		if (group == UINT32_MAX)
			continue;
		ascending &= !count || groups[count - 1] < group;
		groups[count++] = group;
	}
	if (ascending)
		return count;
	qsort(groups, count, sizeof(*groups), compare_u32);
	for (size_t i = 0; i < count; i++)
		if (!i || groups[i] != groups[i - 1])
			groups[kept++] = groups[i];
	return kept;
}

// groups: room for a part's owners. 0 or -ENOMEM.
static int project_all(const struct parts *parts, const uint32_t *group_of, uint32_t kinds, uint32_t *groups,
		       struct parts_builder *to)
{
	for (uint32_t set = 1; set < parts->sets; set++) {
		uint64_t pages[KINDS];
		for (int kind = 0; kind < KINDS; kind++)
			pages[kind] = kinds >> kind & 1 ? parts->pages[set][kind] : 0;
		if (is_empty(pages))
			continue;
		size_t count = groups_of(parts, set, group_of, groups);
		if (parts_builder_add(to, groups, count, pages))
			return -ENOMEM;
	}
	return 0;
}

int parts_project(const struct parts *parts, const uint32_t *group_of, uint32_t groups, struct parts **ret)
{
	struct parts_builder *to;
	int error = parts_builder_create(&to);
	if (error)
		return error;
	uint32_t *path = malloc((parts->owners + UINT64_C(1)) * sizeof(*path));
	error = path ? project_all(parts, group_of, UINT32_MAX, path, to) : -ENOMEM;
	if (!error)
		error = parts_builder_parts(to, groups, ret);
	free(path);
	parts_builder_free(to);
	return error;
}

// Each owner its own group; NULL: no memory.
static uint32_t *same_groups(const struct parts *parts)
{
	uint32_t *same = malloc((parts->owners + UINT64_C(1)) * sizeof(*same));
	for (uint32_t owner = 0; same && owner < parts->owners; owner++)
		same[owner] = owner;
	return same;
}

int parts_builder_add_all(struct parts_builder *builder, const struct parts *parts, uint32_t kinds)
{
	uint32_t *same = same_groups(parts);
	uint32_t *path = malloc((parts->owners + UINT64_C(1)) * sizeof(*path));
	int error = same && path ? project_all(parts, same, kinds, path, builder) : -ENOMEM;
	free(same);
	free(path);
	return error;
}

// ---- pairs ----

// One owner's row at a time: what hangs below each set that adds the owner is shared with every owner further up. Where
// owners ascend along every path, a row is complete once all sets of its owner have been seen, and needs no matrix.

struct pairs {
	uint64_t *below;    // [sets]: pages of a set and all sets below it
	uint32_t *of_owner; // the sets, by owner
	uint32_t *begin;    // [owners + 1]: where those of each owner begin
	uint64_t *row;	    // [owners]
	struct pair *heap;  // the largest so far, the least of them first
	uint64_t room, count;
};

// Whether a is to be shown before b.
static bool pair_before(const struct pair *a, const struct pair *b)
{
	if (a->pages != b->pages)
		return a->pages > b->pages;
	return a->one != b->one ? a->one < b->one : a->other < b->other;
}

static int compare_pairs(const void *a, const void *b)
{
	return pair_before(a, b) ? -1 : 1;
}

static void heap_down(struct pair *heap, uint64_t count)
{
	for (uint64_t at = 0, child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && pair_before(&heap[child], &heap[child + 1]))
			child++;
		if (!pair_before(&heap[at], &heap[child]))
			return;
		struct pair lower = heap[at];
		heap[at] = heap[child];
		heap[child] = lower;
	}
}

static void heap_up(struct pair *heap, uint64_t at)
{
	for (; at && pair_before(&heap[(at - 1) / 2], &heap[at]); at = (at - 1) / 2) {
		struct pair upper = heap[(at - 1) / 2];
		heap[(at - 1) / 2] = heap[at];
		heap[at] = upper;
	}
}

static void pairs_keep(struct pairs *pairs, struct pair found)
{
	if (pairs->count < pairs->room) {
		pairs->heap[pairs->count] = found;
		heap_up(pairs->heap, pairs->count);
	} else if (pairs->room && pair_before(&found, &pairs->heap[0])) {
		pairs->heap[0] = found;
		heap_down(pairs->heap, pairs->room);
	}
	pairs->count++;
}

static void pairs_add_row(struct pairs *pairs, const struct parts *parts, uint32_t owner)
{
	memset(pairs->row, 0, owner * sizeof(*pairs->row));
	for (uint32_t i = pairs->begin[owner]; i < pairs->begin[owner + 1]; i++) {
		uint64_t pages = pairs->below[pairs->of_owner[i]];
		if (!pages)
			continue;
		for (uint32_t up = parts->parent[pairs->of_owner[i]]; up; up = parts->parent[up])
			pairs->row[parts->owner[up]] += pages;
	}
	for (uint32_t one = 0; one < owner; one++)
		if (pairs->row[one])
			pairs_keep(pairs, (struct pair){ .one = one, .other = owner, .pages = pairs->row[one] });
}

static void pairs_begin(struct pairs *pairs, const struct parts *parts)
{
	for (uint32_t set = parts->sets; set-- > 1;) {
		const uint64_t *own = parts->pages[set];
		pairs->below[set] += own[KIND_ANON] + own[KIND_FILE] + own[KIND_SHMEM];
		pairs->below[parts->parent[set]] += pairs->below[set];
		pairs->begin[parts->owner[set]]++;
	}
	for (uint32_t owner = 0, sum = 0; owner <= parts->owners; owner++)
		pairs->begin[owner] = sum += pairs->begin[owner];
	for (uint32_t set = parts->sets; set-- > 1;)
		pairs->of_owner[--pairs->begin[parts->owner[set]]] = set;
}

static int pairs_of_ascending(const struct parts *parts, struct pairs *pairs)
{
	size_t sets = parts->sets ? parts->sets : 1;
	pairs->below = calloc(sets, sizeof(*pairs->below));
	pairs->of_owner = calloc(sets, sizeof(*pairs->of_owner));
	pairs->begin = calloc(parts->owners + UINT64_C(1), sizeof(*pairs->begin));
	pairs->row = calloc(parts->owners + UINT64_C(1), sizeof(*pairs->row));
	int error = pairs->below && pairs->of_owner && pairs->begin && pairs->row ? 0 : -ENOMEM;
	if (!error)
		pairs_begin(pairs, parts);
	for (uint32_t owner = 1; !error && owner < parts->owners; owner++)
		pairs_add_row(pairs, parts, owner);
	free(pairs->below);
	free(pairs->of_owner);
	free(pairs->begin);
	free(pairs->row);
	return error;
}

static bool is_ascending(const struct parts *parts)
{
	for (uint32_t set = 1; set < parts->sets; set++)
		if (parts->parent[set] && parts->owner[parts->parent[set]] >= parts->owner[set])
			return false;
	return true;
}

static int parts_ascending(const struct parts *parts, struct parts **ret)
{
	uint32_t *same = same_groups(parts);
	int error = same ? parts_project(parts, same, parts->owners, ret) : -ENOMEM;
	free(same);
	return error;
}

int64_t parts_pairs(const struct parts *parts, struct pair *largest, uint64_t room)
{
	struct pairs pairs = { .heap = largest, .room = room };
	struct parts *ascending = NULL;
	int error = is_ascending(parts) ? 0 : parts_ascending(parts, &ascending);
	if (!error)
		error = pairs_of_ascending(ascending ? ascending : parts, &pairs);
	parts_free(ascending);
	if (error)
		return error;
	qsort(largest, pairs.count < room ? pairs.count : room, sizeof(*largest), compare_pairs);
	return pairs.count;
}

// ---- a tree above the owners ----

struct tree {
	const uint32_t *parent; // of each node; the root is its own
	uint32_t *stamp;	// the last part that was counted at a node
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

// One part: once to every node above any of its owners; to those above all of them as their own.
static void tree_add_part(struct tree *tree, const struct parts *parts, uint32_t set, const uint32_t *node_of,
			  struct owner_sum *sums)
{
	const uint64_t *pages = parts->pages[set];
	uint32_t owners = 0, top = node_of[parts->owner[set]];
	for (uint32_t at = set; at; at = parts->parent[at], owners++) {
		uint32_t node = node_of[parts->owner[at]];
		top = common_ancestor(tree, top, node);
		for (; tree->stamp[node] != set; node = tree->parent[node]) {
			tree->stamp[node] = set;
			add(sums[node].mapped, pages);
		}
	}
	add(sums[top].exclusive, pages);
	for (uint32_t at = set; at; at = parts->parent[at])
		for (int kind = 0; kind < KINDS; kind++)
			sums[node_of[parts->owner[at]]].proportional[kind] += (double)pages[kind] / owners;
}

static int tree_depths(const struct tree *tree, uint32_t nodes)
{
	for (uint32_t node = 1; node < nodes; node++) {
		if (tree->parent[node] >= node)
			return -EINVAL;
		tree->depth[node] = tree->depth[tree->parent[node]] + 1;
	}
	return 0;
}

int parts_tree(const struct parts *parts, const uint32_t *node_of, uint32_t nodes, const uint32_t *node_parent,
	       struct owner_sum *sums)
{
	struct tree tree = { .parent = node_parent };
	tree.stamp = calloc(nodes ? nodes : 1, sizeof(*tree.stamp));
	tree.depth = calloc(nodes ? nodes : 1, sizeof(*tree.depth));
	int error = tree.stamp && tree.depth ? tree_depths(&tree, nodes) : -ENOMEM;
	memset(sums, 0, nodes * sizeof(*sums));
	for (uint32_t set = 1; !error && set < parts->sets; set++)
		if (!is_empty(parts->pages[set]))
			tree_add_part(&tree, parts, set, node_of, sums);
	for (uint32_t node = nodes; !error && node-- > 1;) {
		add(sums[node_parent[node]].exclusive, sums[node].exclusive);
		add_shares(sums[node_parent[node]].proportional, sums[node].proportional);
	}
	free(tree.stamp);
	free(tree.depth);
	return error;
}
