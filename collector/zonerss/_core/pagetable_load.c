// Loads bpf/pagetable.bpf.c into the kernel and finds out where the kernel keeps its map of all memory.
//
// libbpf's ordinary way reads the kernel's whole BTF (5 MB) to find the offset of each field: 24 ms. Its other way (the one
// of "light skeletons") makes a small loader program out of the object and runs that in the kernel, which looks the
// offsets up in the BTF that it has in memory anyway: 6 ms.

#include <cpuid.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <bpf/skel_internal.h>

#include "pagetable_object.h"

#define MAPS 2
#define PROGRAMS 2
#define GIB_BITS 30
#define SEARCH_GIB 65536 // 64 TiB, all that 4-level tables can map

// What the loader program reads and fills in; the order is that of the object.
struct loader {
	struct bpf_loader_ctx context;
	struct bpf_map_desc maps[MAPS];
	struct bpf_prog_desc programs[PROGRAMS];
};

static void loader_close(const struct loader *loader)
{
	for (int i = 0; i < MAPS; i++)
		if (loader->maps[i].map_fd > 0)
			close(loader->maps[i].map_fd);
	for (int i = 0; i < PROGRAMS; i++)
		if (loader->programs[i].prog_fd > 0)
			close(loader->programs[i].prog_fd);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
	return 0;
}

// Position of a map or a program in the object, or -1.
static int map_index(struct bpf_object *object, const char *name)
{
	struct bpf_map *map;
	int i = 0;
	bpf_object__for_each_map(map, object) {
		if (strstr(bpf_map__name(map), name))
			return i;
		i++;
	}
	return -1;
}

static int program_index(struct bpf_object *object, const char *name)
{
	struct bpf_program *program;
	int i = 0;
	bpf_object__for_each_program(program, object) {
		if (!strcmp(bpf_program__name(program), name))
			return i;
		i++;
	}
	return -1;
}

static int loader_run(struct bpf_object *object, struct loader *loader)
{
	struct gen_loader_opts code = { .sz = sizeof(code) };
	int error = bpf_object__gen_loader(object, &code);
	if (!error)
		error = bpf_object__load(object);
	if (error)
		return error;
	struct bpf_load_and_run_opts run = {
		.ctx = &loader->context,
		.data = code.data,
		.insns = code.insns,
		.data_sz = code.data_sz,
		.insns_sz = code.insns_sz,
	};
	error = bpf_load_and_run(&run);
	return error < 0 ? error : 0;
}

static void *map_memory(int fd, size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static size_t state_bytes(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	return (sizeof(struct pagetable_state) + page - 1) & ~(page - 1);
}

// Takes the descriptors over from the loader; *find_fd is for the caller to close.
static int adopt(struct pagetable *pagetable, struct bpf_object *object, struct loader *loader, int *find_fd)
{
	int buffers = map_index(object, "buffers"), state = map_index(object, ".bss");
	int walk = program_index(object, "walk_vma"), find = program_index(object, "find_base");
	if (buffers < 0 || state < 0 || walk < 0 || find < 0)
		return -EINVAL;
	pagetable->buffers_fd = loader->maps[buffers].map_fd;
	pagetable->state_fd = loader->maps[state].map_fd;
	pagetable->walk_fd = loader->programs[walk].prog_fd;
	*find_fd = loader->programs[find].prog_fd;
	memset(loader, 0, sizeof(*loader));
	pagetable->buffers = map_memory(pagetable->buffers_fd, (size_t)pagetable->workers * PAGETABLE_BUFFER_BYTES);
	pagetable->state = map_memory(pagetable->state_fd, state_bytes());
	return pagetable->buffers && pagetable->state ? 0 : -ENOMEM;
}

static int load(struct pagetable *pagetable, const char *path, int *find_fd, int *stage)
{
	struct loader loader = { .context.sz = sizeof(loader) };
	libbpf_print_fn_t print = libbpf_set_print(quiet);
	*stage = PAGETABLE_OBJECT;
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	int error = object ? 0 : -errno;
	if (!error) {
		int buffers = map_index(object, "buffers");
		*stage = PAGETABLE_LOAD;
		if (buffers >= 0 && buffers < MAPS)
			loader.maps[buffers].max_entries = pagetable->workers;
		error = loader_run(object, &loader);
		if (!error)
			error = adopt(pagetable, object, &loader, find_fd);
		loader_close(&loader);
		bpf_object__close(object);
	}
	libbpf_set_print(print);
	return error;
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
static int find_base(struct pagetable *pagetable, int find_fd, int pagemap_fd, const uint64_t *secret, int *stage)
{
	struct pagetable_search *search = &pagetable->state->search;
	struct pagetable_settings *settings = &pagetable->state->settings;
	uint64_t frame = frame_of(pagemap_fd, secret);
	*stage = PAGETABLE_HIDDEN;
	if (!frame)
		return -EPERM;
	memcpy(search->secret, secret, sizeof(search->secret));
	search->physical = (frame << 12) + ((uintptr_t)secret & 4095);
	const struct frame_range *last = &pagetable->ram[pagetable->ram_ranges - 1];
	search->limit = ((last->first + last->count) >> (GIB_BITS - 12)) + 2;
	if (search->limit > SEARCH_GIB)
		search->limit = SEARCH_GIB;
	*stage = PAGETABLE_BASE;
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int error = bpf_prog_test_run_opts(find_fd, &run);
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
	const struct pagetable_piece *piece = (const struct pagetable_piece *)pagetable->buffers;
	uint64_t address = (uintptr_t)secret & ~UINT64_C(4095), entry = 0;
	int link_fd;
	char byte;
	memset(worker, 0, sizeof(*worker));
	worker->tid = gettid();
	worker->cursor = address;
	int fd = pagetable_iterate(pagetable, getpid(), getpid(), &link_fd);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, &byte, sizeof(byte));
	bool found = got >= 0 || errno == EAGAIN;
	if (found && worker->used)
		entry = *(const uint64_t *)(piece + 1);
	found = found && entry & 1 && piece->address == address && piece->shift == 12 &&
		(entry & pagetable->state->settings.frame_mask) >> 12 == frame;
	close(fd);
	close(link_fd);
	memset(worker, 0, sizeof(*worker));
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

#define TWIN_FRAMES 2048 // frames of RAM for one twin, of 4 KiB: two bytes a frame at most

static int make_twins(struct pagetable *pagetable)
{
	uint64_t frames = 0;
	for (size_t i = 0; i < pagetable->ram_ranges; i++)
		frames += pagetable->ram[i].count;
	int error = 0;
	for (uint32_t i = 0; !error && i < pagetable->workers; i++)
		error = twins_create(&pagetable->twins[i], frames / TWIN_FRAMES / pagetable->workers);
	return error;
}

int pagetable_open(const struct pagetable_options *options, int *stage, struct pagetable **ret)
{
	*stage = PAGETABLE_OBJECT;
	struct pagetable *pagetable = calloc(1, sizeof(*pagetable));
	size_t ram_bytes = options->ram_ranges * sizeof(*pagetable->ram);
	if (!pagetable)
		return -ENOMEM;
	pthread_mutex_init(&pagetable->lock, NULL);
	pagetable->walk_fd = pagetable->buffers_fd = pagetable->state_fd = -1;
	pagetable->workers = options->workers < 1 ? 1 : options->workers;
	if (pagetable->workers > PAGETABLE_WORKERS)
		pagetable->workers = PAGETABLE_WORKERS;
	pagetable->boot_offset_ns = options->boot_offset_ns;
	pagetable->ram = ram_bytes ? malloc(ram_bytes) : NULL;
	uint64_t *secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	int find_fd = -1, error = pagetable->ram && secret != MAP_FAILED ? 0 : -ENOMEM;
	if (!error) {
		memcpy(pagetable->ram, options->ram, ram_bytes);
		pagetable->ram_ranges = options->ram_ranges;
		error = make_twins(pagetable);
	}
	if (!error) {
		error = getrandom(secret, 16, 0) == 16 ? load(pagetable, options->object, &find_fd, stage) : -EIO;
	}
	if (!error)
		error = find_base(pagetable, find_fd, options->pagemap_fd, secret, stage);
	if (!error)
		error = find_shape(pagetable, secret, options->pagemap_fd, stage);
	if (find_fd >= 0)
		close(find_fd);
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

void pagetable_close(struct pagetable *pagetable)
{
	if (!pagetable)
		return;
	if (pagetable->buffers)
		munmap(pagetable->buffers, (size_t)pagetable->workers * PAGETABLE_BUFFER_BYTES);
	if (pagetable->state)
		munmap(pagetable->state, state_bytes());
	int fds[] = { pagetable->walk_fd, pagetable->buffers_fd, pagetable->state_fd };
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (uint32_t i = 0; i < pagetable->workers; i++)
		twins_destroy(&pagetable->twins[i]);
	pthread_mutex_destroy(&pagetable->lock);
	free(pagetable->ram);
	free(pagetable);
}
