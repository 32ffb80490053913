// Loads bpf/pagetable.bpf.c into the kernel and finds out where the kernel keeps its map of all memory. All calls of bpf(2)
// are here.
//
// pagetable.lskel.h is what `bpftool gen skeleton -L` makes of the compiled program (bpf/build): a loader program and its
// data. The kernel runs the loader, which creates the maps and programs and looks the offsets of struct fields up in
// the BTF that the kernel has in memory. So libbpf is not needed at run time, only its headers to build this file.

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "entry_shapes.h"
#include "page_bytes.h"
#include "pagetable_object.h"
#include "../../../bpf/.output/pagetable.lskel.h"

#define SEARCH_BYTES (UINT64_C(1) << 46) // 64 TiB, all that 4-level tables of x86 can map

static int load(struct pagetable *pagetable)
{
	struct pagetable_bpf *bpf = pagetable->bpf = pagetable_bpf__open();
	if (!bpf)
		return -ENOMEM;
	bpf->maps.buffers.max_entries = pagetable->workers;
	int error = pagetable_bpf__load(bpf);
	if (error)
		return error;
	pagetable->state = &bpf->bss->state;
	void *buffers = mmap(NULL, (size_t)pagetable->workers * PAGETABLE_BUFFER_BYTES, PROT_READ | PROT_WRITE,
			     MAP_SHARED, bpf->maps.buffers.map_fd, 0);
	if (buffers == MAP_FAILED)
		return -errno;
	pagetable->buffers = buffers;
	return 0;
}

// An iterator over the VMAs of one thread; Linux 6.1 (f0d74c4da1f0). Where the first thread of a process has ended, another
// one is named, which is only found since 9495a5b731fc (6.12; backported to 6.6). To name the process instead would serve
// other kernels badly: every VMA is met once for each thread, and before 87abbf7a54f6 (6.7) the first living thread is
// passed over, so that of most such processes nothing is met.
int pagetable_iterate(const struct pagetable *pagetable, pid_t tid, int *link_fd)
{
	union bpf_iter_link_info info = {};
	union bpf_attr link = {}, iterator = {};
	info.task.tid = tid;
	link.link_create.prog_fd = pagetable->bpf->progs.walk_vma.prog_fd;
	link.link_create.attach_type = BPF_TRACE_ITER;
	link.link_create.iter_info = (uintptr_t)&info;
	link.link_create.iter_info_len = sizeof(info);
	*link_fd = skel_sys_bpf(BPF_LINK_CREATE, &link, sizeof(link));
	if (*link_fd < 0)
		return -errno;
	iterator.iter_create.link_fd = *link_fd;
	int fd = skel_sys_bpf(BPF_ITER_CREATE, &iterator, sizeof(iterator));
	if (fd < 0) {
		fd = -errno;
		close(*link_fd);
	}
	return fd;
}

// ---- what the kernel's page tables look like ----

// A page of our own that everything is tried out on.
struct own_page {
	uint64_t *memory; // two words of it are a secret
	uint64_t bytes;
	uint64_t frame;
};

// Where it is. 0: the kernel does not tell.
static uint64_t frame_of(int pagemap_fd, const struct own_page *own)
{
	uint64_t word = 0;
	if (pread(pagemap_fd, &word, sizeof(word), (uintptr_t)own->memory / own->bytes * sizeof(word)) != sizeof(word))
		return 0;
	return word >> 63 ? word & ((UINT64_C(1) << 55) - 1) : 0;
}

static int own_page_map(struct own_page *own)
{
	own->bytes = page_bytes();
	void *memory = mmap(NULL, own->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	own->memory = memory;
	return getrandom(memory, 16, 0) == 16 ? 0 : -EIO;
}

// Where memory ends, in frames.
static uint64_t ram_end(const struct pagetable *pagetable)
{
	const struct frame_range *last = &pagetable->memory->ranges[pagetable->memory->count - 1];
	return last->first + last->count;
}

// Lets the kernel look for the secret that lies in our page. A wrong base would show us any memory as if it were
// page tables; that 128 random bits are found in a wrong place will not happen.
static int find_base(struct pagetable *pagetable, const struct own_page *own, int *stage)
{
	struct pagetable_search *search = &pagetable->state->search;
	struct pagetable_settings *settings = &pagetable->state->settings;
	*stage = PAGETABLE_HIDDEN;
	if (!own->frame)
		return -EPERM;
	memcpy(search->secret, own->memory, sizeof(search->secret));
	search->physical = own->frame * own->bytes;
	search->shift = SEARCH_SHIFT;
	search->limit = (ram_end(pagetable) >> (SEARCH_SHIFT - pagetable->shape.page_shift)) + 2;
	if (search->limit > SEARCH_BYTES >> SEARCH_SHIFT)
		search->limit = SEARCH_BYTES >> SEARCH_SHIFT;
	*stage = PAGETABLE_BASE;
	union bpf_attr run = {};
	run.test.prog_fd = pagetable->bpf->progs.find_base.prog_fd;
	int error = skel_sys_bpf(BPF_PROG_RUN, &run, sizeof(run)) ? -errno : 0;
	memset(search->secret, 0, sizeof(search->secret));
	if (error)
		return error;
	if (!search->keeps_mm) {
		*stage = PAGETABLE_OLD_ITERATOR;
		return -EOPNOTSUPP;
	}
	settings->base = search->base;
	return search->base ? 0 : -ENXIO;
}

// Walk ourselves: the entry of our page. false: the walk met none of the last level there.
static bool own_entry(struct pagetable *pagetable, const struct own_page *own, uint64_t *entry)
{
	struct pagetable_worker *worker = &pagetable->state->workers[0];
	const struct pagetable_copy *copy = (const struct pagetable_copy *)pagetable->buffers;
	int link_fd;
	char byte;
	memset(worker, 0, sizeof(*worker));
	pagetable->state->readers[0].tid = gettid();
	worker->cursor = (uintptr_t)own->memory;
	int fd = pagetable_iterate(pagetable, gettid(), &link_fd);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, &byte, sizeof(byte));
	bool found = (got >= 0 || errno == EAGAIN) && worker->used && copy->address == (uintptr_t)own->memory &&
		     copy->shift == pagetable->shape.page_shift;
	if (found)
		*entry = *(const uint64_t *)(copy + 1);
	close(fd);
	close(link_fd);
	memset(worker, 0, sizeof(*worker));
	pagetable->state->readers[0] = (struct pagetable_reader){ 0 };
	return found;
}

// Is our page where pagemap says that it is?
static bool finds_self(struct pagetable *pagetable, const struct own_page *own)
{
	uint64_t entry = 0;
	return own_entry(pagetable, own, &entry) && entry & ENTRY_PRESENT &&
	       entry_pfn(&pagetable->shape, entry) == own->frame;
}

// A page that was made inaccessible tells how the kernel writes that, and with it how it writes what is in swap.
static bool finds_protnone(struct pagetable *pagetable, const struct own_page *own)
{
	uint64_t entry = 0;
	if (mprotect(own->memory, own->bytes, PROT_NONE))
		return false;
	bool found = own_entry(pagetable, own, &entry);
	mprotect(own->memory, own->bytes, PROT_READ | PROT_WRITE);
	return found && !(entry & ENTRY_PRESENT) && shape_of_protnone(&pagetable->shape, entry) &&
	       entry_pfn(&pagetable->shape, entry) == own->frame;
}

// How many levels the page tables have and which bits are an address is tried out on ourselves: /proc/cpuinfo would
// tell some of it, but slowly, and only the kernel knows what of it it uses.
static int find_shape(struct pagetable *pagetable, const struct own_page *own, int *stage)
{
	struct pagetable_settings *settings = &pagetable->state->settings;
	struct entry_shape *shape = &pagetable->shape;
	uint64_t masks[] = SHAPE_MASKS(shape->page_shift), last = ram_end(pagetable) - 1;
	*stage = PAGETABLE_BEYOND;
	for (size_t mask = 0; mask < sizeof(masks) / sizeof(*masks); mask++) {
		if (last & ~(masks[mask] >> shape->page_shift))
			continue;
		*stage = PAGETABLE_SELF;
		settings->frame_mask = shape->frame_mask = masks[mask];
		for (uint32_t levels = SHAPE_LEAST_LEVELS; levels <= SHAPE_MOST_LEVELS; levels++) {
			settings->levels = levels;
			shape->migration_mask = shape_migration_mask(shape->page_shift, levels, last);
			if (!finds_self(pagetable, own))
				continue;
			*stage = PAGETABLE_PROTNONE;
			return finds_protnone(pagetable, own) ? 0 : -ENXIO;
		}
	}
	return -ENXIO;
}

// What is the same on each machine of the architecture.
static void set_shape(struct pagetable *pagetable, const struct own_page *own)
{
	struct pagetable_settings *settings = &pagetable->state->settings;
	uint32_t page_shift = pagetable->shape.page_shift = __builtin_ctzll(own->bytes);
	settings->index_mask = own->bytes / sizeof(uint64_t) - 1; // a table is a page
	for (uint32_t level = 0; level < SHAPE_MOST_LEVELS; level++)
		settings->shifts[level] = page_shift + level * (page_shift - 3);
	settings->table_mask = ENTRY_TABLE_MASK;
	settings->table_value = ENTRY_TABLE_VALUE;
}

// ---- which frames are memory ----

static int larger_first(const void *a, const void *b)
{
	uint64_t x = ((const struct pagetable_ram *)a)->count, y = ((const struct pagetable_ram *)b)->count;
	return x < y ? 1 : x > y ? -1 : 0;
}

// What the program is told: as many ranges as it takes, the smallest gaps between them closed.
static void tell_ram(struct pagetable *pagetable)
{
	const struct memory *memory = pagetable->memory;
	struct pagetable_ram told[PAGETABLE_RAM + 1] = { 0 };
	size_t count = 0;
	for (size_t i = 0; i < memory->count; i++) {
		told[count++] = (struct pagetable_ram){ memory->ranges[i].first, memory->ranges[i].count };
		if (count <= PAGETABLE_RAM)
			continue;
		size_t at = 0;
		uint64_t least = UINT64_MAX;
		for (size_t j = 0; j + 1 < count; j++) {
			uint64_t gap = told[j + 1].first - (told[j].first + told[j].count);
			at = gap < least ? j : at;
			least = gap < least ? gap : least;
		}
		told[at].count = told[at + 1].first + told[at + 1].count - told[at].first;
		memmove(&told[at + 1], &told[at + 2], (--count - at - 1) * sizeof(*told));
	}
	qsort(told, count, sizeof(*told), larger_first);
	memset(&told[count], 0, (PAGETABLE_RAM + 1 - count) * sizeof(*told));
	memcpy(pagetable->state->settings.ram, told, sizeof(pagetable->state->settings.ram));
}

// 1: it is known now, and was not; 0: it was known already; or -ENOMEM.
static int know_ram(struct pagetable *pagetable, const struct frame_range *ram, size_t count)
{
	struct memory *before = pagetable->memory;
	size_t bytes = count * sizeof(*ram);
	if (before && before->count == count && !memcmp(before->ranges, ram, bytes))
		return 0;
	struct memory *memory = malloc(sizeof(*memory) + bytes);
	if (!memory)
		return -ENOMEM;
	*memory = (struct memory){ .before = before, .count = count };
	memcpy(memory->ranges, ram, bytes);
	pagetable->memory = memory;
	return 1;
}

int pagetable_set_ram(struct pagetable *pagetable, const struct frame_range *ram, size_t count)
{
	pthread_mutex_lock(&pagetable->lock);
	int changed = know_ram(pagetable, ram, count);
	if (changed > 0)
		tell_ram(pagetable);
	pthread_mutex_unlock(&pagetable->lock);
	return changed;
}

static void forget_ram(struct pagetable *pagetable)
{
	while (pagetable->memory) {
		struct memory *before = pagetable->memory->before;
		free(pagetable->memory);
		pagetable->memory = before;
	}
}

// ---- the whole ----

// Twice as many as all memory fills at once.
static int make_known(struct pagetable *pagetable)
{
	uint64_t frames = 0;
	for (size_t i = 0; i < pagetable->memory->count; i++)
		frames += pagetable->memory->ranges[i].count;
	return known_create(&pagetable->known, 2 * frames / TABLE_ENTRIES);
}

int pagetable_open(const struct pagetable_options *options, int *stage, struct pagetable **ret)
{
	*stage = PAGETABLE_SETUP;
	struct pagetable *pagetable = calloc(1, sizeof(*pagetable));
	if (!pagetable)
		return -ENOMEM;
	pthread_mutex_init(&pagetable->lock, NULL);
	pagetable->references = 1;
	pagetable->threads = options->workers < 1 ? 1 : options->workers;
	if (pagetable->threads > PAGETABLE_WORKERS)
		pagetable->threads = PAGETABLE_WORKERS;
	pagetable->workers = 2 * pagetable->threads < PAGETABLE_WORKERS ? 2 * pagetable->threads : PAGETABLE_WORKERS;
	pagetable->boot_offset_ns = options->boot_offset_ns;
	struct own_page own = { 0 };
	bool known = know_ram(pagetable, options->ram, options->ram_ranges) > 0;
	int error = known ? make_known(pagetable) : -ENOMEM;
	if (!error)
		error = own_page_map(&own);
	if (!error) {
		*stage = PAGETABLE_LOAD;
		error = load(pagetable);
	}
	if (!error) {
		set_shape(pagetable, &own);
		tell_ram(pagetable);
		own.frame = frame_of(options->pagemap_fd, &own);
		error = find_base(pagetable, &own, stage);
	}
	if (!error)
		error = find_shape(pagetable, &own, stage);
	if (own.memory)
		munmap(own.memory, own.bytes);
	if (error) {
		pagetable_close(pagetable);
		return error;
	}
	*stage = PAGETABLE_READY;
	*ret = pagetable;
	return 0;
}

struct entry_layout pagetable_layout(const struct pagetable *pagetable)
{
	const struct entry_shape *shape = &pagetable->shape;
	return (struct entry_layout){ shape->page_shift, shape->swap_offset_shift, shape->frame_mask,
				      shape->migration_mask };
}

static void unload(struct pagetable *pagetable)
{
	if (pagetable->buffers)
		munmap(pagetable->buffers, (size_t)pagetable->workers * PAGETABLE_BUFFER_BYTES);
	pagetable_bpf__destroy(pagetable->bpf);
	known_destroy(&pagetable->known);
	pthread_mutex_destroy(&pagetable->lock);
	forget_ram(pagetable);
	free(pagetable);
}

void pagetable_close(struct pagetable *pagetable)
{
	pthread_mutex_lock(&pagetable->lock);
	bool last = !--pagetable->references;
	pthread_mutex_unlock(&pagetable->lock);
	if (last)
		unload(pagetable);
}
