/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SKBUFF_H
#define _LINUX_SKBUFF_H

#include <linux/types.h>

#define ETH_P_8021Q 0x8100

struct sk_buff {
	u8 *data;
	u32 len;
	u16 protocol;
	u16 vlan_tci;
	u8 head[128];
};

void skb_init(struct sk_buff *skb, u16 protocol);
u8 *skb_push(struct sk_buff *skb, u32 length);
u8 *skb_pull(struct sk_buff *skb, u32 length);

typedef bool (*packet_handler_t)(struct sk_buff *skb);
int dev_add_pack(packet_handler_t handler);
bool netif_receive_skb(struct sk_buff *skb);

bool vlan_do_receive(struct sk_buff *skb);

#endif
