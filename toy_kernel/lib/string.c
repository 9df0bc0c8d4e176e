// SPDX-License-Identifier: GPL-2.0-only
#include <linux/string.h>

int memcmp(const void *left, const void *right, size_t length)
{
	const u8 *a = left, *b = right;

	for (; length; length--, a++, b++)
		if (*a != *b)
			return *a - *b;
	return 0;
}

size_t strlen(const char *string)
{
	const char *end = string;

	while (*end)
		end++;
	return end - string;
}

int strcmp(const char *left, const char *right)
{
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return (u8)*left - (u8)*right;
}

/* Copies what fits, always with a NUL; the length without it. */
size_t strscpy(char *to, const char *from, size_t size)
{
	size_t length = 0;

	for (; length + 1 < size && from[length]; length++)
		to[length] = from[length];
	to[length] = '\0';
	return length;
}
