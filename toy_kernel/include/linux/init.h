/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_INIT_H
#define _LINUX_INIT_H

#include <linux/compiler.h>

/* test_init_text: an output section of its own */
#define __init		__section(".init.text") __cold
/* test_exit_text: kept, called when the toy halts */
#define __exit		__section(".exit.text") __used __cold
#define __initconst	__section(".init.rodata")

typedef int (*initcall_t)(void);
typedef void (*exitcall_t)(void);

#define __define_initcall(function, level) \
	static const initcall_t __initcall_##function __used __section(".initcall" #level ".init") = function

#define core_initcall(function)		__define_initcall(function, 1)
#define subsys_initcall(function)	__define_initcall(function, 4)
#define device_initcall(function)	__define_initcall(function, 6)
#define late_initcall(function)		__define_initcall(function, 7)

#define __exitcall(function) \
	static const exitcall_t __exitcall_##function __used __section(".exitcall.exit") = function

#endif
