// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/string.h>

static struct file_system_type *file_systems;

static struct file_system_type **find_filesystem(const char *name)
{
	struct file_system_type **at = &file_systems;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

int register_filesystem(struct file_system_type *type)
{
	struct file_system_type **at = find_filesystem(type->name);

	if (*at)
		return -EEXIST;
	*at = type;
	return 0;
}

void unregister_filesystem(struct file_system_type *type)
{
	struct file_system_type **at = find_filesystem(type->name);

	BUG_ON(*at != type);
	*at = type->next;
}

struct file_system_type *first_filesystem(void)
{
	return file_systems;
}

int mount_any(struct super_block *sb, const void *image, size_t size)
{
	struct file_system_type *type;

	for (type = file_systems; type; type = type->next) {
		sb->type = type;
		if (!type->fill_super(sb, image, size))
			return 0;
	}
	return -ENODEV;
}
