// A way of walking that does what its jobs say, and notes what the pool asked of it. Read by cffi, too.

// What a job does: its pid. Its leader is the argument.
enum double_task {
	DOUBLE_NOTHING,
	DOUBLE_READS,	 // a byte, as a foreign system call, from the descriptor
	DOUBLE_COMPUTES, // until go is set
	DOUBLE_ANSWERED, // by a foreign system call, with the errno: that is its gap
	DOUBLE_FAILS,	 // with the errno, and so does the walk
};

// What a job counts before it does so, and after it.
enum double_pages { DOUBLE_BEFORE = 3, DOUBLE_AFTER = 5 };

struct pool_double {
	int32_t inits_left;	  // until init() says -ENOMEM
	int32_t threads_left;	  // until pthread_create() says EAGAIN
	int32_t allocations_left; // until malloc() and its like say NULL
	int32_t settle_error;	  // what settle() says
	int32_t go;

	int32_t inits, settles, disposes, releases;
	int32_t settled_twice;	  // walkers
	int32_t cancelled;	  // foreign calls that were left behind
	int32_t working, at_once; // threads in a job now, and at most
	int32_t taken[256];	  // [job]: how often it was handed out
};

// A field of one, which threads use at the same time.
int32_t double_get(const int32_t *field);
void double_set(int32_t *field, int32_t value);

// The one that the next walks work with; it stays the caller's.
void double_use(struct pool_double *pool_double);
int double_walk(const struct walk_request *request, struct walk **ret);
