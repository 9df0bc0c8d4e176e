/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_X86_LINKAGE_H
#define _ASM_X86_LINKAGE_H

#ifdef __ASSEMBLY__

#define SYM_ENTRY(name)		.globl name; name:
#define SYM_FUNC_START(name)	.globl name; .type name, @function; .balign 16; name:
#define SYM_FUNC_START_WEAK(name)	.weak name; .type name, @function; .balign 16; name:
#define SYM_FUNC_END(name)	.size name, . - name
#define SYM_FUNC_ALIAS(alias, name)	\
	.globl alias; .type alias, @function; .set alias, name; .size alias, . - name

#endif
#endif
