// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "minix.h"

static int minix_fill_super(struct super_block *sb, const void *image, size_t size)
{
	const struct minix_super_block *ms = image;

	if (size < sizeof(*ms) || ms->s_magic != MINIX_SUPER_MAGIC)
		return -EINVAL;
	sb->blocks = minix_count_free_blocks(ms);
	return 0;
}

static struct file_system_type minix_fs_type = { .name = "minix", .fill_super = minix_fill_super };

static int __init init_minix_fs(void)
{
	return register_filesystem(&minix_fs_type);
}

static void __exit exit_minix_fs(void)
{
	unregister_filesystem(&minix_fs_type);
}

module_init(init_minix_fs);
module_exit(exit_minix_fs);
MODULE_LICENSE("GPL");
