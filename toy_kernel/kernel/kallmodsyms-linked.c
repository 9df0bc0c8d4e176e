// SPDX-License-Identifier: GPL-2.0-only
#include <kallmodsyms_linked.c>
