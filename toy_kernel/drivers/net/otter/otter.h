/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/device.h>

struct otter_device {
	u32 revision;
	u32 mailbox[OTTER_MAILBOX_WORDS];
};

int otter_setup(struct otter_device *otter, const struct device *device);
u32 otter_mailbox_checksum(const struct otter_device *otter);
