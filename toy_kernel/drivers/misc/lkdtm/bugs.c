// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include "lkdtm.h"

/* test_same_static_name: core.o of this module has one too */
/* test_ambiguous_name: so that only the object tells them apart */
static noinline void do_nothing(void)
{
	__asm__ volatile("");
}

/* test_cold_part: a whole function in .text.unlikely, and the branch to it in lkdtm_bugs.cold */
static noinline void __cold report(u32 seed)
{
	pr_info("lkdtm: seed %u\n", seed);
	pr_info("lkdtm: which must not be\n");
}

void lkdtm_bugs(u32 seed)
{
	do_nothing();
	if (unlikely(!seed)) {
		report(seed);
		do_nothing();
		report(~seed);
	}
	BUG_ON(seed > 1000);
}
