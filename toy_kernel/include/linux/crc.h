/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CRC_H
#define _LINUX_CRC_H

#include <linux/types.h>

bool crc_selftest(u32 (*update)(u32 crc, const u8 *data, size_t length), u32 expected);

#endif
