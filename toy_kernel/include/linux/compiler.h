/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __LINUX_COMPILER_H
#define __LINUX_COMPILER_H

#define __section(name)		__attribute__((section(name)))
#define __used			__attribute__((used))
#define __cold			__attribute__((cold))
#define __noreturn		__attribute__((noreturn))
#define __weak			__attribute__((weak))
#define __alias(name)		__attribute__((alias(#name)))
#define __aligned(bytes)	__attribute__((aligned(bytes)))
#define __packed		__attribute__((packed))
#define __maybe_unused		__attribute__((unused))
#define __printf(text, first)	__attribute__((format(printf, text, first)))
#define noinline		__attribute__((noinline))

#define likely(condition)	__builtin_expect(!!(condition), 1)
#define unlikely(condition)	__builtin_expect(!!(condition), 0)

#endif
