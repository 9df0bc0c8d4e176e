// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include <linux/string.h>

static struct proc_entry *entries;

void proc_create(struct proc_entry *entry)
{
	entry->next = entries;
	entries = entry;
}

/* Prints the file to the console. Returns -ENOENT if there is none of that name, or what its show function returned. */
int proc_print(const char *name)
{
	static struct seq_file m;
	struct proc_entry *entry;
	int status = -ENOENT;

	for (entry = entries; entry; entry = entry->next) {
		if (!strcmp(entry->name, name)) {
			status = entry->show(&m);
			seq_flush(&m);
			break;
		}
	}
	return status;
}

void proc_usage(void)
{
	static struct seq_file m;
	struct proc_entry *entry;

	seq_printf(&m, "usage: vmlinux [FILE]\nFILE is one of /proc:");
	for (entry = entries; entry; entry = entry->next)
		seq_printf(&m, " %s", entry->name);
	seq_printf(&m, "\n");
	seq_flush(&m);
}
