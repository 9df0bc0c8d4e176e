// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/percpu.h>

static DEFINE_PER_CPU(u32, printk_lines);
static bool quiet;

void printk_quiet(void)
{
	quiet = true;
}

void vprintk(const char *format, va_list arguments)
{
	char line[256];
	int length = vscnprintf(line, sizeof(line), format, arguments);

	++*this_cpu_ptr(&printk_lines);
	console_write(line, length);
}

void printk(const char *format, ...)
{
	va_list arguments;

	if (quiet)
		return;
	va_start(arguments, format);
	vprintk(format, arguments);
	va_end(arguments);
}
