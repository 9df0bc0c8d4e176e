// SPDX-License-Identifier: GPL-2.0-only
#include <linux/key.h>
#include <linux/module.h>

static int __init init_trusted(void)
{
	return key_add("trusted", 0x5eed);
}

module_init(init_trusted);
MODULE_LICENSE("GPL");
