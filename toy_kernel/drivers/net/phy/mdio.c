// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sfp.h>

u32 mdio_read(u32 address, u32 reg)
{
	return address << 5 | reg;
}
