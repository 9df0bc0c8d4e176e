/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __LINUX_PERCPU_H
#define __LINUX_PERCPU_H

#include <linux/types.h>

/* The symbol of a per-CPU variable is its offset from the start of the area of whichever CPU. */
#ifdef CONFIG_SMP
#define DEFINE_PER_CPU(type, name)	type name __section(".data..percpu")
#define this_cpu_ptr(pointer) \
	((__typeof__(pointer))((unsigned long)(pointer) + this_cpu_offset()))

unsigned long this_cpu_offset(void);
#else
#define DEFINE_PER_CPU(type, name)	type name
#define this_cpu_ptr(pointer)		(pointer)
#endif

#endif
