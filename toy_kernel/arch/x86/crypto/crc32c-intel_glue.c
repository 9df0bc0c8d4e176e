// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crc.h>
#include <linux/crypto.h>
#include <linux/module.h>

#define CPUID_ECX_SSE4_2 (1u << 20)
#define CRC32C_OF_DIGITS 0xe3069283

u32 crc32c_intel_update(u32 crc, const u8 *data, size_t length);

static struct crypto_alg alg = {
	.name = "crc32c",
	.driver_name = "crc32c-intel",
	.priority = 200,
	.update = crc32c_intel_update,
};

static bool registered;

static int __init crc32c_intel_mod_init(void)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a" (eax), "=b" (ebx), "+c" (ecx), "=d" (edx));
	if (!(ecx & CPUID_ECX_SSE4_2))
		return 0;
	BUG_ON(!crc_selftest(crc32c_intel_update, CRC32C_OF_DIGITS));
	registered = true;
	return crypto_register_alg(&alg);
}

static void __exit crc32c_intel_mod_fini(void)
{
	if (registered)
		crypto_unregister_alg(&alg);
}

module_init(crc32c_intel_mod_init);
module_exit(crc32c_intel_mod_fini);
MODULE_LICENSE("GPL");
