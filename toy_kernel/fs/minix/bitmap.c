// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include "minix.h"

/* test_script_marker: the first function of its section. Blocks that inodes take: 32 of them in one of 1024 bytes. */
static u32 __kprobes inode_blocks(const struct minix_super_block *ms)
{
	return (ms->s_ninodes + 31) / 32;
}

u32 minix_count_free_blocks(const struct minix_super_block *ms)
{
	BUG_ON(inode_blocks(ms) > ms->s_nzones);
	return ms->s_nzones - inode_blocks(ms);
}
