// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>

void print_hex_dump(const void *data, size_t length)
{
	const u8 *byte = data;

	for (; length; length--, byte++)
		printk("%2x%c", *byte, length == 1 ? '\n' : ' ');
}
