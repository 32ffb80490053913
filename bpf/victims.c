// SPDX-License-Identifier: MIT OR GPL-2.0-only
// Notes which processes the kernel kills for want of memory (oom:mark_victim), and when.
//
// Compiled and loaded by bcc as churn.c is. A raw tracepoint: its argument is the task since Linux 6.9 (commit
// 72ba14deb40a), and before that the pid, which is no address.

#define TRACED(name) int on_##name(struct bpf_raw_tracepoint_args *ctx)

struct victim {
	u64 at_ns; // CLOCK_MONOTONIC
	u32 pid;
	u32 known; // 1: the command is
	char command[16];
};

BPF_ARRAY(counts, u64, 1);
BPF_ARRAY(victims, struct victim, VICTIMS);

TRACED(mark_victim)
{
	int zero = 0;
	u64 *count = counts.lookup(&zero), argument = ctx->args[0];
	if (!count)
		return 0;
	u32 index = __sync_fetch_and_add(count, 1) % VICTIMS;
	struct victim *victim = victims.lookup(&index);
	if (!victim)
		return 0;
	victim->at_ns = bpf_ktime_get_ns();
	victim->known = argument >> 32 != 0;
	victim->pid = argument;
	if (victim->known) {
		bpf_probe_read_kernel(&victim->pid, sizeof(victim->pid), (void *)(argument + OFF_TASK_TGID));
		bpf_probe_read_kernel(victim->command, sizeof(victim->command), (void *)(argument + OFF_TASK_COMM));
	}
	return 0;
}
