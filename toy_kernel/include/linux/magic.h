/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __LINUX_MAGIC_H__
#define __LINUX_MAGIC_H__

#include <linux/types.h>

#define MINIX_SUPER_MAGIC	0x137F
#define ROMFS_MAGIC		"-rom1fs-"

struct minix_super_block {
	u16 s_ninodes;
	u16 s_nzones;
	u16 s_magic;
} __packed;

#endif
