// SPDX-License-Identifier: GPL-2.0-only
#include <linux/device.h>
#include <linux/kernel.h>

int driver_register(const struct device_driver *driver)
{
	const struct device *device = bus_find_device(driver->id);

	return device ? driver->probe(device) : -ENODEV;
}
