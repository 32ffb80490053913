// What the fuzz targets have in common: each file is one, built by vm/fuzz with the core and libFuzzer.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

// What holds for every text.
#define must(holds)              \
	do {                     \
		if (!(holds))    \
			abort(); \
	} while (0)
