/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/types.h>

void lkdtm_bugs(u32 seed);
u32 lkdtm_long_names(u32 seed);
