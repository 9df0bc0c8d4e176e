// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads /proc/kallmodsyms while everything around it changes, for tests/test_races.py.
 *
 *   racing_reader read SECONDS SEED   short reads, seeks and whole listings, in turn. What each open file shows of the
 *                                     image must be what /shown has, or what /hidden has, and of the rest each line
 *                                     must be whole. Prints how many files it read.
 *   racing_reader hides FILE          prints "shown", or "hidden" where every line has zeros for address and size
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIZE (16 << 20)

static char shown[SIZE], hidden[SIZE], data[SIZE];

static size_t whole(const char *name, char *where)
{
	int file = open(name, O_RDONLY);
	size_t size = 0;
	ssize_t got;

	if (file < 0)
		return 0;
	while ((got = read(file, where + size, 1 + (size_t)rand() % 9000)) > 0)
		size += (size_t)got;
	close(file);
	if (got < 0)
		perror(name);
	return got < 0 ? 0 : size;
}

static void differs(const char *how, size_t at)
{
	printf("racing: %s differs at byte %zu\n", how, at);
	exit(1);
}

/* A line of something that was loaded: ADDRESS SIZE TYPE NAME<TAB>[MODULE]. TYPE may be ? while a module comes. */
static bool loaded_line(const char *line, const char *end)
{
	const char *tab = memchr(line, '\t', (size_t)(end - line));
	int space = 0;

	for (; line < end && space < 2; line++) {
		space += *line == ' ';
		if (!isxdigit((unsigned char)*line) && *line != ' ')
			return false;
	}
	return tab && end - line > 4 && isgraph((unsigned char)line[0]) && line[1] == ' ' && tab[1] == '[' && end[-1] == ']';
}

/* Which of the two begins as what was read does. The first lines, of per-CPU symbols, may be the same. */
static const char *seen(size_t got)
{
	return memcmp(data, shown, got < 4000 ? got : 4000) ? hidden : shown;
}

static void read_for(int seconds)
{
	size_t sizes[2] = { whole("/shown", shown), whole("/hidden", hidden) };
	time_t end = time(NULL) + seconds;
	int files = 0;

	if (!sizes[0] || !sizes[1])
		differs("nothing at all", 0);
	while (time(NULL) < end) {
		int file = open("/proc/kallmodsyms", O_RDONLY), i;
		const char *expected = NULL;
		size_t size = 0, got;

		if (rand() % 2) {
			close(file);
			got = whole("/proc/kallmodsyms", data);
			expected = seen(got);
			size = sizes[expected == hidden];
			if (got < size || memcmp(data, expected, size))
				differs("a whole listing", got);
			while (size < got) {
				char *stop = memchr(data + size, '\n', got - size);

				if (!stop || !loaded_line(data + size, stop)) {
					printf("racing: %.100s\n", data + size);
					differs("a line of something loaded", size);
				}
				size = (size_t)(stop - data) + 1;
			}
		} else {
			for (i = 0; i < 8; i++) {
				size_t at = (size_t)rand() % sizes[1], want = 1 + (size_t)rand() % 5000;
				ssize_t found = pread(file, data, i ? want : 4000, i ? (off_t)at : 0);

				if (found <= 0)
					differs("a seek", at);
				if (!i) {
					expected = seen((size_t)found);
					at = 0;
				}
				size = sizes[expected == hidden];
				if (at + (size_t)found < size)
					size = at + (size_t)found;
				if (memcmp(data, expected + at, size - at))
					differs("what a seek found", at);
			}
			close(file);
		}
		files++;
	}
	printf("racing: %d files\n", files);
}

static void hides(const char *name)
{
	size_t size = whole(name, data), at = 0;
	bool zeros = true;

	while (at < size) {
		const char *stop = memchr(data + at, '\n', size - at);
		char *rest;

		if (strtoull(data + at, &rest, 16))
			zeros = false;
		/* /proc/kallsyms has a letter there, of which the lower-case d might be a number. */
		if (strstr(name, "mod") && strtoull(rest, NULL, 16))
			zeros = false;
		at = stop ? (size_t)(stop - data) + 1 : size;
	}
	puts(!size ? "nothing" : zeros ? "hidden" : "shown");
}

int main(int argc, char **argv)
{
	if (argc == 4) {
		srand((unsigned int)atoi(argv[3]));
		read_for(atoi(argv[2]));
	} else if (argc == 3) {
		hides(argv[2]);
	}
	return 0;
}
