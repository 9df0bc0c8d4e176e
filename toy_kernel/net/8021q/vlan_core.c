// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/skbuff.h>

bool vlan_do_receive(struct sk_buff *skb)
{
	const u8 *tag = skb->data;

	if (skb->protocol != ETH_P_8021Q || unlikely(skb->len < 4))
		return false;
	skb->vlan_tci = tag[0] << 8 | tag[1];
	skb_pull(skb, 4);
	return true;
}
