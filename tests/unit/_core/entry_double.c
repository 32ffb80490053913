// The entries of arm64, as a library of this machine. What the compiler says of itself is needed by the system's headers only.
#include <stdbool.h>
#include <stdint.h>

#undef __x86_64__
#undef __aarch64__
#define __aarch64__ 1
#include "entry_shapes.h"

struct entry_shape shape;

// As find_shape() does; false: memory ends beyond.
bool arm64_set(uint32_t page_shift, uint64_t last_frame)
{
	uint64_t masks[] = SHAPE_MASKS(page_shift);
	shape = (struct entry_shape){ .page_shift = page_shift, .frame_mask = masks[0] };
	shape.migration_mask = shape_migration_mask(page_shift, 4, last_frame);
	return !(last_frame & ~(masks[0] >> page_shift));
}

bool arm64_protnone(uint64_t entry)
{
	return shape_of_protnone(&shape, entry);
}

bool arm64_maps(uint64_t entry)
{
	return entry_maps(&shape, entry);
}

uint64_t arm64_pfn(uint64_t entry)
{
	return entry_pfn(&shape, entry);
}

uint64_t arm64_swap_type(uint64_t entry)
{
	return entry_swap_type(&shape, entry);
}

uint64_t arm64_swap_offset(uint64_t entry)
{
	return entry_swap_offset(&shape, entry);
}

uint32_t arm64_block(void)
{
	return shape_block(&shape);
}
