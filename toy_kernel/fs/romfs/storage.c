// SPDX-License-Identifier: GPL-2.0-only
#include "internal.h"

u32 romfs_dev_read_be32(const void *image, size_t offset)
{
	const u8 *byte = (const u8 *)image + offset;

	return (u32)byte[0] << 24 | byte[1] << 16 | byte[2] << 8 | byte[3];
}
