// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>

void panic(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintk(format, arguments);
	va_end(arguments);
	machine_halt(1);
}
