/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_CRYPTO_H
#define _LINUX_CRYPTO_H

#include <linux/types.h>

/* A digest of 32 bits; of several with one name, the one of the highest priority is used. */
struct crypto_alg {
	const char *name;
	const char *driver_name;
	int priority;
	u32 (*update)(u32 digest, const u8 *data, size_t length);
	struct crypto_alg *next;
};

struct scatterlist {
	const u8 *data;
	size_t length;
};

int crypto_register_alg(struct crypto_alg *alg);
void crypto_unregister_alg(struct crypto_alg *alg);
struct crypto_alg *crypto_first_alg(void);
struct crypto_alg *crypto_find_alg(const char *name);
void crypto_cipher_xor(u8 *to, const u8 *from, size_t length);
u32 crypto_digest(const struct crypto_alg *alg, const struct scatterlist *list, size_t count);

#endif
