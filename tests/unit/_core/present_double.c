// What smaps tells of large mappings: for test_present.py.

#include "present.c"

// Reads dir/task/1/smaps. How many mappings of so many bytes there are, of which at most room are written as (start, end, bytes); or a
// negative errno.
int64_t double_present(int dir, uint64_t least_bytes, uint64_t most_ns, uint64_t *rows, size_t room)
{
	struct present present = { 0 };
	int64_t count = present_read(&present, NULL, dir, 1, least_bytes, most_ns);
	if (!count)
		count = present.count;
	for (size_t i = 0; i < present.count && i < room; i++)
		memcpy(rows + 3 * i, &present.rows[i], 3 * sizeof(*rows));
	for (size_t i = 0; i < present.count; i++)
		if (present_bytes(&present, present.rows[i].start, present.rows[i].end) != present.rows[i].bytes)
			count = -ERANGE;
	if (present_bytes(&present, 1, 2) != UINT64_MAX)
		count = -EDOM;
	present_free(&present);
	return count;
}
