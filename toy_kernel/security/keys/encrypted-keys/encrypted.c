// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include "encrypted.h"

/* Without masterkey_trusted.o there is no master key. */
const struct key *__weak request_trusted_key(void)
{
	return NULL;
}

static int __init init_encrypted(void)
{
	const struct key *master = request_trusted_key();

	return master ? key_add("encrypted", ~master->payload) : 0;
}

module_init(init_encrypted);
MODULE_LICENSE("GPL");
