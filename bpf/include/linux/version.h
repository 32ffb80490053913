// No program of ours depends on the kernel's version: what differs is asked of its BTF (collector/zonerss/motion/tracer.py).
#pragma once
#define LINUX_VERSION_CODE 0
#define KERNEL_VERSION(major, minor, patch) (((major) << 16) + ((minor) << 8) + (patch))
