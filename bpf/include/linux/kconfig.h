// Stands in for a kernel's configuration, which bcc includes first. It asks one thing of it: that BPF is there.
#pragma once
#define CONFIG_BPF_SYSCALL 1
