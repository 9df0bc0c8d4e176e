// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader declared in kallmodsyms.h. Names and encodings follow scripts/kallsyms.c and
 * kernel/kallsyms.c of Linux 5.10 to 7.1 for the base tables, docs/design.md for the others.
 */
#include "kallmodsyms.h"

#define SYMBOLS_A_MARKER 256
#define SIZE_EXPLICIT 254
#define SIZE_ZERO 255

static int fault(struct kallmodsyms_cursor *cursor, const char *table, unsigned long offset)
{
	cursor->fault.table = table;
	cursor->fault.offset = offset;
	return KALLMODSYMS_CORRUPT;
}

static bool read_u8(const struct kallmodsyms_table *table, unsigned long index, u8 *value)
{
	if (index >= table->bytes)
		return false;
	*value = ((const u8 *)table->data)[index];
	return true;
}

static bool read_u16(const struct kallmodsyms_table *table, unsigned long index, u16 *value)
{
	if (index >= table->bytes / sizeof(*value))
		return false;
	*value = ((const u16 *)table->data)[index];
	return true;
}

static bool read_u32(const struct kallmodsyms_table *table, unsigned long index, u32 *value)
{
	if (index >= table->bytes / sizeof(*value))
		return false;
	*value = ((const u32 *)table->data)[index];
	return true;
}

static bool read_word(const struct kallmodsyms_table *table, unsigned long index,
		      unsigned long *value)
{
	if (index >= table->bytes / sizeof(*value))
		return false;
	*value = ((const unsigned long *)table->data)[index];
	return true;
}

/* An unsigned LEB128 number that fits a word, at *offset, which moves behind it. */
static bool read_uleb128(const struct kallmodsyms_table *table, unsigned long *offset,
			 unsigned long *value)
{
	unsigned int shift;
	u8 byte;

	*value = 0;
	for (shift = 0; shift < 8 * sizeof(*value); shift += 7) {
		if (!read_u8(table, *offset, &byte))
			return false;
		++*offset;
		if (((unsigned long)(byte & 0x7f) << shift) >> shift != (byte & 0x7f))
			return false;
		*value |= (unsigned long)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* The address at `index` of the symbols or of the module runs: both are encoded in the same way. */
static bool read_address(const struct kallmodsyms_tables *tables,
			 const struct kallmodsyms_table *table, u32 index, unsigned long *address)
{
	u32 offset;

	if (tables->encoding == KALLMODSYMS_ADDRESSES)
		return read_word(table, index, address);
	if (!read_u32(table, index, &offset))
		return false;
	if (tables->encoding == KALLMODSYMS_DISTANCES)
		*address = table->address + index * sizeof(offset) + (unsigned long)(s32)offset;
	else if (tables->encoding == KALLMODSYMS_OFFSETS)
		*address = tables->relative_base + offset;
	else if ((s32)offset >= 0)
		*address = offset;
	else
		*address = tables->relative_base - 1 - (s32)offset;
	return true;
}

static int address_fault(struct kallmodsyms_cursor *cursor, bool of_runs, u32 index)
{
	const char *const labels[2][2] = {
		{ "kallsyms_offsets", "kallsyms_addresses" },
		{ "kallsyms_module_offsets", "kallsyms_module_addresses" },
	};
	bool whole = cursor->tables->encoding == KALLMODSYMS_ADDRESSES;

	return fault(cursor, labels[of_runs][whole],
		     (unsigned long)index * (whole ? sizeof(long) : sizeof(u32)));
}

/*
 * How many of `count` ascending addresses lie below `address`, or also at it if `inclusive`.
 * Entries past the end of the table count as higher than any address; reading one reports it.
 */
static u32 count_addresses(const struct kallmodsyms_tables *tables,
			   const struct kallmodsyms_table *table, u32 count, unsigned long address,
			   bool inclusive)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		unsigned long found;

		if (read_address(tables, table, middle, &found) &&
		    (found < address || (inclusive && found == address)))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The name at cursor->name into the symbol: a length in one byte, or in two from 128 on, then that
 * many tokens. Most of the time of a listing goes here.
 */
static int read_name(struct kallmodsyms_cursor *cursor)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	/* Copies, since the compiler must assume that each character written may change the tables. */
	const u8 *names = tables->names.data, *tokens = tables->token_table.data;
	const unsigned long tokens_bytes = tables->token_table.bytes;
	unsigned long offset = cursor->name, end, stop, at;
	char *to = cursor->symbol.name, *const last = to + KALLMODSYMS_NAME_LEN - 1;
	bool first = true; /* the first character is the type */
	u8 byte;

	if (!read_u8(&tables->names, offset, &byte))
		return fault(cursor, "kallsyms_names", offset);
	offset++;
	end = byte & 0x7f;
	if (byte & 0x80) {
		if (!read_u8(&tables->names, offset, &byte))
			return fault(cursor, "kallsyms_names", offset);
		offset++;
		end |= (unsigned long)byte << 7;
	}
	end += offset;
	stop = end < tables->names.bytes ? end : tables->names.bytes;
	for (; offset < stop; offset++) {
		u16 start;

		if (!read_u16(&tables->token_index, names[offset], &start))
			return fault(cursor, "kallsyms_token_index", names[offset] * sizeof(start));
		for (at = start;; at++) {
			if (at >= tokens_bytes)
				return fault(cursor, "kallsyms_token_table", at);
			byte = tokens[at];
			if (!byte)
				break;
			if (first) {
				cursor->symbol.type = byte;
				first = false;
				continue;
			}
			if (to == last)
				return fault(cursor, "kallsyms_names", cursor->name);
			*to++ = byte;
		}
	}
	if (stop < end)
		return fault(cursor, "kallsyms_names", stop);
	if (first)
		return fault(cursor, "kallsyms_names", cursor->name);
	*to = '\0';
	cursor->symbol.length = to - cursor->symbol.name;
	cursor->name = end;
	return KALLMODSYMS_OK;
}

/* From the start of one name to the start of the next. */
static int skip_name(struct kallmodsyms_cursor *cursor)
{
	const struct kallmodsyms_table *names = &cursor->tables->names;
	unsigned long length;
	u8 byte;

	if (!read_u8(names, cursor->name, &byte))
		return fault(cursor, "kallsyms_names", cursor->name);
	cursor->name++;
	length = byte & 0x7f;
	if (byte & 0x80) {
		if (!read_u8(names, cursor->name, &byte))
			return fault(cursor, "kallsyms_names", cursor->name);
		cursor->name++;
		length |= (unsigned long)byte << 7;
	}
	cursor->name += length;
	return KALLMODSYMS_OK;
}

/* The size code at cursor->size_code; the size itself too where the code says that it follows. */
static int read_size_code(struct kallmodsyms_cursor *cursor, u8 *code, unsigned long *size)
{
	const struct kallmodsyms_table *codes = &cursor->tables->size_codes;
	unsigned long offset = cursor->size_code;

	if (!read_u8(codes, offset, code))
		return fault(cursor, "kallsyms_size_codes", offset);
	offset++;
	*size = 0;
	if (*code == SIZE_EXPLICIT && !read_uleb128(codes, &offset, size))
		return fault(cursor, "kallsyms_size_codes", cursor->size_code);
	cursor->size_code = offset;
	return KALLMODSYMS_OK;
}

/* The distance from the symbol to the next higher address in the table. */
static int read_distance(struct kallmodsyms_cursor *cursor, unsigned long *distance)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	unsigned long address;

	if (cursor->higher <= cursor->symbol.index)
		cursor->higher = cursor->symbol.index + 1;
	for (; cursor->higher < tables->num_syms; cursor->higher++) {
		if (!read_address(tables, &tables->addresses, cursor->higher, &address))
			return address_fault(cursor, false, cursor->higher);
		if (address > cursor->symbol.address) {
			*distance = address - cursor->symbol.address;
			return KALLMODSYMS_OK;
		}
	}
	*distance = 0;
	return KALLMODSYMS_OK;
}

static int read_size(struct kallmodsyms_cursor *cursor)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	struct kallmodsyms_symbol *symbol = &cursor->symbol;
	unsigned long at = cursor->size_code, distance;
	int status;
	u8 code;

	symbol->size = 0;
	if (tables->sizes.data) {
		if (!read_word(&tables->sizes, symbol->index, &symbol->size))
			return fault(cursor, "kallsyms_sizes",
				     (unsigned long)symbol->index * sizeof(long));
		return KALLMODSYMS_OK;
	}
	if (!tables->size_codes.data)
		return KALLMODSYMS_OK;
	status = read_size_code(cursor, &code, &symbol->size);
	if (status || code == SIZE_EXPLICIT || code == SIZE_ZERO)
		return status;
	status = read_distance(cursor, &distance);
	if (status)
		return status;
	if (distance < code || !distance)
		return fault(cursor, "kallsyms_size_codes", at);
	symbol->size = distance - code;
	return KALLMODSYMS_OK;
}

/* Who owns the byte at that address: the value of the last run that starts at or below it. */
static int read_run(struct kallmodsyms_cursor *cursor, unsigned long address, u32 *value)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	unsigned long start, end;
	u32 run = cursor->run, step, above;

	*value = 0;
	if (!tables->num_modules)
		return KALLMODSYMS_OK;
	/* Mostly it is the run of the symbol before, or the next one. */
	for (step = 0; step < 2 && run < tables->num_modules; step++, run++) {
		if (!read_address(tables, &tables->module_addresses, run, &start))
			return address_fault(cursor, true, run);
		if (address < start)
			break;
		if (run + 1 == tables->num_modules)
			goto found;
		if (!read_address(tables, &tables->module_addresses, run + 1, &end))
			return address_fault(cursor, true, run + 1);
		if (address < end)
			goto found;
	}
	above = count_addresses(tables, &tables->module_addresses, tables->num_modules, address,
				true);
	if (!above)
		return KALLMODSYMS_OK;
	run = above - 1;
found:
	cursor->run = run;
	if (!read_u32(&tables->modules, run, value))
		return fault(cursor, "kallsyms_modules", (unsigned long)run * sizeof(u32));
	return KALLMODSYMS_OK;
}

/* Refuse a value whose names could not be listed, before anybody prints half a line. */
static int check_modules(struct kallmodsyms_cursor *cursor, u32 value)
{
	struct kallmodsyms_modules modules;

	if (value == cursor->checked)
		return KALLMODSYMS_OK;
	if (!kallmodsyms_modules(&modules, cursor->tables, value))
		return fault(cursor, "kallsyms_module_names", value);
	cursor->checked = value;
	return KALLMODSYMS_OK;
}

/*
 * What a table of (symbol, value) pairs, ascending by symbol, says of the cursor's symbol. `*next` is
 * the first pair that may be about it, and moves on. `*found` tells whether there is one.
 */
static int read_pair(struct kallmodsyms_cursor *cursor, const struct kallmodsyms_table *pairs,
		     const char *label, u32 count, u32 *next, u32 *value, bool *found)
{
	u32 index;

	*found = false;
	for (; *next < count; ++*next) {
		unsigned long at = 2ul * *next;

		if (!read_u32(pairs, at, &index))
			return fault(cursor, label, at * sizeof(u32));
		if (index < cursor->symbol.index)
			continue;
		if (index > cursor->symbol.index)
			break;
		if (!read_u32(pairs, at + 1, value))
			return fault(cursor, label, (at + 1) * sizeof(u32));
		*found = true;
		break;
	}
	return KALLMODSYMS_OK;
}

static int read_owner(struct kallmodsyms_cursor *cursor)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	struct kallmodsyms_symbol *symbol = &cursor->symbol;
	bool found;
	int status;

	symbol->modules = 0;
	if (symbol->type != 't' && symbol->type != 'T' && symbol->type != 'w' &&
	    symbol->type != 'W')
		return KALLMODSYMS_OK;
	status = read_pair(cursor, &tables->module_exceptions, "kallsyms_module_exceptions",
			   tables->num_exceptions, &cursor->exception, &symbol->modules, &found);
	if (!status && !found)
		status = read_run(cursor, symbol->address, &symbol->modules);
	return status ? status : check_modules(cursor, symbol->modules);
}

static int read_object(struct kallmodsyms_cursor *cursor)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	const struct kallmodsyms_table *names = &tables->object_names;
	unsigned long end;
	u32 start = 0;
	bool found;
	int status;
	u8 byte;

	cursor->symbol.object = NULL;
	status = read_pair(cursor, &tables->objects, "kallsyms_objects", tables->num_objects,
			   &cursor->object, &start, &found);
	if (status || !found)
		return status;
	for (end = start; read_u8(names, end, &byte) && byte; end++)
		;
	if (end == start || end >= names->bytes)
		return fault(cursor, "kallsyms_object_names", start);
	cursor->symbol.object = (const char *)names->data + start;
	return KALLMODSYMS_OK;
}

/* The first of `count` (symbol, value) pairs that is about a symbol at or after `index`. */
static u32 find_pair(const struct kallmodsyms_table *pairs, u32 count, u32 index)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		u32 found;

		if (read_u32(pairs, 2ul * middle, &found) && found < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int kallmodsyms_seek(struct kallmodsyms_cursor *cursor, const struct kallmodsyms_tables *tables,
		     u32 index)
{
	u32 marker = index / SYMBOLS_A_MARKER, at, left;
	unsigned long size;
	int status;
	u8 code;

	cursor->tables = tables;
	cursor->next = index;
	cursor->higher = 0;
	cursor->run = 0;
	cursor->checked = 0;
	cursor->exception = find_pair(&tables->module_exceptions, tables->num_exceptions, index);
	cursor->object = find_pair(&tables->objects, tables->num_objects, index);
	if (index >= tables->num_syms)
		return KALLMODSYMS_OK;

	if (!read_u32(&tables->markers, marker, &at))
		return fault(cursor, "kallsyms_markers", marker * sizeof(u32));
	cursor->name = at;
	for (left = index % SYMBOLS_A_MARKER; left; left--) {
		status = skip_name(cursor);
		if (status)
			return status;
	}

	if (!tables->size_codes.data)
		return KALLMODSYMS_OK;
	if (!read_u32(&tables->size_markers, marker, &at))
		return fault(cursor, "kallsyms_size_markers", marker * sizeof(u32));
	cursor->size_code = at;
	for (left = index % SYMBOLS_A_MARKER; left; left--) {
		status = read_size_code(cursor, &code, &size);
		if (status)
			return status;
	}
	return KALLMODSYMS_OK;
}

int kallmodsyms_next(struct kallmodsyms_cursor *cursor)
{
	const struct kallmodsyms_tables *tables = cursor->tables;
	struct kallmodsyms_symbol *symbol = &cursor->symbol;
	int status;

	if (cursor->next >= tables->num_syms)
		return KALLMODSYMS_END;
	symbol->index = cursor->next;
	if (!read_address(tables, &tables->addresses, symbol->index, &symbol->address))
		return address_fault(cursor, false, symbol->index);
	status = read_name(cursor);
	if (!status)
		status = read_size(cursor);
	if (!status)
		status = read_owner(cursor);
	if (!status)
		status = read_object(cursor);
	if (!status)
		cursor->next++;
	return status;
}

int kallmodsyms_lookup(struct kallmodsyms_cursor *cursor, const struct kallmodsyms_tables *tables,
		       unsigned long address, u32 *modules)
{
	u32 behind = count_addresses(tables, &tables->addresses, tables->num_syms, address, true);
	u32 first, index;
	unsigned long start;
	int status;

	*modules = 0;
	cursor->tables = tables;
	if (!behind)
		return KALLMODSYMS_END;
	if (!read_address(tables, &tables->addresses, behind - 1, &start))
		return address_fault(cursor, false, behind - 1);
	first = count_addresses(tables, &tables->addresses, behind, start, false);

	status = kallmodsyms_seek(cursor, tables, first);
	for (index = first; !status && index < behind; index++) {
		status = kallmodsyms_next(cursor);
		if (!status && address - start < cursor->symbol.size)
			break;
	}
	if (!status && index == behind && behind - first > 1) {
		status = kallmodsyms_seek(cursor, tables, first);
		if (!status)
			status = kallmodsyms_next(cursor);
	}
	if (!status)
		status = read_run(cursor, address, modules);
	return status ? status : check_modules(cursor, *modules);
}

bool kallmodsyms_modules(struct kallmodsyms_modules *modules,
			 const struct kallmodsyms_tables *tables, u32 value)
{
	const struct kallmodsyms_table *names = &tables->module_names;
	unsigned long offset = value, left;
	u8 byte;

	modules->left = 0;
	if (!value)
		return true;
	if (!read_u8(names, offset, &byte))
		return false;
	modules->left = 1;
	if (!byte) {
		/* A list: this 0, how many, and then the names. */
		if (!read_u8(names, offset + 1, &byte))
			return false;
		modules->left = byte;
		offset += 2;
	}
	modules->at = (const char *)names->data + offset;
	for (left = modules->left; left; left--) {
		do {
			if (!read_u8(names, offset, &byte))
				return false;
			offset++;
		} while (byte);
	}
	return true;
}

const char *kallmodsyms_next_module(struct kallmodsyms_modules *modules)
{
	const char *name = modules->at;

	if (!modules->left)
		return NULL;
	modules->left--;
	while (*modules->at++)
		;
	return name;
}

bool kallmodsyms_has_sizes(const struct kallmodsyms_tables *tables)
{
	return tables->sizes.data || tables->size_codes.data;
}

/* The columns before a name, put together from the last one to the first. */
struct columns {
	char text[2 * (2 * sizeof(long) + 1) + 2];
	unsigned int start;
};

static void put_type(struct columns *columns, char type)
{
	columns->start = sizeof(columns->text);
	columns->text[--columns->start] = ' ';
	columns->text[--columns->start] = type;
}

/* In hexadecimal, padded with zeros to `digits`, and a blank after it. */
static void put_number(struct columns *columns, unsigned long number, unsigned int digits)
{
	unsigned int at = columns->start - 1;

	columns->text[at] = ' ';
	for (; number || digits; number >>= 4) {
		columns->text[--at] = "0123456789abcdef"[number & 0xf];
		digits -= !!digits;
	}
	columns->start = at;
}

static void emit_string(const char *string, kallmodsyms_emit emit, void *context)
{
	unsigned long length = 0;

	while (string[length])
		length++;
	emit(context, string, length);
}

static void emit_columns(const struct columns *columns, const struct kallmodsyms_symbol *symbol,
			 kallmodsyms_emit emit, void *context)
{
	emit(context, columns->text + columns->start, sizeof(columns->text) - columns->start);
	emit(context, symbol->name, symbol->length);
}

void kallmodsyms_emit_kallmodsyms(const struct kallmodsyms_cursor *cursor, bool hide,
				  kallmodsyms_emit emit, void *context)
{
	const struct kallmodsyms_symbol *symbol = &cursor->symbol;
	struct kallmodsyms_modules modules;
	char before = '\t', type = symbol->type;
	struct columns columns;
	const char *module;

	if (symbol->modules && type >= 'A' && type <= 'Z')
		type += 'a' - 'A';
	put_type(&columns, type);
	if (kallmodsyms_has_sizes(cursor->tables))
		put_number(&columns, hide ? 0 : symbol->size, 1);
	put_number(&columns, hide ? 0 : symbol->address, 2 * sizeof(long));
	emit_columns(&columns, symbol, emit, context);
	if (kallmodsyms_modules(&modules, cursor->tables, symbol->modules)) {
		while ((module = kallmodsyms_next_module(&modules))) {
			emit(context, &before, 1);
			emit(context, "[", 1);
			emit_string(module, emit, context);
			emit(context, "]", 1);
			before = ' ';
		}
	}
	if (symbol->object) {
		emit(context, &before, 1);
		emit(context, "{", 1);
		emit_string(symbol->object, emit, context);
		emit(context, "}", 1);
	}
	emit(context, "\n", 1);
}

void kallmodsyms_emit_kallsyms(const struct kallmodsyms_cursor *cursor, bool hide,
			       kallmodsyms_emit emit, void *context)
{
	const struct kallmodsyms_symbol *symbol = &cursor->symbol;
	struct columns columns;

	put_type(&columns, symbol->type);
	put_number(&columns, hide ? 0 : symbol->address, 2 * sizeof(long));
	emit_columns(&columns, symbol, emit, context);
	emit(context, "\n", 1);
}
