// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "vlan.h"

static int __init vlan_proto_init(void)
{
	return dev_add_pack(vlan_dev_receive);
}

module_init(vlan_proto_init);
MODULE_LICENSE("GPL");
