// What bpf/processes.bpf.c and collector/zonerss/_core/task_iterator.c tell each other: plain structs, no guards and no
// includes.

// One process, kernel threads and zombies included.
struct processes_row {
	uint64_t start_boottime_ns;
	uint64_t mm;	    // address space of its first thread: a number to compare; 0: that thread has none
	uint64_t total_vm;  // in pages
	uint64_t rss_pages; // as batched as the kernel's own counters
	uint64_t start_stack;
	uint64_t cgroup_id;	   // in the hierarchy of version 2; of its first thread
	uint64_t memory_cgroup_id; // in the hierarchy that carries the memory controller; 0: the kernel has none
	int32_t pid;		   // in the pid namespace of whoever reads
	uint32_t flags;		   // PF_* of the task
	uint32_t threads;
	uint32_t pad;
	uint32_t uid; // real, in the first user namespace
	uint32_t euid;
	char comm[16];
};
