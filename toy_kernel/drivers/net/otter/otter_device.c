// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include "otter.h"

static void reset(struct otter_device *otter)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(otter->mailbox); i++)
		otter->mailbox[i] = i;
}

int otter_setup(struct otter_device *otter, const struct device *device)
{
	if (unlikely(!device->revision))
		return -ENODEV;
	otter->revision = device->revision;
	reset(otter);
	return 0;
}
