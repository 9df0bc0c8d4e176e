/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_PROC_FS_H
#define _LINUX_PROC_FS_H

#include <linux/seq_file.h>

struct proc_entry {
	const char *name;
	int (*show)(struct seq_file *m);
	struct proc_entry *next;
};

void proc_create(struct proc_entry *entry);

#endif
