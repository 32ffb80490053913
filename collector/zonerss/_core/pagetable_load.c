// Loads bpf/pagetable.bpf.c into the kernel and finds out where the kernel keeps its map of all memory. All calls of bpf(2)
// are here.
//
// pagetable.lskel.h is what `bpftool gen skeleton -L` makes of the compiled program (bpf/build): a loader program and its
// data. The kernel runs the loader, which creates the maps and programs and looks the offsets of struct fields up in
// the BTF that the kernel has in memory. So libbpf is not needed at run time, only its headers to build this file.

#include <cpuid.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "pagetable_object.h"
#include "../../../bpf/.output/pagetable.lskel.h"

#define GIB_BITS 30
#define SEARCH_GIB 65536 // 64 TiB, all that 4-level tables can map

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

// Where a page of ours is. 0: the kernel does not tell.
static uint64_t frame_of(int pagemap_fd, const void *address)
{
	uint64_t word = 0, page = sysconf(_SC_PAGESIZE);
	if (pread(pagemap_fd, &word, sizeof(word), (uintptr_t)address / page * sizeof(word)) != sizeof(word))
		return 0;
	return word >> 63 ? word & ((UINT64_C(1) << 55) - 1) : 0;
}

// Lets the kernel look for a secret that lies in a page of ours. A wrong base would show us any memory as if it were
// page tables; that 128 random bits are found in a wrong place will not happen.
static int find_base(struct pagetable *pagetable, int pagemap_fd, const uint64_t *secret, int *stage)
{
	struct pagetable_search *search = &pagetable->state->search;
	struct pagetable_settings *settings = &pagetable->state->settings;
	uint64_t frame = frame_of(pagemap_fd, secret);
	*stage = PAGETABLE_HIDDEN;
	if (!frame)
		return -EPERM;
	memcpy(search->secret, secret, sizeof(search->secret));
	search->physical = (frame << 12) + ((uintptr_t)secret & 4095);
	const struct frame_range *last = &pagetable->memory->ranges[pagetable->memory->count - 1];
	search->limit = ((last->first + last->count) >> (GIB_BITS - 12)) + 2;
	if (search->limit > SEARCH_GIB)
		search->limit = SEARCH_GIB;
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

// Walk ourselves: true if the page with the secret is where pagemap says it is.
static bool finds_self(struct pagetable *pagetable, const uint64_t *secret, uint64_t frame)
{
	struct pagetable_worker *worker = &pagetable->state->workers[0];
	const struct pagetable_copy *copy = (const struct pagetable_copy *)pagetable->buffers;
	uint64_t address = (uintptr_t)secret & ~UINT64_C(4095), entry = 0;
	int link_fd;
	char byte;
	memset(worker, 0, sizeof(*worker));
	pagetable->state->readers[0].tid = gettid();
	worker->cursor = address;
	int fd = pagetable_iterate(pagetable, gettid(), &link_fd);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, &byte, sizeof(byte));
	bool found = got >= 0 || errno == EAGAIN;
	if (found && worker->used)
		entry = *(const uint64_t *)(copy + 1);
	found = found && entry & 1 && copy->address == address && copy->shift == 12 &&
		(entry & pagetable->state->settings.frame_mask) >> 12 == frame;
	close(fd);
	close(link_fd);
	memset(worker, 0, sizeof(*worker));
	pagetable->state->readers[0] = (struct pagetable_reader){ 0 };
	return found;
}

// The bit of an entry that says "encrypted" on AMD (SME, SEV), which is no part of the address; 0: there is none.
static uint64_t encryption_bit(void)
{
	unsigned a, b, c, d;
	return __get_cpuid(0x8000001f, &a, &b, &c, &d) && a & 3 ? UINT64_C(1) << (b & 63) : 0;
}

// How many levels the page tables have and which bits are an address is tried out on ourselves: /proc/cpuinfo would
// tell the former, but slowly, and only the kernel knows whether it uses the latter.
static int find_shape(struct pagetable *pagetable, const uint64_t *secret, int pagemap_fd, int *stage)
{
	struct pagetable_settings *settings = &pagetable->state->settings;
	uint64_t frame = frame_of(pagemap_fd, secret), encryption = encryption_bit();
	*stage = PAGETABLE_SELF;
	for (int encrypted = 0; encrypted <= !!encryption; encrypted++)
		for (int levels = 4; levels <= 5; levels++) {
			settings->levels = levels;
			settings->frame_mask = UINT64_C(0x000ffffffffff000) & ~(encrypted ? encryption : 0);
			if (finds_self(pagetable, secret, frame))
				return 0;
		}
	return -ENXIO;
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
	uint64_t *secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	bool known = know_ram(pagetable, options->ram, options->ram_ranges) > 0;
	int error = known && secret != MAP_FAILED ? make_known(pagetable) : -ENOMEM;
	if (!error)
		error = getrandom(secret, 16, 0) == 16 ? 0 : -EIO;
	if (!error) {
		*stage = PAGETABLE_LOAD;
		error = load(pagetable);
	}
	if (!error) {
		tell_ram(pagetable);
		error = find_base(pagetable, options->pagemap_fd, secret, stage);
	}
	if (!error)
		error = find_shape(pagetable, secret, options->pagemap_fd, stage);
	if (secret != MAP_FAILED)
		munmap(secret, 4096);
	if (error) {
		pagetable_close(pagetable);
		return error;
	}
	*stage = PAGETABLE_READY;
	*ret = pagetable;
	return 0;
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
