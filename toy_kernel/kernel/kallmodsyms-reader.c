// SPDX-License-Identifier: GPL-2.0-only
/* The reader lies with the package, where the real kernel's provider takes it from too. */
#include <kallmodsyms.c>
