// What every frame of the machine is, by /proc/kpageflags and, of frames that the census has not met, /proc/kpagecount.
//
// Flags of a huge page's tails are on some kernels its own and on others its head's (fs/proc/page.c, stable_page_flags(): by
// folio since Linux 6.10). The head comes before its tails, so what it says is kept for them.

#include "ram.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "marker.h"
#include "pageflags.h"
#include "payer_rows.h"

#define BLOCK_FRAMES 4096
#define CLASS_KINDS 4 // of enum kind, in the classes that have them
#define BIT(flag) (UINT64_C(1) << (flag))

// What only memory of files and processes has, of the flags that a head says for its tails.
#define CACHE_FLAGS \
	(BIT(KPF_UPTODATE) | BIT(KPF_DIRTY) | BIT(KPF_LRU) | BIT(KPF_ACTIVE) | BIT(KPF_WRITEBACK) | BIT(KPF_SWAPBACKED))
#define HEAD_FLAGS                                                                                             \
	(CACHE_FLAGS | BIT(KPF_SLAB) | BIT(KPF_ANON) | BIT(KPF_SWAPCACHE) | BIT(KPF_HUGE) | BIT(KPF_OFFLINE) | \
	 BIT(KPF_ZERO_PAGE))

struct ram {
	const struct census *census;
	const struct ram_source *source;
	uint64_t head;	     // flags of the head of the huge page that the frame before was of
	uint64_t head_payer; // and who is charged for it, which until Linux 6.3 its head alone tells
	uint64_t *pages;
	struct payer_rows payers;
};

// Words of a block of frames. Beyond what a file has they are 0.
struct block {
	uint64_t count;
	const frame_word *words; // of the census; NULL: it has met none of them
	uint64_t flags[BLOCK_FRAMES], counts[BLOCK_FRAMES], inodes[BLOCK_FRAMES];
};

// What a frame is that the kernel has a use of its own for, or none; FRAMES_CLASSES: it may be a process' or a file's.
static enum frames_class own_class(uint64_t flags)
{
	if (flags & BIT(KPF_NOPAGE))
		return FRAMES_ABSENT;
	if (flags & BIT(KPF_HWPOISON))
		return FRAMES_POISONED;
	if (flags & BIT(KPF_BUDDY))
		return FRAMES_FREE;
	if (flags & BIT(KPF_OFFLINE))
		return FRAMES_OFFLINE;
	if (flags & BIT(KPF_PGTABLE))
		return FRAMES_PAGE_TABLES;
	if (flags & BIT(KPF_SLAB))
		return FRAMES_SLAB; // before KPF_ANON: on some kernels slab pages read as anon, too
	return FRAMES_CLASSES;
}

// Of a frame of which own_class() says nothing, by its flags alone.
static int kind_of_flags(uint64_t flags)
{
	if (flags & BIT(KPF_HUGE))
		return KIND_HUGETLB;
	if (flags & (BIT(KPF_ANON) | BIT(KPF_SWAPCACHE)))
		return KIND_ANON;
	if (!(flags & CACHE_FLAGS))
		return KINDS;
	return flags & BIT(KPF_SWAPBACKED) ? KIND_SHMEM : KIND_FILE;
}

// A frame that the census has met; FRAMES_CLASSES: it is nobody's by now.
static enum frames_class zones_class(uint64_t flags, uint32_t kind)
{
	if (flags & BIT(KPF_RESERVED))
		return FRAMES_ZONES_RESERVED;
	if (kind_of_flags(flags) != KINDS)
		return kind < KIND_SWAP ? FRAMES_ZONES_ANON + kind : FRAMES_CLASSES;
	return flags & BIT(KPF_MMAP) ? FRAMES_ZONES_KERNEL : FRAMES_CLASSES;
}

// A frame that no zone maps. count: how often anybody does.
static enum frames_class bare_class(uint64_t flags, uint64_t count)
{
	if (flags & BIT(KPF_RESERVED))
		return FRAMES_RESERVED;
	if (flags & BIT(KPF_ZERO_PAGE))
		return FRAMES_ZERO;
	int kind = kind_of_flags(flags);
	if (kind == KINDS)
		return FRAMES_KERNEL;
	return (count ? FRAMES_OTHERS_ANON : FRAMES_BARE_ANON) + kind;
}

// A frame by its own flags and those of its head.
static uint64_t flags_of(struct ram *ram, uint64_t flags)
{
	if (!(flags & BIT(KPF_COMPOUND_TAIL)))
		ram->head = flags & BIT(KPF_COMPOUND_HEAD) ? flags & HEAD_FLAGS : 0;
	else
		flags |= ram->head;
	return flags;
}

static const frame_word *census_words(const struct census *census, uint64_t first)
{
	const frame_word *chunk = first < SWAP_FRAMES ? census_chunk(census, first >> CHUNK_BITS) : NULL;
	return chunk ? chunk + (first & (CHUNK_FRAMES - 1)) : NULL;
}

static uint32_t block_set(const struct ram *ram, const struct block *block, uint64_t i)
{
	if (!block->words)
		return 0;
	return set_of(ram->census, atomic_load_explicit(&block->words[i], memory_order_relaxed));
}

static enum frames_class class_of(const struct ram *ram, const struct block *block, uint64_t i, uint64_t flags)
{
	enum frames_class class = own_class(flags);
	if (class == FRAMES_CLASSES && block_set(ram, block, i))
		class = zones_class(flags, word_kind(atomic_load_explicit(&block->words[i], memory_order_relaxed)));
	return class == FRAMES_CLASSES ? bare_class(flags, block->counts[i]) : class;
}

// Who is charged for a frame.
static uint64_t payer_of(struct ram *ram, const struct block *block, uint64_t i)
{
	bool tail = block->flags[i] & BIT(KPF_COMPOUND_TAIL);
	if (!tail)
		ram->head_payer = block->inodes[i];
	return tail && !block->inodes[i] ? ram->head_payer : block->inodes[i];
}

static int block_count(struct ram *ram, const struct block *block)
{
	int error = 0;
	for (uint64_t i = 0; !error && i < block->count; i++) {
		enum frames_class class = class_of(ram, block, i, flags_of(ram, block->flags[i]));
		uint64_t inode = payer_of(ram, block, i);
		ram->pages[class]++;
		if (ram->source->kpagecgroup >= 0 && class <= FRAMES_BARE_HUGETLB)
			error = payer_rows_count(&ram->payers, class / CLASS_KINDS, class % CLASS_KINDS, inode);
	}
	return error;
}

// Does anybody but the zones map a frame of this block?
static bool block_has_others(const struct ram *ram, const struct block *block)
{
	for (uint64_t i = 0; i < block->count; i++)
		if (block->flags[i] & BIT(KPF_MMAP) && !block_set(ram, block, i))
			return true;
	return false;
}

// The block of at most so many frames that begins here and lies in one chunk of the census. 0, also where there are no such
// frames any more, or a negative errno.
static int block_read(const struct ram *ram, struct block *block, uint64_t first, uint64_t most)
{
	uint64_t room = BLOCK_FRAMES - first % BLOCK_FRAMES;
	int64_t count = kpage_words(ram->source->kpageflags, first, block->flags, most < room ? most : room);
	block->count = count > 0 ? count : 0;
	block->words = census_words(ram->census, first);
	memset(block->counts, 0, sizeof(block->counts));
	memset(block->inodes, 0, sizeof(block->inodes));
	if (count > 0 && ram->source->kpagecount >= 0 && block_has_others(ram, block))
		count = kpage_words(ram->source->kpagecount, first, block->counts, block->count);
	if (count >= 0 && block->count && ram->source->kpagecgroup >= 0)
		count = kpage_words(ram->source->kpagecgroup, first, block->inodes, block->count);
	return count < 0 ? count : 0;
}

static int range_count(struct ram *ram, struct block *block, const struct frame_range *range)
{
	int error = 0;
	for (uint64_t done = 0; !error && done < range->count; done += block->count) {
		error = block_read(ram, block, range->first + done, range->count - done);
		if (error || !block->count)
			break;
		error = block_count(ram, block);
	}
	return error;
}

int census_ram(const struct census *census, const struct ram_source *source, uint64_t *pages, struct payer **payers,
	       size_t *payer_count)
{
	struct ram ram = { .census = census, .source = source, .pages = pages };
	struct block *block = malloc(sizeof(*block));
	int error = block ? 0 : -ENOMEM;
	memset(pages, 0, FRAMES_CLASSES * sizeof(*pages));
	for (size_t i = 0; !error && i < source->ram_ranges; i++)
		error = range_count(&ram, block, &source->ram[i]);
	free(block);
	return payer_rows_finish(&ram.payers, error, payers, payer_count);
}
