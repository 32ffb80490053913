// Arrays that grow.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Makes room for so many elements of an array, doubling it. array: address of the pointer to its first element. 0 or -ENOMEM,
// and then the array is as it was.
static inline int array_reserve(void *array, size_t *room, size_t needed, size_t element_bytes)
{
	if (needed <= *room)
		return 0;
	size_t more = *room * 2 > needed ? *room * 2 : needed + 64;
	void *old, *grown;
	memcpy(&old, array, sizeof(old));
	if (more > SIZE_MAX / element_bytes || !(grown = realloc(old, more * element_bytes)))
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	*room = more;
	return 0;
}

#define ARRAY_RESERVE(array, room, needed) array_reserve(&(array), &(room), needed, sizeof(*(array)))
