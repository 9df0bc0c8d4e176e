/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __LINUX_KCONFIG_H
#define __LINUX_KCONFIG_H

#include <generated/autoconf.h>

/* 1 where the option is y (IS_BUILTIN) or y or m (IS_ENABLED), else 0; usable in C expressions. */
#define __is_one_1		0,
#define __second(ignored, value, ...)	value
#define ___is_one(or_junk)	__second(or_junk 1, 0)
#define __is_one(value)		___is_one(__is_one_##value)
#define IS_BUILTIN(option)	__is_one(option)
#define IS_MODULE(option)	__is_one(option##_MODULE)
#define IS_ENABLED(option)	(IS_BUILTIN(option) || IS_MODULE(option))

#endif
