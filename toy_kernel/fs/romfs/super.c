// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/string.h>
#include "internal.h"

#define ROMFS_BLOCK 1024

static int romfs_fill_super(struct super_block *sb, const void *image, size_t size)
{
	if (size < 16 || memcmp(image, ROMFS_MAGIC, 8))
		return -EINVAL;
	sb->blocks = romfs_dev_read_be32(image, 8) / ROMFS_BLOCK;
	return 0;
}

static struct file_system_type romfs_fs_type = { .name = "romfs", .fill_super = romfs_fill_super };

static int __init init_romfs_fs(void)
{
	return register_filesystem(&romfs_fs_type);
}

static void __exit exit_romfs_fs(void)
{
	unregister_filesystem(&romfs_fs_type);
}

module_init(init_romfs_fs);
module_exit(exit_romfs_fs);
MODULE_LICENSE("GPL");
