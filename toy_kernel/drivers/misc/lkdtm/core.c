// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kprobes.h>
#include <linux/module.h>
#include "lkdtm.h"

/* test_script_marker: the last function of its section */
static void __kprobes do_nothing(void)
{
	__asm__ volatile("");
}

static int __init lkdtm_module_init(void)
{
	do_nothing();
	lkdtm_bugs(1);
	return lkdtm_long_names(0) ? -EINVAL : 0;
}

static void __exit lkdtm_module_exit(void)
{
	do_nothing();
}

module_init(lkdtm_module_init);
module_exit(lkdtm_module_exit);
MODULE_LICENSE("GPL");
