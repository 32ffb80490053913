// /proc/PID/smaps, in which strangers choose names: the same in one piece and in two.

#include "fuzz.h"
#include "present.c"

static int take(struct present *present, const char *text, size_t length, size_t cut)
{
	struct reading reading = { .present = present, .least_bytes = 1 << 20 };
	int error = take_text(&reading, text, cut);
	return error ? error : take_text(&reading, text + cut, length - cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct present one = { 0 }, two = { 0 };
	const char *text = (const char *)bytes;
	int error = take(&one, text, length, 0);
	must(take(&two, text, length, length ? bytes[length - 1] % (length + 1) : 0) == error);
	must(error == 0 || error == -EINVAL);
	must(one.count == two.count);
	for (size_t i = 0; i < one.count; i++) {
		must(!memcmp(&one.rows[i], &two.rows[i], sizeof(one.rows[i])));
		must(one.rows[i].end - one.rows[i].start >= 1 << 20);
		present_bytes(&one, one.rows[i].start, one.rows[i].end);
	}
	present_free(&one);
	present_free(&two);
	return 0;
}
