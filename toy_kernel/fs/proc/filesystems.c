// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/proc_fs.h>

static int show(struct seq_file *m)
{
	struct file_system_type *type;

	for (type = first_filesystem(); type; type = type->next)
		seq_printf(m, "\t%s\n", type->name);
	return 0;
}

static struct proc_entry filesystems = { .name = "filesystems", .show = show };

static int __init proc_filesystems_init(void)
{
	proc_create(&filesystems);
	return 0;
}
device_initcall(proc_filesystems_init);
