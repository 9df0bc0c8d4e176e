// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/skbuff.h>

void skb_init(struct sk_buff *skb, u16 protocol)
{
	skb->data = skb->head + sizeof(skb->head);
	skb->len = 0;
	skb->protocol = protocol;
	skb->vlan_tci = 0;
}

static void __cold skb_panic(const struct sk_buff *skb, u32 length)
{
	panic("skb: %u bytes do not go with %u\n", length, skb->len);
}

u8 *skb_push(struct sk_buff *skb, u32 length)
{
	if (unlikely(length > skb->data - skb->head))
		skb_panic(skb, length);
	skb->len += length;
	return skb->data -= length;
}

u8 *skb_pull(struct sk_buff *skb, u32 length)
{
	if (unlikely(length > skb->len))
		skb_panic(skb, length);
	skb->len -= length;
	return skb->data += length;
}
