// The processes, as a BPF iterator over the kernel's tasks lists them. No guards and no includes, because cffi reads this very
// file (build.py).

// A process; kernel threads and zombies have no mm, and no further threads.
struct iterated_task {
	int32_t pid;	      // in our pid namespace
	uint32_t threads;     // how many it has; 0: it is the kernel's own
	uint64_t start_ticks; // since boot, as /proc/PID/stat tells it
	uint64_t mm; // which address space its first thread has: equal where it is the same one; 0: it has none
	uint64_t vsize_bytes;
	uint64_t rss_pages; // the kernel's own, batched counter
	uint64_t startstack;
	uint64_t cgroup; // id of the cgroup of its first thread, in the hierarchy that was asked for
	uint32_t uid;	 // real, in the first user namespace
	uint32_t euid;
	char command[16]; // comm, NUL-terminated, raw bytes
};

struct task_iterator;

// Load the program. boot_offset_ns: of this time namespace. 0 or a negative errno.
int task_iterator_open(int64_t boot_offset_ns, struct task_iterator **ret);
void task_iterator_close(struct task_iterator *iterator);

// The processes of our pid namespace, in order of pid. memory: tell the cgroup in the hierarchy that carries the memory controller;
// 0: in that of version 2. The rows are the iterator's, until it is read again or closed. 0 or a negative errno.
int task_iterator_read(struct task_iterator *iterator, int memory, const struct iterated_task **rows, size_t *count);
