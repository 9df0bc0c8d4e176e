// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/string.h>
#include "sector.h"

int sector_copy(u8 *to, const u8 *from, u32 sector, u32 sectors)
{
	if (unlikely(sector >= sectors))
		return -EIO;
	memcpy(to, from + (size_t)sector * SECTOR_SIZE, SECTOR_SIZE);
	return 0;
}
