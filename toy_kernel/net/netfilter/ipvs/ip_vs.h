/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/types.h>

struct ip_vs_protocol {
	const char *name;
	u8 protocol;
	u32 (*hash)(u32 address, u16 port);
};

extern const struct ip_vs_protocol ip_vs_protocol_tcp, ip_vs_protocol_udp;

const struct ip_vs_protocol *ip_vs_proto_get(u8 protocol);
