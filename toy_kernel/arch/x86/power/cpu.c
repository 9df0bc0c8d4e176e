// SPDX-License-Identifier: GPL-2.0-only
#include <linux/init.h>
#include <linux/kernel.h>

struct saved_context {
	unsigned long flags;
};

static struct saved_context saved_context;

static int __init init_once(void)
{
	__asm__("pushfq; popq %0" : "=r" (saved_context.flags));
	return 0;
}
core_initcall(init_once);
