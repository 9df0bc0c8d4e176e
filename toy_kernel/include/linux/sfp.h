/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SFP_H
#define _LINUX_SFP_H

#include <linux/types.h>

u32 mdio_read(u32 address, u32 reg);
int sfp_register_socket(u32 address);

#endif
