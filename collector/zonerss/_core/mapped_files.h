// The files that mappings are of, each under a number: what a walk marks frames for when it is asked whose file they hold.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct vma;

// The file of a mapping: device, inode and name as maps tells them, and one mapping of it.
struct mapped_file {
	uint64_t inode;
	uint64_t ipc_namespace; // of a System V segment: the inode of the IPC namespace that its id belongs to
	uint32_t major;
	uint32_t minor;
	uint32_t name; // offset in mapped_files_text(); raw, as the kernel escaped it
	uint32_t name_length;
	int32_t pid;
	uint64_t start;
	uint64_t end;
};

struct mapped_files;

// room: how many can be told apart. 0 or -ENOMEM.
int mapped_files_create(uint32_t room, struct mapped_files **ret);
void mapped_files_destroy(struct mapped_files *files);
uint32_t mapped_files_count(const struct mapped_files *files);
const struct mapped_file *mapped_files_all(const struct mapped_files *files);
const char *mapped_files_text(const struct mapped_files *files);

// The number of the file that a mapping is of, given when it is first met; pid: whose mapping it is. -ENOSPC: there is no
// number left. From several threads at once.
int64_t mapped_files_find(struct mapped_files *files, const struct vma *vma, const char *name, uint64_t ipc_namespace,
			  int32_t pid);

// What is known of a file, and where it is.
struct file_look {
	uint64_t links; // names that it has; 0: deleted
	uint64_t size;	// in bytes
	uint32_t mode;	// file type and permissions
	uint32_t major; // its device
	uint32_t minor;
	uint64_t mount_id; // 0: the kernel does not say (before Linux 5.8)
};

// Look at a file below an open directory, without asking whoever serves its file system. 0 or a negative errno.
int file_look(int dir, const char *path, struct file_look *ret);
