// What bpf/pagetable.bpf.c and collector/zonerss/_core/pagetable.c tell each other: plain structs, no guards and no
// includes, because cffi reads this very file.
//
// A worker is one thread that reads one iterator. It owns one element of the map `buffers`, into which the program
// puts copies of page tables back to back, and one struct pagetable_worker, in which the program notes where it stands.

enum pagetable_limit {
	PAGETABLE_WORKERS = 64,
	PAGETABLE_RAM = 8, // ranges of memory that tables may lie in
	PAGETABLE_GUESSES = 256,
	PAGETABLE_COPIED_AT_ONCE = 512,	 // entries
	PAGETABLE_BUFFER_BYTES = 131072, // of one worker: what one hold of the mmap lock can copy at most
	PAGETABLE_STEPS = 4096,		 // table entries looked at in one hold of the mmap lock
};

// What kind of frames a table copy can hold; decided per VMA.
enum pagetable_trait {
	PAGETABLE_BACKED = 1, // not plain anonymous memory: a file, or pages that a driver put there
	PAGETABLE_SHARED = 2, // writes go to the file
	PAGETABLE_SHMEM = 4,  // a regular file of tmpfs: memfd, SysV shm, shared anonymous memory
	PAGETABLE_COPIED = 8, // private, and some page has been copied (it has an anon_vma)
	PAGETABLE_HUGETLB = 16,
	PAGETABLE_DEVICE = 32, // VM_PFNMAP: a leaf of more than one page is no memory with a struct page
	PAGETABLE_ODD = 64,    // no regular file: a device, or pages that the kernel put there itself
	PAGETABLE_LOCKED = 128,
};

// Raw page table entries of one address range, in order. `entries` 64-bit words follow: of a last-level table
// of more than PAGETABLE_COPIED_AT_ONCE entries (pages of 16 and 64 KiB) a part.
struct pagetable_copy {
	uint64_t address;
	uint16_t entries;
	uint8_t shift; // of one entry: that of a page, or of a level above
	uint8_t traits;
	uint32_t
		skew; // of the VMA: page number in its file less page number in its addresses, modulo PAGETABLE_COPIED_AT_ONCE
};

struct pagetable_worker {
	// Noted by the program; user space zeroes all of it before a job.
	uint32_t used; // bytes of the buffer that are filled
	uint32_t pad;
	uint64_t start_boottime_ns; // of the process that was met
	uint64_t mm;		    // whose address space it was; only to see an exec, goes nowhere else
	uint64_t cursor;	    // all below is done
	uint64_t vmas;
	uint64_t faults;     // tables that could not be read
	uint64_t outside;    // tables that lie in no memory that we know
	uint64_t retries;    // tables that changed hands while they were copied
	uint32_t met;	     // the process has an address space
	uint32_t execs;	     // it was replaced under the walk
	uint32_t unfinished; // the last VMA that was met is not done
	uint32_t done;
	// The VMA at hand.
	uint64_t end;
	uint64_t reach; // what part of the addresses pmd_table is of; all ones: none
	uint64_t pgd;
	uint64_t pmd_table;
	uint64_t pud_slot; // where the entry is that led to pmd_table, and what it was; 0: pmd_table is the top one
	uint64_t pud;
	uint32_t traits;
	uint32_t skew;
	// Set by user space before a job: of `stripes` interleaved parts of the address space this one is walked; 0: all of it.
	uint32_t stripe;
	uint32_t stripes;
	uint64_t apart[14]; // 256 bytes: what one processor writes is in no cache line of another's
};

// How to find where the kernel maps all memory. In: what to look for, and where it physically is. Out: base.
struct pagetable_search {
	uint64_t secret[2];
	uint64_t physical; // of the secret
	uint64_t limit;	   // steps to try
	uint64_t base;	   // 0: not found
	uint64_t tries;
	uint32_t keeps_mm; // the kernel's iterator holds the address space that it walks (see docs/pagetable.md)
	uint32_t shift;	   // of a step: the base is a multiple of it
};

// Frames that are memory.
struct pagetable_ram {
	uint64_t first;
	uint64_t count;
};

// What holds for all workers.
struct pagetable_settings {
	uint64_t base;		     // where the kernel maps all memory
	uint64_t frame_mask;	     // bits of an entry that are an address
	struct pagetable_ram ram[8]; // PAGETABLE_RAM, the largest first; a table elsewhere is none
	uint64_t table_mask;	     // an entry leads to a table where these of its bits
	uint64_t table_value;	     // are this
	uint64_t index_mask;	     // entries of a table, less one
	uint32_t shifts[8];	     // an entry of level n, 0 the last one, maps 1 << shifts[n] bytes
	uint32_t levels;	     // 2 to 5
	uint32_t pad;
};

// The thread of a worker.
struct pagetable_reader {
	uint32_t tid;	   // in its own pid namespace; set by user space, 0: there is none
	uint32_t root_tid; // in the first one; noted by the program, 0: not known yet
};

// All that the two sides share besides the buffers; one global of the program.
struct pagetable_state {
	struct pagetable_settings settings;
	struct pagetable_search search;
	struct pagetable_reader readers[64]; // PAGETABLE_WORKERS
	uint8_t guesses[256];		     // PAGETABLE_GUESSES: the worker that a thread was last, by root_tid
	struct pagetable_worker workers[64]; // PAGETABLE_WORKERS
};
