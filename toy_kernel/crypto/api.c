// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crypto.h>
#include <linux/module.h>
#include <linux/string.h>

static struct crypto_alg *algorithms;

int crypto_register_alg(struct crypto_alg *alg)
{
	if (!alg->update)
		return -EINVAL;
	alg->next = algorithms;
	algorithms = alg;
	return 0;
}

void crypto_unregister_alg(struct crypto_alg *alg)
{
	struct crypto_alg **at = &algorithms;

	while (*at != alg) {
		BUG_ON(!*at);
		at = &(*at)->next;
	}
	*at = alg->next;
}

struct crypto_alg *crypto_first_alg(void)
{
	return algorithms;
}

struct crypto_alg *crypto_find_alg(const char *name)
{
	struct crypto_alg *alg, *best = NULL;

	for (alg = algorithms; alg; alg = alg->next)
		if (!strcmp(alg->name, name) && (!best || alg->priority > best->priority))
			best = alg;
	return best;
}

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Algorithm registration");
