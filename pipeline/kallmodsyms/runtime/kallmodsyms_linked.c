// SPDX-License-Identifier: GPL-2.0-only
/*
 * Enters: the kallsyms_* labels of the image that this file is linked into. Leaves: the tables as
 * the reader takes them.
 *
 * All labels are weak, so that the image links before its tables exist. Which of kallsyms_offsets
 * and kallsyms_addresses is there says how addresses are encoded; that per-CPU symbols are absolute
 * cannot be seen, so the kernel's option says it.
 */
#include "kallmodsyms.h"

#ifdef __KERNEL__
#include <linux/mm.h>
#include <asm/sections.h>

/* A User Mode Linux does not have it. */
extern char __end_rodata[] __attribute__((weak));
#endif

#define TABLE(type, name) extern const type name[] __attribute__((weak))

TABLE(u32, kallsyms_offsets);
TABLE(unsigned long, kallsyms_addresses);
TABLE(unsigned long, kallsyms_relative_base);
TABLE(u32, kallsyms_num_syms);
TABLE(u8, kallsyms_names);
TABLE(u32, kallsyms_names_len);
TABLE(u32, kallsyms_markers);
TABLE(u8, kallsyms_token_table);
TABLE(u32, kallsyms_token_table_len);
TABLE(u16, kallsyms_token_index);

TABLE(u32, kallsyms_module_offsets);
TABLE(unsigned long, kallsyms_module_addresses);
TABLE(u32, kallsyms_modules);
TABLE(u32, kallsyms_num_modules);
TABLE(u8, kallsyms_module_names);
TABLE(u32, kallsyms_module_names_len);
TABLE(u32, kallsyms_module_exceptions);
TABLE(u32, kallsyms_num_module_exceptions);

TABLE(unsigned long, kallsyms_sizes);
TABLE(u8, kallsyms_size_codes);
TABLE(u32, kallsyms_size_codes_len);
TABLE(u32, kallsyms_size_markers);

TABLE(u32, kallsyms_objects);
TABLE(u32, kallsyms_num_objects);
TABLE(u8, kallsyms_object_names);
TABLE(u32, kallsyms_object_names_len);

/*
 * Whether the image has a label. One that it lacks is 0; but a kernel that moves itself when it
 * starts (KASLR) adds the distance to such a 0 too.
 */
static bool present(const void *label)
{
#ifdef __KERNEL__
	return (unsigned long)label >= (unsigned long)_stext &&
	       (unsigned long)label < (unsigned long)_end;
#else
	return label;
#endif
}

/*
 * How kallsyms_offsets holds an address. Since Linux 7.0 there is no base: where the kernel can move, and on 64 bits, an
 * address is its distance from the entry; elsewhere the offset is the address.
 */
static enum kallmodsyms_encoding offsets_encoding(void)
{
#ifdef CONFIG_KALLSYMS_ABSOLUTE_PERCPU
	return KALLMODSYMS_OFFSETS_PERCPU;
#else
#ifdef CONFIG_RELOCATABLE
	const bool moves = true;
#else
	const bool moves = sizeof(long) == 8;
#endif
	return !present(kallsyms_relative_base) && moves ? KALLMODSYMS_DISTANCES :
							    KALLMODSYMS_OFFSETS;
#endif
}

/*
 * How many bytes there may be from a label on: to the end of the kernel's constants, since what lies behind may be
 * gone after boot. A length in a damaged image does not lead further.
 */
static unsigned long room(const void *label)
{
#ifdef __KERNEL__
	const unsigned long start = (unsigned long)label;

	if (start < (unsigned long)__end_rodata)
		return (unsigned long)__end_rodata - start;
	return (unsigned long)_end - start;
#else
	(void)label;
	return ~0ul;
#endif
}

/* The number that a label marks, 0 where the image has no such label. */
static u32 number(const u32 *label)
{
	return present(label) ? *label : 0;
}

static struct kallmodsyms_table table(const void *label, unsigned long entries,
				      unsigned long entry_bytes)
{
	struct kallmodsyms_table found = { NULL, 0, 0 };

	if (present(label)) {
		found.data = label;
		found.address = (unsigned long)label;
		found.bytes = room(label) / entry_bytes < entries ? room(label) : entries * entry_bytes;
	}
	return found;
}

int kallmodsyms_linked(struct kallmodsyms_tables *tables)
{
	unsigned long syms = number(kallsyms_num_syms), runs = number(kallsyms_num_modules);
	unsigned long markers = syms / 256 + !!(syms % 256);

	if (!present(kallsyms_num_syms) || !present(kallsyms_num_modules))
		return KALLMODSYMS_MISSING;
	tables->num_syms = syms;
	tables->num_modules = runs;
	tables->num_exceptions = number(kallsyms_num_module_exceptions);
	tables->num_objects = number(kallsyms_num_objects);
	if (present(kallsyms_offsets)) {
		tables->encoding = offsets_encoding();
		tables->relative_base = present(kallsyms_relative_base) ? *kallsyms_relative_base : 0;
		tables->addresses = table(kallsyms_offsets, syms, sizeof(*kallsyms_offsets));
		tables->module_addresses =
			table(kallsyms_module_offsets, runs, sizeof(*kallsyms_module_offsets));
	} else {
		tables->encoding = KALLMODSYMS_ADDRESSES;
		tables->relative_base = 0;
		tables->addresses = table(kallsyms_addresses, syms, sizeof(*kallsyms_addresses));
		tables->module_addresses =
			table(kallsyms_module_addresses, runs, sizeof(*kallsyms_module_addresses));
	}
	tables->names = table(kallsyms_names, number(kallsyms_names_len), 1);
	tables->markers = table(kallsyms_markers, markers, sizeof(*kallsyms_markers));
	tables->token_table = table(kallsyms_token_table, number(kallsyms_token_table_len), 1);
	tables->token_index = table(kallsyms_token_index, 256, sizeof(*kallsyms_token_index));
	tables->modules = table(kallsyms_modules, runs, sizeof(*kallsyms_modules));
	tables->module_names = table(kallsyms_module_names, number(kallsyms_module_names_len), 1);
	tables->module_exceptions = table(kallsyms_module_exceptions, 2ul * tables->num_exceptions,
					  sizeof(*kallsyms_module_exceptions));
	tables->sizes = table(kallsyms_sizes, syms, sizeof(*kallsyms_sizes));
	tables->size_codes = table(kallsyms_size_codes, number(kallsyms_size_codes_len), 1);
	tables->size_markers =
		table(kallsyms_size_markers, markers, sizeof(*kallsyms_size_markers));
	tables->objects =
		table(kallsyms_objects, 2ul * tables->num_objects, sizeof(*kallsyms_objects));
	tables->object_names = table(kallsyms_object_names, number(kallsyms_object_names_len), 1);
	return KALLMODSYMS_OK;
}
