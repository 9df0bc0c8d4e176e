// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/nls.h>

static u32 char2uni(u8 character)
{
	return character;
}

static struct nls_table table = { .charset = "iso8859-1", .char2uni = char2uni };

static int __init init_nls_iso8859_1(void)
{
	register_nls(&table);
	return load_nls("iso8859-1") == &table ? 0 : -ENOENT;
}

module_init(init_nls_iso8859_1);
MODULE_LICENSE("GPL");
