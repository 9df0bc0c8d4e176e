/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KEY_H
#define _LINUX_KEY_H

#include <linux/types.h>

struct key {
	const char *type;
	u64 payload;
};

int key_add(const char *type, u64 payload);
const struct key *request_key(const char *type);

#endif
