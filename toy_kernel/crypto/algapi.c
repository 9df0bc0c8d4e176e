// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crypto.h>
#include <linux/module.h>

/* test_same_static_name: init_once and show are in many objects, init_once twice in this module */
static int __init init_once(void)
{
	static const u8 digits[] = "123456789";
	const struct scatterlist list[] = { { digits, 4 }, { digits + 4, 5 } };
	const struct crypto_alg *alg = crypto_find_alg("crc32c");

	if (alg)
		pr_info("%s of the digits is %8x\n", alg->driver_name, crypto_digest(alg, list, ARRAY_SIZE(list)));
	return 0;
}
late_initcall(init_once);

MODULE_LICENSE("GPL");
