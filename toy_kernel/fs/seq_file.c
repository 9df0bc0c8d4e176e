// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/seq_file.h>
#include <linux/string.h>

void seq_flush(struct seq_file *m)
{
	console_write(m->buf, m->count);
	m->count = 0;
}

void seq_write(struct seq_file *m, const char *text, size_t length)
{
	while (length) {
		size_t part = min(length, sizeof(m->buf) - m->count);

		memcpy(m->buf + m->count, text, part);
		m->count += part;
		text += part;
		length -= part;
		if (m->count == sizeof(m->buf))
			seq_flush(m);
	}
}

void seq_printf(struct seq_file *m, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	seq_write(m, text, vscnprintf(text, sizeof(text), format, arguments));
	va_end(arguments);
}
