/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/types.h>

#define SECTOR_SIZE 512

int sector_copy(u8 *to, const u8 *from, u32 sector, u32 sectors);
