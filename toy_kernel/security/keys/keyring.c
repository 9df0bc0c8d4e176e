// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/key.h>
#include <linux/string.h>

static struct key keyring[8];
static size_t keys;

int key_add(const char *type, u64 payload)
{
	if (keys == ARRAY_SIZE(keyring))
		return -ENOSPC;
	keyring[keys++] = (struct key){ type, payload };
	return 0;
}

const struct key *request_key(const char *type)
{
	size_t i;

	for (i = 0; i < keys; i++)
		if (!strcmp(keyring[i].type, type))
			return &keyring[i];
	return NULL;
}
