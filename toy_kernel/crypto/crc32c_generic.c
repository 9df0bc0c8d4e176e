// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crypto.h>
#include <linux/module.h>

#define CRC32C_POLYNOMIAL 0x82f63b78

static u32 update(u32 crc, const u8 *data, size_t length)
{
	int bit;

	while (length--) {
		crc ^= *data++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
	}
	return crc;
}

static struct crypto_alg alg = {
	.name = "crc32c",
	.driver_name = "crc32c-generic",
	.priority = 100,
	.update = update,
};

static int __init crc32c_mod_init(void)
{
	return crypto_register_alg(&alg);
}

static void __exit crc32c_mod_fini(void)
{
	crypto_unregister_alg(&alg);
}

module_init(crc32c_mod_init);
module_exit(crc32c_mod_fini);
MODULE_LICENSE("GPL");
