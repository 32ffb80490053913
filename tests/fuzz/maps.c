// The rows of /proc/PID/maps, whose names a stranger chooses.

#include "fuzz.h"
#include "maps.h"

#define ROOM 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct vma vmas[ROOM];
	size_t bad = SIZE_MAX;
	const char *text = (const char *)bytes;
	int64_t rows = maps_parse(text, length, NULL, 0, &bad);
	must(maps_parse(text, length, vmas, ROOM, &bad) == rows);
	if (rows < 0) {
		must(bad < length);
		return 0;
	}
	for (int64_t i = 0; i < rows && i < ROOM; i++) {
		must(vmas[i].start < vmas[i].end);
		must((uint64_t)vmas[i].name + vmas[i].name_length < length); // the newline is behind it
		must(!memchr(text + vmas[i].name, '\n', vmas[i].name_length));
	}
	return 0;
}
