// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/nls.h>
#include <linux/string.h>

static u32 char2uni(u8 character)
{
	return character < 0x80 ? character : '?';
}

static struct nls_table default_table = { .charset = "ascii", .char2uni = char2uni };
static struct nls_table *tables = &default_table;

void register_nls(struct nls_table *table)
{
	table->next = tables;
	tables = table;
}

/* The table of that character set, or the default one. */
struct nls_table *load_nls(const char *charset)
{
	struct nls_table *table;

	for (table = tables; table; table = table->next)
		if (!strcmp(table->charset, charset))
			return table;
	return &default_table;
}

MODULE_LICENSE("GPL");
