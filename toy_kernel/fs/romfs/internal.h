/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/types.h>

u32 romfs_dev_read_be32(const void *image, size_t offset);
u32 romfs_blk_sector(size_t offset);
