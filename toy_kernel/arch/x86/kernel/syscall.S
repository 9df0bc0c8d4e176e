/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

	.section .entry.text, "ax"
SYM_FUNC_START(syscall3)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	syscall
	ret
SYM_FUNC_END(syscall3)
