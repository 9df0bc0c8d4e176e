/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

	/* The image is entered as a process: argc and argv are on the stack. */
	.section .head.text, "ax"
SYM_FUNC_START(startup_64)
	xorl	%ebp, %ebp
	movq	(%rsp), %rdi
	leaq	8(%rsp), %rsi
	leaq	init_stack_end(%rip), %rsp
	call	start_kernel
	ud2
SYM_FUNC_END(startup_64)

	.section .bss, "aw", @nobits
	.balign 16
	.skip	__init_stack_size
SYM_ENTRY(init_stack_end)

/* test_absolute_symbol: part of no section; kallsyms leaves it out */
	.globl	__init_stack_size
	.set	__init_stack_size, 0x8000
