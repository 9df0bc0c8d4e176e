/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KERNEL_H
#define _LINUX_KERNEL_H

#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define ALIGN(value, to)	(((value) + (to) - 1) & ~((unsigned long)(to) - 1))
#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - __builtin_offsetof(type, member)))

/* Put in place by the linker script. */
extern const char _stext[], _etext[], _sinittext[], _einittext[];

void setup_arch(void);
void console_write(const char *text, unsigned long length);
void machine_halt(int status) __noreturn;
void panic(const char *format, ...) __printf(1, 2) __noreturn __cold;

/* test_cold_part: the branch to a cold function goes to .text.unlikely, as NAME.cold */
#define BUG_ON(condition) \
	do { \
		if (unlikely(condition)) \
			panic("BUG at %s:%d\n", __FILE__, __LINE__); \
	} while (0)

#endif
