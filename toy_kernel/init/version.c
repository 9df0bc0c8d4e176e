// SPDX-License-Identifier: GPL-2.0-only
#include <linux/utsname.h>

const char linux_banner[] = "Linux toy version " UTS_RELEASE " (" CONFIG_DEFAULT_HOSTNAME ")";
