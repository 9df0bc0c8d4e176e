// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

void xor_blocks(u64 *to, const u64 *from, size_t words);

static int __init calibrate_xor_blocks(void)
{
	u64 to[2] = { 1, 2 };
	const u64 from[2] = { 3, 4 };

	xor_blocks(to, from, ARRAY_SIZE(to));
	BUG_ON(to[0] != 2 || to[1] != 6);
	return 0;
}

module_init(calibrate_xor_blocks);
MODULE_LICENSE("GPL");
