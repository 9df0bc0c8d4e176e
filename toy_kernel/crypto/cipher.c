// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crypto.h>

void crypto_cipher_xor(u8 *to, const u8 *from, size_t length)
{
	while (length--)
		*to++ ^= *from++;
}
