// /proc/PID/mountinfo, whose paths and sources a stranger chooses: the same in one piece and in two.

#include "fuzz.h"
#include "mounts.h"

static int64_t add(struct mounts *mounts, const char *text, size_t length)
{
	int64_t whole = mounts_add(mounts, text, length);
	must(whole >= 0 && (size_t)whole <= length);
	must(!memchr(text + whole, '\n', length - whole));
	must(!whole || text[whole - 1] == '\n');
	return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct mounts *one, *two;
	const char *text = (const char *)bytes;
	size_t cut = length ? bytes[length - 1] % (length + 1) : 0;
	if (mounts_create(&one) || mounts_create(&two))
		return 0;
	add(one, text, length);
	size_t taken = add(two, text, cut);
	add(two, text + taken, length - taken);
	for (uint32_t id = 0; id < 64; id++)
		must(mounts_find(one, id, 0, id) == mounts_find(two, id, 0, id));
	mounts_destroy(one);
	mounts_destroy(two);
	return 0;
}
