// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(format) KBUILD_MODNAME ": " format
#include <linux/module.h>
#include "otter.h"

static struct otter_device otter;

static int probe(const struct device *device)
{
	int error = otter_setup(&otter, device);

	if (!error)
		pr_info("revision %u, mailbox %x\n", otter.revision, otter_mailbox_checksum(&otter));
	return error;
}

static const struct device_driver driver = { .name = KBUILD_MODNAME, .id = 0x177d9702, .probe = probe };

static int __init otter_init(void)
{
	return driver_register(&driver);
}

module_init(otter_init);
MODULE_LICENSE("GPL");
