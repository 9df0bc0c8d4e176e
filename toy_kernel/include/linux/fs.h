/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_FS_H
#define _LINUX_FS_H

#include <linux/types.h>

struct file_system_type;

struct super_block {
	const struct file_system_type *type;
	u32 blocks;
};

struct file_system_type {
	const char *name;
	int (*fill_super)(struct super_block *sb, const void *image, size_t size);
	struct file_system_type *next;
};

int register_filesystem(struct file_system_type *type);
void unregister_filesystem(struct file_system_type *type);
struct file_system_type *first_filesystem(void);
int mount_any(struct super_block *sb, const void *image, size_t size);

void prepare_namespace(void);
size_t rd_image(const void **image);

int proc_print(const char *name);
void proc_usage(void);

#endif
