// What the programs that bpf/build compiles have in common: the types that the helpers' headers need, and how the kernel
// numbers tasks.
//
// Structs here and in the programs name only what is read; their offsets are the running kernel's (CO-RE). No kernel headers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef unsigned long long __u64;
typedef int32_t __s32;
typedef long long __s64;
typedef uint16_t __be16;
typedef uint32_t __be32;
typedef uint32_t __wsum;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};
#pragma clang attribute pop

// A task's number in the pid namespace of a level, which it is in; 0: it has none any more. The caller has read pid, so that it is a
// number for the verifier, which in Linux 6.1 lets no unknown offset be added to a pointer that it knows.
static int32_t number_at(struct pid *pid, uint32_t level)
{
	struct upid number;

	if (!pid || bpf_probe_read_kernel(&number, sizeof(number),
					  (void *)__builtin_preserve_access_index(&pid->numbers) +
						  level * bpf_core_type_size(struct upid)))
		return 0;
	return number.nr;
}
