// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/sfp.h>

static u32 sockets;

int sfp_register_socket(u32 address)
{
	if (sockets & 1u << address)
		return -EEXIST;
	sockets |= 1u << address;
	return 0;
}
