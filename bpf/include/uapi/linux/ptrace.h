// Included by bcc's helpers. Programs of ours read registers at offsets that the kernel's BTF tells.
#pragma once
struct pt_regs;
