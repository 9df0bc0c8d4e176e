// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks kallmodsyms_address() of the running kernel, and prints the answers:
 * insmod kernel_user.ko function=ADDRESS_OF_IT length=BYTES addresses=A,B,...
 */
#include <linux/module.h>

#include "kallmodsyms.h"

static unsigned long function, length = 100, addresses[100];
static int count;
module_param(function, ulong, 0);
module_param(length, ulong, 0);
module_param_array(addresses, ulong, &count, 0);

static struct kallmodsyms_cursor cursor;
static char list[100];

static int __init kernel_user_init(void)
{
	typeof(kallmodsyms_address) *ask = (void *)function;
	int i;

	for (i = 0; i < count; i++) {
		int status = ask(&cursor, addresses[i], list, length);

		if (status == KALLMODSYMS_END)
			pr_info("asked %lx: nothing\n", addresses[i]);
		else
			pr_info("asked %lx: %d %lx %lx %s [%s]\n", addresses[i], status,
				cursor.symbol.address, cursor.symbol.size, cursor.symbol.name,
				length ? list : "");
	}
	return 0;
}
module_init(kernel_user_init);

static void __exit kernel_user_exit(void)
{
}
module_exit(kernel_user_exit);

MODULE_LICENSE("GPL");
