/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_SECTIONS_H
#define _ASM_SECTIONS_H

/* Where the image begins and ends: vmlinux.lds.S. The C reader of the tables asks whether a label lies in it. */
extern char _text[], _stext[], _etext[], _end[];

#endif
