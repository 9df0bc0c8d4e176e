/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_NLS_H
#define _LINUX_NLS_H

#include <linux/types.h>

struct nls_table {
	const char *charset;
	u32 (*char2uni)(u8 character);
	struct nls_table *next;
};

void register_nls(struct nls_table *table);
struct nls_table *load_nls(const char *charset);

#endif
