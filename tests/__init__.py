"""The tests of zonerss: unit mirrors collector, live meets the kernel, workloads makes known memory."""
