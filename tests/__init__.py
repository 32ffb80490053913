"""The tests of zonerss: unit mirrors the package, live meets the kernel, workloads makes known memory."""
