/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

	.text
/* test_object_boundary: no size, at the first byte of a module's object */
	.balign	16
SYM_ENTRY(xor_text_start)
SYM_FUNC_START(xor_blocks)
	testq	%rdx, %rdx
	jz	2f
1:	movq	(%rsi), %rax
	xorq	%rax, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	decq	%rdx
	jnz	1b
2:	ret
SYM_FUNC_END(xor_blocks)
