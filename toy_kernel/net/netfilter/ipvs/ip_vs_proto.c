// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include "ip_vs.h"

static const struct ip_vs_protocol *const protocols[] = {
#ifdef CONFIG_IP_VS_PROTO_TCP
	&ip_vs_protocol_tcp,
#endif
#ifdef CONFIG_IP_VS_PROTO_UDP
	&ip_vs_protocol_udp,
#endif
};

const struct ip_vs_protocol *ip_vs_proto_get(u8 protocol)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(protocols); i++)
		if (protocols[i]->protocol == protocol)
			return protocols[i];
	return NULL;
}
