// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crypto.h>

u32 crypto_digest(const struct crypto_alg *alg, const struct scatterlist *list, size_t count)
{
	u32 digest = ~0u;

	for (; count; count--, list++)
		digest = alg->update(digest, list->data, list->length);
	return ~digest;
}
