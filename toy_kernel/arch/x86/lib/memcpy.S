/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

	.text
/* test_alias: two names, one address, one size */
SYM_FUNC_START(__memcpy)
	movq	%rdi, %rax
	movq	%rdx, %rcx
	rep movsb
	ret
SYM_FUNC_END(__memcpy)
SYM_FUNC_ALIAS(memcpy, __memcpy)
