/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_X86_SYSCALL_H
#define _ASM_X86_SYSCALL_H

/* What the toy kernel asks of the kernel that it runs on. Numbers from its arch/x86/entry/syscalls/syscall_64.tbl. */
#define __NR_write	1
#define __NR_exit_group	231

#ifndef __ASSEMBLY__
long syscall3(long number, long first, long second, long third);
#endif

#endif
