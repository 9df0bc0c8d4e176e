/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KPROBES_H
#define _LINUX_KPROBES_H

#include <linux/compiler.h>

/* Functions that may not be probed lie between __kprobes_text_start and __kprobes_text_end. */
#define __kprobes	__section(".kprobes.text") noinline

#endif
