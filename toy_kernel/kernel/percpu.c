// SPDX-License-Identifier: GPL-2.0-only
#include <linux/percpu.h>

extern char __per_cpu_area[];

/* There is one CPU, and its area starts where the linker script put it. */
unsigned long this_cpu_offset(void)
{
	return (unsigned long)__per_cpu_area;
}
