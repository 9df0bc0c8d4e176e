// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "ip_vs.h"

#define IPPROTO_TCP 6
#define SERVERS 4

static int __init ip_vs_init(void)
{
	const struct ip_vs_protocol *tcp = ip_vs_proto_get(IPPROTO_TCP);

	if (tcp)
		pr_info("ipvs: %s goes to server %u\n", tcp->name, tcp->hash(0x7f000001, 80) % SERVERS);
	return 0;
}

module_init(ip_vs_init);
MODULE_LICENSE("GPL");
