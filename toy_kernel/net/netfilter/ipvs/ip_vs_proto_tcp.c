// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include "ip_vs.h"

/* test_same_static_name: the other protocol of this module has one too */
static u32 hash(u32 address, u16 port)
{
	return (address ^ port) * 31;
}

const struct ip_vs_protocol ip_vs_protocol_tcp = { .name = "TCP", .protocol = 6, .hash = hash };
