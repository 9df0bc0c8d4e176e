// SPDX-License-Identifier: GPL-2.0-only
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/skbuff.h>

static packet_handler_t handlers[4];

int dev_add_pack(packet_handler_t handler)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(handlers); i++) {
		if (!handlers[i]) {
			handlers[i] = handler;
			return 0;
		}
	}
	return -ENOSPC;
}

/* True if somebody took the packet. */
bool netif_receive_skb(struct sk_buff *skb)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(handlers) && handlers[i]; i++)
		if (handlers[i](skb))
			return true;
	return false;
}

static int __init init_once(void)
{
	struct sk_buff skb;

	skb_init(&skb, ETH_P_8021Q);
	skb_push(&skb, 4)[1] = 7;
	if (netif_receive_skb(&skb))
		pr_info("net: packet of %u bytes for VLAN %u\n", skb.len, skb.vlan_tci);
	return 0;
}
late_initcall(init_once);
