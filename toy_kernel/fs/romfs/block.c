// SPDX-License-Identifier: GPL-2.0-only
#include "internal.h"

#define ROMFS_SECTOR 512

u32 romfs_blk_sector(size_t offset)
{
	return offset / ROMFS_SECTOR;
}
