/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/skbuff.h>

bool vlan_dev_receive(struct sk_buff *skb);
