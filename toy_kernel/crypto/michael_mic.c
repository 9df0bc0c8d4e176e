// SPDX-License-Identifier: GPL-2.0-only
/* test_loadable_module: one object, =m in the default configuration */
#include <linux/crypto.h>
#include <linux/module.h>

static u32 rol(u32 word, int bits)
{
	return word << bits | word >> (32 - bits);
}

static u32 update(u32 state, const u8 *data, size_t length)
{
	while (length--)
		state = rol(state ^ *data++, 17) + rol(state, 3);
	return state;
}

static struct crypto_alg alg = {
	.name = "michael_mic",
	.driver_name = "michael_mic-generic",
	.update = update,
};

static int __init michael_mic_init(void)
{
	return crypto_register_alg(&alg);
}

static void __exit michael_mic_exit(void)
{
	crypto_unregister_alg(&alg);
}

module_init(michael_mic_init);
module_exit(michael_mic_exit);
MODULE_LICENSE("GPL");
