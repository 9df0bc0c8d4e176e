/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FS_MINIX_H
#define FS_MINIX_H

#include <linux/fs.h>
#include <linux/magic.h>

u32 minix_count_free_blocks(const struct minix_super_block *ms);

#endif
