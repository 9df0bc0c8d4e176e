/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/key.h>

const struct key *request_trusted_key(void);
