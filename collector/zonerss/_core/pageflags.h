// What a frame is, by /proc/kpageflags (include/uapi/linux/kernel-page-flags.h), and what a word of pagemap says.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "kinds.h"
#include "marker.h"

// Bits of a word of pagemap (Documentation/admin-guide/mm/pagemap.rst). Bits 0-54 are the frame, or the type (0-4) and the
// offset (5-54) of a swap entry.
#define WORD_PRESENT (UINT64_C(1) << 63)
#define WORD_SWAP (UINT64_C(1) << 62)
#define WORD_FILE (UINT64_C(1) << 61)
#define WORD_ALONE (UINT64_C(1) << 56) // mapped here and nowhere else
#define WORD_PFN ((UINT64_C(1) << 55) - 1)
#define SWAP_TYPE_BITS 5
// Types from here on are no swap areas but entries under migration, markers and the like: with every option that
// takes types away, MAX_SWAPFILES of include/linux/swap.h is 23.
#define SWAP_TYPES 23
#define SWAP_TYPE_MARKER 31

enum kpage_flag {
	KPF_UPTODATE = 3,
	KPF_DIRTY = 4,
	KPF_LRU = 5,
	KPF_ACTIVE = 6,
	KPF_SLAB = 7,
	KPF_WRITEBACK = 8,
	KPF_BUDDY = 10,
	KPF_MMAP = 11,
	KPF_ANON = 12,
	KPF_SWAPCACHE = 13,
	KPF_SWAPBACKED = 14,
	KPF_COMPOUND_HEAD = 15,
	KPF_COMPOUND_TAIL = 16,
	KPF_HUGE = 17,
	KPF_HWPOISON = 19,
	KPF_NOPAGE = 20,
	KPF_OFFLINE = 23, // Linux 5.1; a balloon's page before that
	KPF_ZERO_PAGE = 24,
	KPF_PGTABLE = 26,  // Linux 4.18
	KPF_RESERVED = 32, // from here on for those who know the kernel: include/linux/kernel-page-flags.h
};

#define FLAGS_AT_ONCE 512

// What is known of an entry beside the flags of its frame.
enum entry_says { SAYS_NOTHING, SAYS_ANON, SAYS_FILE };

static inline bool kpage_has(uint64_t flags, enum kpage_flag flag)
{
	return flags >> flag & 1;
}

// A page of a large folio that is not hugetlb's: without CONFIG_PAGE_MAPCOUNT nobody knows how often it is mapped by itself.
static inline bool kpage_is_large(uint64_t flags)
{
	return (kpage_has(flags, KPF_COMPOUND_HEAD) || kpage_has(flags, KPF_COMPOUND_TAIL)) &&
	       !kpage_has(flags, KPF_HUGE);
}

static inline uint32_t word_swap_type(uint64_t word)
{
	return word & ((1 << SWAP_TYPE_BITS) - 1);
}

// Is this the word of a page in a swap area?
static inline bool word_is_swap(uint64_t word)
{
	return !(word & WORD_PRESENT) && word & WORD_SWAP && word_swap_type(word) < SWAP_TYPES;
}

// The number of a swap slot among the frames of the census, above all frames.
static inline uint64_t swap_frame(uint64_t type, uint64_t offset)
{
	return SWAP_FRAMES + (type << 35 | (offset & ((UINT64_C(1) << 35) - 1)));
}

static inline uint64_t word_swap_frame(uint64_t word)
{
	return swap_frame(word_swap_type(word), (word & WORD_PFN) >> SWAP_TYPE_BITS);
}

// enum kind, PAGE_ZERO or PAGE_DEVICE. Where the entry says of which sort its page is, that stands: flags may be those of the
// frame's next use. SLAB is asked first: on some kernels slab pages read as anon, too.
static inline int kind_by_flags(uint64_t flags, enum entry_says says)
{
	bool none = kpage_has(flags, KPF_NOPAGE) || kpage_has(flags, KPF_SLAB), anon = kpage_has(flags, KPF_ANON);
	if (!none && kpage_has(flags, KPF_ZERO_PAGE))
		return PAGE_ZERO;
	if (!none && kpage_has(flags, KPF_HUGE))
		return KIND_HUGETLB;
	if (says == SAYS_ANON || (says == SAYS_NOTHING && anon && !none))
		return anon && !none ? (int)KIND_ANON : (int)PAGE_DEVICE;
	return kpage_has(flags, KPF_SWAPBACKED) && !anon && !none ? KIND_SHMEM : KIND_FILE;
}

// Words of a file that has one for each frame (/proc/kpageflags, /proc/kpagecount, /proc/kpagecgroup), from a frame on. How many
// there are, at most count; or a negative errno: -EIO, too, where a read ends within a word, which the kernel's files never do.
static inline int64_t kpage_words(int fd, uint64_t pfn, uint64_t *words, size_t count)
{
	size_t done = 0;
	while (done < count) {
		ssize_t got = pread(fd, words + done, (count - done) * sizeof(*words), (pfn + done) * sizeof(*words));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EINVAL && !done ? 0 : -errno; // EINVAL: far beyond the last frame
		if (got % sizeof(*words))
			return -EIO;
		if (!got)
			break;
		done += got / sizeof(*words);
	}
	return done;
}

// Such a file. error: the last one met in reading it; 0: none.
struct kpages {
	int fd;
	int error;
};

// Words from a frame on. Returns how many there are, up to count; where reading fails none, and the error is noted.
static inline uint64_t kpages_read(struct kpages *file, uint64_t pfn, uint64_t *words, uint64_t count)
{
	int64_t done = kpage_words(file->fd, pfn, words, count);
	if (done >= 0)
		return done;
	file->error = -done;
	return 0;
}

// One word. false: beyond the last frame, or not to be read.
static inline bool kpage_read(struct kpages *file, uint64_t pfn, uint64_t *ret)
{
	return kpages_read(file, pfn, ret, 1) == 1;
}

// The flags of the head of a tail, which is as far below as its folio is large; 0: it is none any more, or not to be read.
static inline uint64_t kpage_head(struct kpages *kpageflags, uint64_t pfn)
{
	uint64_t below[FLAGS_AT_ONCE], count;
	for (; pfn; pfn -= count) {
		count = pfn < FLAGS_AT_ONCE ? pfn : FLAGS_AT_ONCE;
		if (kpages_read(kpageflags, pfn - count, below, count) != count)
			return 0;
		for (uint64_t i = count; i-- > 0;)
			if (!kpage_has(below[i], KPF_COMPOUND_TAIL))
				return kpage_has(below[i], KPF_COMPOUND_HEAD) ? below[i] : 0;
	}
	return 0;
}

// The flags of a frame for kind_by_flags(). Where the kernel tells flags by page, not by folio (Linux 6.1 does), the tail of a
// huge page does not say that it is swap-backed: its head does (fs/proc/page.c, stable_page_flags()).
static inline bool kpage_flags(struct kpages *kpageflags, uint64_t pfn, uint64_t *ret)
{
	if (!kpage_read(kpageflags, pfn, ret))
		return false;
	if (kpage_has(*ret, KPF_COMPOUND_TAIL) && !kpage_has(*ret, KPF_SWAPBACKED))
		*ret |= kpage_head(kpageflags, pfn) & (UINT64_C(1) << KPF_SWAPBACKED);
	return true;
}

// The same of a frame; where it has none it is not known to be anything: a file's page, or none of memory. Where they cannot be
// read the error is noted.
static inline int kind_of_frame(struct kpages *kpageflags, uint64_t pfn, enum entry_says says)
{
	uint64_t flags;
	if (kpage_flags(kpageflags, pfn, &flags))
		return kind_by_flags(flags, says);
	return says == SAYS_ANON ? (int)PAGE_DEVICE : (int)KIND_FILE;
}
