// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs pipeline/kallmodsyms/runtime on tables from standard input, for tests/test_runtime.py. Every table lies in an
 * allocation of exactly its size, so that AddressSanitizer sees the first byte read past it.
 *
 * A case, in the byte order of this program: 32-bit encoding, symbols, runs, exceptions, objects, high and low half of
 * the relative base, which is also where the tables of addresses pretend to be; then each table of struct kallmodsyms_tables in order: 32-bit length, or ABSENT, and the bytes.
 *
 *   harness kallmodsyms|kallsyms|hidden   the whole listing (hidden: as kallmodsyms, without privilege)
 *   harness seek INDEX...                 the line of kallmodsyms at each index
 *   harness lookup ADDRESS...             "INDEX MODULES": what kallmodsyms_lookup() finds
 *   harness fuzz                          any number of cases, each listed, sought and looked up; prints each outcome
 *
 * A damaged table ends the first three with status 3 and "TABLE OFFSET" on standard error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kallmodsyms.h"

#define ABSENT 0xffffffffu
#define STATUS_CORRUPT 3

static struct kallmodsyms_tables tables;
static struct kallmodsyms_cursor cursor;
static unsigned long emitted;

static void print(void *context, const char *text, unsigned long length)
{
	fwrite(text, 1, length, context);
}

static void count(void *context, const char *text, unsigned long length)
{
	(void)context;
	for (; length; length--)
		emitted += (unsigned char)*text++;
}

static bool read_number(u32 *number)
{
	return fread(number, sizeof(*number), 1, stdin) == 1;
}

static u32 need_number(void)
{
	u32 number;

	if (!read_number(&number))
		exit(1);
	return number;
}

static bool load(void)
{
	struct kallmodsyms_table *const all[] = {
		&tables.addresses, &tables.names, &tables.markers, &tables.token_table, &tables.token_index,
		&tables.module_addresses, &tables.modules, &tables.module_names, &tables.module_exceptions,
		&tables.sizes, &tables.size_codes, &tables.size_markers, &tables.objects, &tables.object_names,
	};
	unsigned long long base;
	u32 encoding;
	size_t i;

	if (!read_number(&encoding))
		return false;
	tables.encoding = encoding;
	tables.num_syms = need_number();
	tables.num_modules = need_number();
	tables.num_exceptions = need_number();
	tables.num_objects = need_number();
	base = (unsigned long long)need_number() << 32;
	tables.relative_base = (unsigned long)(base | need_number());
	tables.addresses.address = tables.module_addresses.address = tables.relative_base;
	for (i = 0; i < sizeof(all) / sizeof(*all); i++) {
		u32 length = need_number();

		free((void *)all[i]->data);
		all[i]->data = NULL;
		all[i]->bytes = 0;
		if (length == ABSENT)
			continue;
		all[i]->data = malloc(length);
		all[i]->bytes = length;
		if (fread((void *)all[i]->data, 1, length, stdin) != length)
			exit(1);
	}
	return true;
}

static int finish(int status)
{
	if (status != KALLMODSYMS_CORRUPT)
		return 0;
	fprintf(stderr, "%s %lu\n", cursor.fault.table, cursor.fault.offset);
	return STATUS_CORRUPT;
}

static int list(const char *format, kallmodsyms_emit emit)
{
	int status = kallmodsyms_seek(&cursor, &tables, 0);

	while (!status) {
		status = kallmodsyms_next(&cursor);
		if (status)
			break;
		if (strcmp(format, "kallsyms"))
			kallmodsyms_emit_kallmodsyms(&cursor, !strcmp(format, "hidden"), emit, stdout);
		else
			kallmodsyms_emit_kallsyms(&cursor, false, emit, stdout);
	}
	return status;
}

static int seek(u32 index)
{
	int status = kallmodsyms_seek(&cursor, &tables, index);

	return status ? status : kallmodsyms_next(&cursor);
}

/* Positions that a reader may ask for, sound or not. */
static void fuzz(void)
{
	u32 probes[] = { 1, 255, 256, 257, tables.num_syms / 2, tables.num_syms - 1, tables.num_syms, ABSENT };
	u32 modules;
	size_t i;
	int status = list("kallmodsyms", count);

	printf("%s\n", status == KALLMODSYMS_CORRUPT ? cursor.fault.table : "sound");
	for (i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		if (!seek(probes[i]))
			kallmodsyms_lookup(&cursor, &tables, cursor.symbol.address + i, &modules);
		kallmodsyms_lookup(&cursor, &tables, tables.relative_base + 16 * probes[i], &modules);
	}
	for (i = 0; i < sizeof(unsigned long) * 8; i++)
		kallmodsyms_lookup(&cursor, &tables, (1ul << i) - 1, &modules);
}

int main(int argc, char **argv)
{
	u32 modules;
	int status = 0, i;

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "fuzz")) {
		while (load())
			fuzz();
		return 0;
	}
	if (!load())
		return 1;
	if (strcmp(argv[1], "seek") && strcmp(argv[1], "lookup"))
		return finish(list(argv[1], print));
	for (i = 2; i < argc && status >= 0; i++) {
		unsigned long long number = strtoull(argv[i], NULL, 0);

		if (!strcmp(argv[1], "seek")) {
			status = seek((u32)number);
			if (!status)
				kallmodsyms_emit_kallmodsyms(&cursor, false, print, stdout);
		} else {
			status = kallmodsyms_lookup(&cursor, &tables, (unsigned long)number, &modules);
			if (!status)
				printf("%lu %lu\n", (unsigned long)cursor.symbol.index, (unsigned long)modules);
		}
		if (status == KALLMODSYMS_END)
			puts("end");
	}
	return finish(status);
}
