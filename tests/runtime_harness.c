// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs pipeline/kallmodsyms/runtime on tables from standard input, for tests/test_runtime.py. Every table lies in an
 * allocation of exactly its size, so that AddressSanitizer sees the first byte read past it.
 *
 * A case, in the byte order of this program: 32-bit encoding, symbols, runs, exceptions, objects, high and low half of
 * the relative base, which is also where the tables of addresses pretend to be; then each table of struct
 * kallmodsyms_tables in order: 32-bit length, or ABSENT, and the bytes.
 *
 *   harness kallmodsyms|kallsyms|hidden   the whole listing (hidden: as kallmodsyms, without privilege)
 *   harness seek INDEX...                 the line of kallmodsyms at each index
 *   harness lookup ADDRESS...             "INDEX MODULES": what kallmodsyms_lookup() finds
 *   harness fuzz                          any number of cases, each listed, sought and looked up; prints each outcome
 *
 * With LIBFUZZER defined, what clang's -fsanitize=fuzzer drives: a case from memory, as "fuzz" does it.
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

/* Bytes that no table of a case reaches. */
#define TOO_LONG (1u << 24)

enum loaded { AT_THE_END, CUT_OFF, LOADED };

static enum loaded load(FILE *input)
{
	struct kallmodsyms_table *const all[] = {
		&tables.addresses, &tables.names, &tables.markers, &tables.token_table, &tables.token_index,
		&tables.module_addresses, &tables.modules, &tables.module_names, &tables.module_exceptions,
		&tables.sizes, &tables.size_codes, &tables.size_markers, &tables.objects, &tables.object_names,
	};
	u32 numbers[7];
	size_t found = fread(numbers, sizeof(*numbers), 7, input), i;

	if (found < 7)
		return found ? CUT_OFF : AT_THE_END;
	tables.encoding = numbers[0];
	tables.num_syms = numbers[1];
	tables.num_modules = numbers[2];
	tables.num_exceptions = numbers[3];
	tables.num_objects = numbers[4];
	tables.relative_base = (unsigned long)((unsigned long long)numbers[5] << 32 | numbers[6]);
	tables.addresses.address = tables.module_addresses.address = tables.relative_base;
	for (i = 0; i < sizeof(all) / sizeof(*all); i++) {
		u32 length;

		free((void *)all[i]->data);
		all[i]->data = NULL;
		all[i]->bytes = 0;
		if (!fread(&length, sizeof(length), 1, input))
			return CUT_OFF;
		if (length == ABSENT)
			continue;
		if (length > TOO_LONG)
			return CUT_OFF;
		all[i]->data = malloc(length);
		all[i]->bytes = length;
		if (fread((void *)all[i]->data, 1, length, input) != length)
			return CUT_OFF;
	}
	return LOADED;
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

/* All that a reader may ask for, sound or not. Returns the table in which the listing found damage, or "sound". */
static const char *fuzz(void)
{
	u32 probes[] = { 1, 255, 256, 257, tables.num_syms / 2, tables.num_syms - 1, tables.num_syms, ABSENT };
	const char *outcome = list("kallmodsyms", count) == KALLMODSYMS_CORRUPT ? cursor.fault.table : "sound";
	u32 modules;
	size_t i;

	for (i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		if (!seek(probes[i]))
			kallmodsyms_lookup(&cursor, &tables, cursor.symbol.address + i, &modules);
		kallmodsyms_lookup(&cursor, &tables, tables.relative_base + 16 * probes[i], &modules);
	}
	for (i = 0; i < sizeof(unsigned long) * 8; i++)
		kallmodsyms_lookup(&cursor, &tables, (1ul << i) - 1, &modules);
	return outcome;
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	FILE *input = size ? fmemopen((void *)data, size, "r") : NULL;

	if (!input)
		return 0;
	if (load(input) == LOADED)
		fuzz();
	fclose(input);
	return 0;
}

#else

int main(int argc, char **argv)
{
	enum loaded loaded;
	u32 modules;
	int status = 0, i;

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "fuzz")) {
		while ((loaded = load(stdin)) == LOADED)
			puts(fuzz());
		return loaded == CUT_OFF;
	}
	if (load(stdin) != LOADED)
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

#endif
