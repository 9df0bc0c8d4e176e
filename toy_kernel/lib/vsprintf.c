// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>

struct output {
	char *at, *end;
};

static void put(struct output *out, char character)
{
	if (out->at < out->end)
		*out->at++ = character;
}

static void put_number(struct output *out, unsigned long number, unsigned int base, int width)
{
	char digits[20];
	int count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number);
	for (; width > count; width--)
		put(out, '0');
	while (count)
		put(out, digits[--count]);
}

static void put_signed(struct output *out, int number)
{
	if (number < 0)
		put(out, '-');
	put_number(out, number < 0 ? -(long)number : number, 10, 0);
}

/* Returns the length of what fitted, without the NUL that always follows. */
int vscnprintf(char *buffer, size_t size, const char *format, va_list arguments)
{
	struct output out = { buffer, buffer + size - 1 };

	for (; *format; format++) {
		bool is_long = false;
		const char *string;
		int width = 0;

		if (*format != '%') {
			put(&out, *format);
			continue;
		}
		while (*++format >= '0' && *format <= '9')
			width = 10 * width + *format - '0';
		if (*format == 'l') {
			is_long = true;
			format++;
		}
		switch (*format) {
		case 's':
			for (string = va_arg(arguments, const char *); *string; string++)
				put(&out, *string);
			break;
		case 'c':
			put(&out, va_arg(arguments, int));
			break;
		case 'd':
			put_signed(&out, va_arg(arguments, int));
			break;
		case 'u':
		case 'x':
			put_number(&out, is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned int),
				   *format == 'x' ? 16 : 10, width);
			break;
		default:
			put(&out, *format);
		}
	}
	*out.at = '\0';
	return out.at - buffer;
}

int scnprintf(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vscnprintf(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}
