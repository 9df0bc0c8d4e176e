// SPDX-License-Identifier: GPL-2.0-only
/* /proc/kallsyms and /proc/kallmodsyms of the toy kernel. */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/proc_fs.h>
#include "kallmodsyms.h"

static void emit(void *context, const char *text, unsigned long length)
{
	seq_write(context, text, length);
}

static int show(struct seq_file *m,
		void (*line)(const struct kallmodsyms_cursor *, bool, kallmodsyms_emit, void *))
{
	static struct kallmodsyms_tables tables;
	static struct kallmodsyms_cursor cursor;
	int status = kallmodsyms_linked(&tables);

	if (status) {
		seq_printf(m, "this image was linked without tables\n");
		return -ENODEV;
	}
	status = kallmodsyms_seek(&cursor, &tables, 0);
	while (!status) {
		status = kallmodsyms_next(&cursor);
		if (!status)
			line(&cursor, false, emit, m);
	}
	if (status == KALLMODSYMS_CORRUPT) {
		seq_printf(m, "%s is damaged at byte %lu\n", cursor.fault.table, cursor.fault.offset);
		return -EIO;
	}
	return 0;
}

static int kallsyms_show(struct seq_file *m)
{
	return show(m, kallmodsyms_emit_kallsyms);
}

static int kallmodsyms_show(struct seq_file *m)
{
	return show(m, kallmodsyms_emit_kallmodsyms);
}

static struct proc_entry kallsyms = { .name = "kallsyms", .show = kallsyms_show };
static struct proc_entry kallmodsyms = { .name = "kallmodsyms", .show = kallmodsyms_show };

static int __init kallsyms_init(void)
{
	proc_create(&kallsyms);
	proc_create(&kallmodsyms);
	return 0;
}
device_initcall(kallsyms_init);
