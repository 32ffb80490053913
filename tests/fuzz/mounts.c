// /proc/PID/mountinfo, whose paths and sources a stranger chooses: the same in one piece and in two.
//
// Both tables are kept from text to text and forgotten in between, as the walk does it: making them costs more than a text.

#include "fuzz.h"
#include "mounts.h"

static struct mounts *one, *two;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	must(!mounts_create(&one) && !mounts_create(&two));
	return 0;
}

static size_t add(struct mounts *mounts, const char *text, size_t length)
{
	int64_t whole = mounts_add(mounts, text, length);
	must(whole >= 0 && (size_t)whole <= length);
	must(!memchr(text + whole, '\n', length - whole));
	must(!whole || text[whole - 1] == '\n');
	return whole;
}

// The number at the beginning of a row, which is its id if the row is one; some other number else.
static uint64_t id_of(const char *row, const char *end)
{
	uint64_t id = 0;
	for (; row < end && *row >= '0' && *row <= '9'; row++)
		id = id * 10 + (*row - '0');
	return id;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const char *text = (const char *)bytes, *end = text + length, *stop;
	size_t cut = length ? bytes[length - 1] % (length + 1) : 0;
	mounts_forget(one);
	mounts_forget(two);
	add(one, text, length);
	size_t taken = add(two, text, cut);
	add(two, text + taken, length - taken);
	for (const char *row = text; (stop = memchr(row, '\n', end - row)); row = stop + 1) {
		uint64_t id = id_of(row, stop);
		must(mounts_find(one, id, 0, id) == mounts_find(two, id, 0, id));
	}
	return 0;
}
