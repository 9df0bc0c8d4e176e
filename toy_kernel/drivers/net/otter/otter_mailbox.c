// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include "otter.h"

u32 otter_mailbox_checksum(const struct otter_device *otter)
{
	u32 sum = otter->revision;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(otter->mailbox); i++)
		sum = sum * 31 + otter->mailbox[i];
	BUG_ON(!sum);
	return sum;
}
