/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading the kallsyms tables and their module tables, in C.
 *
 * Enters: the tables, as pointers and lengths (struct kallmodsyms_tables). Leaves: symbols, and the
 * lines of /proc/kallmodsyms and /proc/kallsyms. The formats are described in docs/design.md,
 * "Module tables" and "Sizes".
 *
 * Freestanding: no C library, no allocation, no static data. Every access is checked against the
 * length of its table and every loop is bounded by one, so that damaged tables end in
 * KALLMODSYMS_CORRUPT and in nothing worse. The tables are in the word size and byte order of the
 * program that reads them.
 */
#ifndef KALLMODSYMS_H
#define KALLMODSYMS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int32_t s32;
#endif

/* A symbol's name with its NUL, as KSYM_NAME_LEN since Linux 6.1; longer ones are corrupt. */
#define KALLMODSYMS_NAME_LEN 512

enum kallmodsyms_status {
	KALLMODSYMS_OK = 0,
	KALLMODSYMS_END = 1,		/* past the last symbol, or below the first address */
	KALLMODSYMS_CORRUPT = -1,	/* the cursor's fault says where */
	KALLMODSYMS_MISSING = -2,	/* linked without tables */
	KALLMODSYMS_TOO_LONG = -3,	/* a list of modules does not fit */
};

/* How kallsyms_offsets or kallsyms_addresses, and the module runs beside them, hold an address. */
enum kallmodsyms_encoding {
	KALLMODSYMS_ADDRESSES,		/* a word each, the address itself */
	KALLMODSYMS_OFFSETS,		/* 32 bits each, unsigned, added to the relative base */
	KALLMODSYMS_OFFSETS_PERCPU,	/* 32 bits each; n < 0 is relative base - 1 - n, else n */
	KALLMODSYMS_DISTANCES,		/* 32 bits each, signed, added to the address of the entry itself */
};

struct kallmodsyms_table {
	const void *data;		/* NULL where the image has no such table */
	unsigned long bytes;
	unsigned long address;		/* of the first entry, where distances count from it */
};

struct kallmodsyms_tables {
	enum kallmodsyms_encoding encoding;
	unsigned long relative_base;	/* for KALLMODSYMS_OFFSETS and _PERCPU */
	u32 num_syms;
	u32 num_modules;		/* runs, the last one with value 0 included */
	u32 num_exceptions;		/* pairs */
	u32 num_objects;		/* pairs */
	struct kallmodsyms_table addresses;		/* kallsyms_addresses or _offsets */
	struct kallmodsyms_table names;
	struct kallmodsyms_table markers;
	struct kallmodsyms_table token_table;
	struct kallmodsyms_table token_index;
	struct kallmodsyms_table module_addresses;	/* encoded as the addresses */
	struct kallmodsyms_table modules;
	struct kallmodsyms_table module_names;
	struct kallmodsyms_table module_exceptions;
	struct kallmodsyms_table sizes;			/* the dense form, or */
	struct kallmodsyms_table size_codes;		/* the compact form, or neither */
	struct kallmodsyms_table size_markers;
	struct kallmodsyms_table objects;		/* or neither of these two */
	struct kallmodsyms_table object_names;
};

struct kallmodsyms_symbol {
	u32 index;
	u32 modules;		/* the owners, 0 for nobody; for kallmodsyms_modules() */
	unsigned long address;
	unsigned long size;	/* 0 where the image has no sizes */
	const char *object;	/* the end of its object's path; NULL where nothing needs it */
	u32 length;		/* of the name */
	char type;		/* the letter that nm prints */
	char name[KALLMODSYMS_NAME_LEN];
};

/*
 * A position in the symbols. The symbol and the fault are for the caller; the rest are the places
 * in each table that belong to the next symbol, so that going on to it searches nothing. Too big
 * for a kernel stack.
 */
struct kallmodsyms_cursor {
	const struct kallmodsyms_tables *tables;
	struct kallmodsyms_symbol symbol;	/* what kallmodsyms_next() read */
	struct {
		const char *table;		/* label of the damaged table */
		unsigned long offset;		/* of the damaged entry, in bytes */
	} fault;
	u32 next;		/* index of the next symbol */
	u32 higher;		/* nothing before this symbol lies above the next symbol */
	u32 run;		/* module run of the latest symbol with an owner */
	u32 exception;		/* first exception at or after the next symbol */
	u32 object;		/* first of the objects at or after the next symbol */
	u32 checked;		/* a value of the modules table known to be sound */
	unsigned long name;	/* offset of the next name */
	unsigned long size_code;	/* offset of the next size code */
};

/* The names of one value of the modules table, one after the other. */
struct kallmodsyms_modules {
	const char *at;
	u32 left;
};

/* Where the lines go, piece by piece. `text` is not NUL-terminated. */
typedef void (*kallmodsyms_emit)(void *context, const char *text, unsigned long length);

/*
 * Put the cursor before the symbol of that index, in any state the cursor may be; past the end is
 * allowed. Skips up to 255 names. Returns KALLMODSYMS_OK or KALLMODSYMS_CORRUPT.
 */
int kallmodsyms_seek(struct kallmodsyms_cursor *cursor, const struct kallmodsyms_tables *tables,
		     u32 index);

/*
 * Read the next symbol into cursor->symbol. Returns KALLMODSYMS_OK, KALLMODSYMS_END or
 * KALLMODSYMS_CORRUPT; after the last the cursor is good for nothing but another seek.
 */
int kallmodsyms_next(struct kallmodsyms_cursor *cursor);

/*
 * Find the symbol that an address lies in or behind: among those with the highest address not above
 * it, the first whose size reaches beyond `address`, or else the first. `*modules` receives the
 * owners of the address itself, which differ from symbol.modules where the address is past the
 * symbol's end, or the symbol an exception. KALLMODSYMS_END if every symbol is above. The tables do
 * not say where the image ends: the caller asks about addresses that lie in it.
 * Takes two binary searches, and reads the names between a marker and the last symbol at that
 * address: up to 255, and one for each alias.
 */
int kallmodsyms_lookup(struct kallmodsyms_cursor *cursor, const struct kallmodsyms_tables *tables,
		       unsigned long address, u32 *modules);

/* Start on the modules of `value`. False if that, or what it points at, lies outside the table. */
bool kallmodsyms_modules(struct kallmodsyms_modules *modules,
			 const struct kallmodsyms_tables *tables, u32 value);

/* The next module's name, NUL-terminated and inside the table; NULL after the last. */
const char *kallmodsyms_next_module(struct kallmodsyms_modules *modules);

/* Whether the image records sizes; /proc/kallmodsyms has no size column without. */
bool kallmodsyms_has_sizes(const struct kallmodsyms_tables *tables);

/*
 * The cursor's symbol as a line of /proc/kallmodsyms:
 * address SP size SP type SP name [TAB "[" module "]" { SP "[" module "]" }] LF
 * and before the LF, where the image tells symbols of one name apart, "{" object "}" behind a blank, or
 * behind a TAB without modules. The type of a symbol that has modules is in lower case. With `hide`,
 * address and size read as 0.
 */
void kallmodsyms_emit_kallmodsyms(const struct kallmodsyms_cursor *cursor, bool hide,
				  kallmodsyms_emit emit, void *context);

/* The cursor's symbol as a line of /proc/kallsyms: address SP type SP name LF. */
void kallmodsyms_emit_kallsyms(const struct kallmodsyms_cursor *cursor, bool hide,
			       kallmodsyms_emit emit, void *context);

/* The tables of the running image (kallmodsyms_linked.c), or KALLMODSYMS_MISSING without any. */
int kallmodsyms_linked(struct kallmodsyms_tables *tables);

#ifdef __KERNEL__
/*
 * What lies at an address of the running kernel (kallmodsyms_proc.c), for code that is linked in.
 *
 * cursor->symbol receives the name, the address and the size of the symbol that `address` lies in or
 * behind; its type too if it is one of the image, else '\0'. `list` receives the modules that own
 * the byte at `address`, a blank between two names, or nothing for code that is always built in, BPF
 * programs and ftrace trampolines. At most `length` bytes of it are written, with the NUL; `length`
 * may be 0.
 *
 * Returns KALLMODSYMS_OK; KALLMODSYMS_END where there is no symbol; KALLMODSYMS_TOO_LONG if the list
 * was cut behind a name, and everything else is right; KALLMODSYMS_CORRUPT; KALLMODSYMS_MISSING
 * before device_initcall.
 *
 * Neither sleeps nor allocates: for any context that may call kallsyms_lookup(). In the image it
 * takes what kallmodsyms_lookup() takes; in a loaded module, a walk over the module's symbols.
 */
int kallmodsyms_address(struct kallmodsyms_cursor *cursor, unsigned long address, char *list,
			unsigned long length);
#endif

#endif
