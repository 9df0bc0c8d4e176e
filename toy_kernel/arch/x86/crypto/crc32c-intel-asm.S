/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

	.text
SYM_FUNC_START(crc32c_intel_update)
	movl	%edi, %eax
	testq	%rdx, %rdx
	jz	2f
1:	crc32b	(%rsi), %eax
	incq	%rsi
	decq	%rdx
	jnz	1b
2:	ret
SYM_FUNC_END(crc32c_intel_update)
/* test_object_boundary: no size, at the very end of a module's object; what follows is another module's */
	.balign	16
SYM_ENTRY(crc32c_intel_text_end)
