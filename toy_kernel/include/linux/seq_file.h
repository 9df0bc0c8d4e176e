/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SEQ_FILE_H
#define _LINUX_SEQ_FILE_H

#include <linux/types.h>

/* Text on its way to the console. */
struct seq_file {
	size_t count;
	char buf[4096];
};

void seq_write(struct seq_file *m, const char *text, size_t length);
void seq_printf(struct seq_file *m, const char *format, ...) __printf(2, 3);
void seq_flush(struct seq_file *m);

#endif
