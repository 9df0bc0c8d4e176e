// SPDX-License-Identifier: GPL-2.0-only
#include "vlan.h"

#define VLAN_VID_MASK 0x0fff

bool vlan_dev_receive(struct sk_buff *skb)
{
	return vlan_do_receive(skb) && (skb->vlan_tci & VLAN_VID_MASK);
}
