/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KERNEL_PRINTK__
#define __KERNEL_PRINTK__

#include <linux/stdarg.h>
#include <linux/types.h>

#ifndef pr_fmt
#define pr_fmt(format) format
#endif

/* Know %s, %c, %d, %u, %x, %lu, %lx, %% and a width with leading zeros. */
int vscnprintf(char *buffer, size_t size, const char *format, va_list arguments);
int scnprintf(char *buffer, size_t size, const char *format, ...) __printf(3, 4);

void vprintk(const char *format, va_list arguments);
void printk(const char *format, ...) __printf(1, 2);
void printk_quiet(void);

#define pr_info(format, ...)	printk(pr_fmt(format), ##__VA_ARGS__)

#endif
