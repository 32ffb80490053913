// The BPF interface itself: the copy that bcc brings along.
#pragma once
#include <bcc/bpf.h>
