// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/sfp.h>

static int __init sfp_init(void)
{
	return mdio_read(1, 2) == 34 ? sfp_register_socket(1) : -ENODEV;
}

module_init(sfp_init);
MODULE_LICENSE("GPL");
