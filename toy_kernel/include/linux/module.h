/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_MODULE_H
#define _LINUX_MODULE_H

#include <linux/init.h>
#include <linux/kernel.h>

/* The same source is a built-in module or, with -DMODULE, a loadable one, which is entered through two fixed names. */
#ifdef MODULE
#define module_init(function)	int init_module(void) __cold __alias(function)
#define module_exit(function)	void cleanup_module(void) __cold __alias(function)
#define __MODULE_INFO_PREFIX
#else
#define module_init(function)	device_initcall(function)
#define module_exit(function)	__exitcall(function)
#define __MODULE_INFO_PREFIX	KBUILD_MODNAME "."
#endif

int init_module(void);
void cleanup_module(void);

#define __MODULE_INFO(tag, text) \
	static const char __modinfo_##tag[] __used __section(".modinfo") = __MODULE_INFO_PREFIX #tag "=" text
#define MODULE_LICENSE(text)		__MODULE_INFO(license, text)
#define MODULE_DESCRIPTION(text)	__MODULE_INFO(description, text)

#endif
