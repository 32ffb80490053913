// Page tables by BPF: a source of frames. No guards and no includes, because cffi reads this very file (build.py).

struct walk;
struct walk_request;
struct pagetable;

struct pagetable_options {
	uint32_t workers;	       // threads that will walk at once, at most
	const struct frame_range *ram; // frames that are memory, in order
	size_t ram_ranges;
	int64_t boot_offset_ns; // of this time namespace
	int pagemap_fd;		// of this very process, to know where a page of it is
};

// How far loading came; pagetable_open() says the last one that it tried.
enum pagetable_stage {
	PAGETABLE_SETUP,
	PAGETABLE_LOAD,
	PAGETABLE_OLD_ITERATOR,
	PAGETABLE_HIDDEN,
	PAGETABLE_BASE,
	PAGETABLE_BEYOND,
	PAGETABLE_SELF,
	PAGETABLE_PROTNONE,
	PAGETABLE_READY,
};

// Load the program and find the kernel's map of memory. 0 or a negative errno; *stage: where it failed.
int pagetable_open(const struct pagetable_options *options, int *stage, struct pagetable **ret);
// Walks that begin from now on know these frames as memory. 1: they are others than before; 0: the same; or -ENOMEM.
int pagetable_set_ram(struct pagetable *pagetable, const struct frame_range *ram, size_t count);
// Unloaded as soon as no walk is left.
void pagetable_close(struct pagetable *pagetable);

// Begin a walk; the same as pagemap_walk() of walk.h.
int pagetable_walk(struct pagetable *pagetable, const struct walk_request *request, struct walk **ret);

// What the program counted since pagetable_open(): tables that could not be read, tables that changed hands
// while they were copied, reads that gave the mmap lock back in mid-walk.
void pagetable_counts(const struct pagetable *pagetable, uint64_t *faults, uint64_t *retries, uint64_t *reads);

// How an entry names a frame: one that maps it, (entry & frame_mask) >> page_shift, and one that stands in for it while it
// migrates, entry >> swap_offset_shift & migration_mask. arm64; on x86 the latter is inverted, and the shift is no variable.
struct entry_layout {
	uint32_t page_shift, swap_offset_shift;
	uint64_t frame_mask, migration_mask;
};
struct entry_layout pagetable_layout(const struct pagetable *pagetable);
