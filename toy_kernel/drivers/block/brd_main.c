// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "sector.h"

#define BRD_SECTORS 4

static u8 brd_data[BRD_SECTORS * SECTOR_SIZE];

static int __init brd_init(void)
{
	static u8 buffer[SECTOR_SIZE];
	u32 sector;

	for (sector = 0; sector < BRD_SECTORS; sector++)
		if (sector_copy(buffer, brd_data, sector, BRD_SECTORS))
			return -EIO;
	return 0;
}

module_init(brd_init);
MODULE_LICENSE("GPL");
