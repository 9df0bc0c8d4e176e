/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_DEVICE_H
#define _LINUX_DEVICE_H

#include <linux/types.h>

struct device {
	u32 id;
	u32 revision;
};

struct device_driver {
	const char *name;
	u32 id;
	int (*probe)(const struct device *device);
};

int driver_register(const struct device_driver *driver);
const struct device *bus_find_device(u32 id);

#endif
