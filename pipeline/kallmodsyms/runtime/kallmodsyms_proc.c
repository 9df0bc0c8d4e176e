// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/kallmodsyms of a running Linux.
 *
 * Enters: the tables of the image that this file is linked into (kallmodsyms_linked.c), and what
 * the kernel says of the code that it has loaded since. Leaves: the file, whose lines kallmodsyms.h
 * describes, and kallmodsyms_address().
 *
 * Compiled with the kernel's own flags and linked in by `kallmodsyms link`. Whatever is used here
 * has the same form in Linux 5.10 to 7.1, but for the list of modules: before 5.19 nobody knows it but
 * kernel/module.c, and a size must be looked up by address and name.
 */
#define pr_fmt(fmt) "kallmodsyms: " fmt

/*
 * With link-time optimisation each initcall has a section of its own, which a script for vmlinux.o
 * collects. What is linked in after that must use the sections that the image itself collects.
 */
#undef CONFIG_LTO_CLANG

#include <linux/bpf.h>
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/init.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/proc_fs.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "kallmodsyms.h"

static struct kallmodsyms_tables tables __ro_after_init;
static bool ready __ro_after_init;

#ifdef CONFIG_MODULES

/*
 * What a loaded module's symbol table says of the size of a symbol at that address with that name.
 * Needs preemption off.
 */
static bool module_size_at(unsigned long address, const char *name, unsigned long *size)
{
	struct module *module = __module_address(address);
	struct mod_kallsyms *kallsyms;
	unsigned int number;

	if (!module || module->state == MODULE_STATE_UNFORMED)
		return false;
	kallsyms = rcu_dereference_sched(module->kallsyms);
	for (number = 0; number < kallsyms->num_symtab; number++) {
		const Elf_Sym *symbol = &kallsyms->symtab[number];

		if (kallsyms_symbol_value(symbol) == address &&
		    !strcmp(kallsyms->strtab + symbol->st_name, name)) {
			*size = symbol->st_size;
			return true;
		}
	}
	return false;
}

#ifdef KALLMODSYMS_MODULES_ARE_HIDDEN

/* Without preemption no module goes, though one may come. */
static void lock_modules(void)
{
	preempt_disable();
}

static void unlock_modules(void)
{
	preempt_enable();
}

static unsigned long module_symbol_size(unsigned int number,
					const struct kallmodsyms_symbol *symbol)
{
	unsigned long size = 0;

	module_size_at(symbol->address, symbol->name, &size);
	return size;
}

#else

/* kernel/module/internal.h declares them, for kernel/module/ alone. */
extern struct list_head modules;
extern struct mutex module_mutex;

static void lock_modules(void)
{
	mutex_lock(&module_mutex);
}

static void unlock_modules(void)
{
	mutex_unlock(&module_mutex);
}

/*
 * The size of symbol `number`, counted through all loaded modules as module_get_kallsym() counts.
 * Needs module_mutex, as did the call that `number` was good for.
 */
static unsigned long module_symbol_size(unsigned int number,
					const struct kallmodsyms_symbol *symbol)
{
	struct module *module;

	list_for_each_entry(module, &modules, list) {
		struct mod_kallsyms *kallsyms;

		if (module->state == MODULE_STATE_UNFORMED)
			continue;
		kallsyms = rcu_dereference_protected(module->kallsyms,
						     lockdep_is_held(&module_mutex));
		if (number < kallsyms->num_symtab)
			return kallsyms->symtab[number].st_size;
		number -= kallsyms->num_symtab;
	}
	return 0;
}

#endif

#else

static bool module_size_at(unsigned long address, const char *name, unsigned long *size)
{
	return false;
}

#endif

/* The ftrace trampoline around an address. Needs preemption off. */
static bool trampoline_at(unsigned long address, struct kallmodsyms_symbol *symbol)
{
#ifdef CONFIG_DYNAMIC_FTRACE
	struct ftrace_ops *ops = ftrace_ops_trampoline(address);

	if (ops) {
		symbol->address = ops->trampoline;
		symbol->size = ops->trampoline_size;
		strscpy(symbol->name, "ftrace_trampoline", sizeof(symbol->name));
		return true;
	}
#endif
	return false;
}

/* What has been loaded around an address: a module, a BPF program, something of ftrace's. */
static int loaded_address(struct kallmodsyms_symbol *symbol, unsigned long address, char *list,
			  unsigned long length)
{
	unsigned long size, offset;
	char *module = NULL;
	const char *name;
	int status = KALLMODSYMS_OK;

	/* What is found must stay until it has been copied. */
	preempt_disable();
	name = kallsyms_lookup(address, &size, &offset, &module, symbol->name);
	if (name) {
		if (name != symbol->name)
			strscpy(symbol->name, name, sizeof(symbol->name));
		symbol->address = address - offset;
		symbol->size = size;
		module_size_at(symbol->address, symbol->name, &symbol->size);
		if (module && length && strscpy(list, module, length) < 0) {
			*list = '\0';
			status = KALLMODSYMS_TOO_LONG;
		}
	} else if (!trampoline_at(address, symbol)) {
		status = KALLMODSYMS_END;
	}
	preempt_enable();
	return status;
}

int kallmodsyms_address(struct kallmodsyms_cursor *cursor, unsigned long address, char *list,
			unsigned long length)
{
	struct kallmodsyms_modules owners;
	unsigned long used = 0, needed;
	const char *module;
	u32 value;
	int status;

	if (length)
		*list = '\0';
	if (!ready)
		return KALLMODSYMS_MISSING;
	if (!is_ksym_addr(address)) {
		cursor->symbol.type = '\0';
		return loaded_address(&cursor->symbol, address, list, length);
	}
	status = kallmodsyms_lookup(cursor, &tables, address, &value);
	if (status || !length || !kallmodsyms_modules(&owners, &tables, value))
		return status;
	while ((module = kallmodsyms_next_module(&owners))) {
		needed = strlen(module) + !!used;
		if (length - used <= needed)
			return KALLMODSYMS_TOO_LONG;
		if (used)
			list[used++] = ' ';
		strscpy(list + used, module, length - used);
		used += strlen(module);
	}
	return KALLMODSYMS_OK;
}

#define NOWHERE (-2)	/* no position comes before or behind it */
#define SOURCES 4

/*
 * One open file. Positions count symbols: those of the image, then those of each source.
 *
 * cursor.symbol is the symbol at `position`, wherever it came from; the rest of the cursor is the
 * way to the image's next symbol. `first` is where the sources up to `source` began when they were
 * last read; modules come and go meanwhile, as they do under /proc/kallsyms.
 */
struct listing {
	struct kallmodsyms_cursor cursor;
	struct kallmodsyms_cursor other;	/* for kallmodsyms_address() */
	loff_t position;
	loff_t first[SOURCES];
	unsigned int source;
	int exported;
	bool hide;
	char module[MODULE_NAME_LEN];		/* empty for a symbol of the image */
};

static int module_symbol(struct listing *listing, unsigned int number)
{
	int status = -ERANGE;
#ifdef CONFIG_MODULES
	struct kallmodsyms_symbol *symbol = &listing->cursor.symbol;

	/* Both look at the same list, which must not change between them. */
	lock_modules();
	status = module_get_kallsym(number, &symbol->address, &symbol->type, symbol->name,
				    listing->module, &listing->exported);
	if (!status)
		symbol->size = module_symbol_size(number, symbol);
	unlock_modules();
#endif
	return status;
}

/* The size of a symbol that has been loaded, 0 if it has gone in the meantime. */
static unsigned long size_at(struct listing *listing, unsigned long address)
{
	struct kallmodsyms_symbol *found = &listing->other.symbol;

	if (kallmodsyms_address(&listing->other, address, NULL, 0) || found->address != address)
		return 0;
	return found->size;
}

static int ftrace_symbol(struct listing *listing, unsigned int number)
{
	struct kallmodsyms_symbol *symbol = &listing->cursor.symbol;
	int status = ftrace_mod_get_kallsym(number, &symbol->address, &symbol->type, symbol->name,
					    listing->module, &listing->exported);

	if (status >= 0)
		symbol->size = size_at(listing, symbol->address);
	return status;
}

static int bpf_symbol(struct listing *listing, unsigned int number)
{
	struct kallmodsyms_symbol *symbol = &listing->cursor.symbol;
	int status = bpf_get_kallsym(number, &symbol->address, &symbol->type, symbol->name);

	if (status >= 0) {
		symbol->size = size_at(listing, symbol->address);
		strscpy(listing->module, "bpf", sizeof(listing->module));
		listing->exported = 0;
	}
	return status;
}

/* Pages of copied instructions, with the module name that /proc/kallsyms gives them. */
static int kprobe_symbol(struct listing *listing, unsigned int number)
{
	struct kallmodsyms_symbol *symbol = &listing->cursor.symbol;
	int status = kprobe_get_kallsym(number, &symbol->address, &symbol->type, symbol->name);

	if (status >= 0) {
		symbol->size = PAGE_SIZE;
		strscpy(listing->module, "__builtin__kprobes", sizeof(listing->module));
		listing->exported = 0;
	}
	return status;
}

/* In the order of /proc/kallsyms. */
static int (*const sources[SOURCES])(struct listing *listing, unsigned int number) = {
	module_symbol, ftrace_symbol, bpf_symbol, kprobe_symbol,
};

static int image_symbol(struct listing *listing, loff_t position)
{
	struct kallmodsyms_cursor *cursor = &listing->cursor;
	int status = KALLMODSYMS_OK;

	if (position != listing->position + 1)
		status = kallmodsyms_seek(cursor, &tables, position);
	if (!status)
		status = kallmodsyms_next(cursor);
	if (status == KALLMODSYMS_CORRUPT)
		pr_err_once("%s is damaged at byte %lu\n", cursor->fault.table,
			    cursor->fault.offset);
	listing->module[0] = '\0';
	listing->source = 0;
	listing->first[0] = tables.num_syms;
	return status;
}

static int loaded_symbol(struct listing *listing, loff_t position)
{
	while (listing->source && position < listing->first[listing->source])
		listing->source--;
	for (;;) {
		loff_t number = position - listing->first[listing->source];

		if (sources[listing->source](listing, number) >= 0)
			return KALLMODSYMS_OK;
		if (listing->source == SOURCES - 1)
			return KALLMODSYMS_END;
		listing->first[++listing->source] = position;
	}
}

/* Read the symbol at that position, unless it has just been read. */
static void *go_to(struct listing *listing, loff_t position)
{
	int status;

	if (position == listing->position)
		return listing;
	if (position < tables.num_syms)
		status = image_symbol(listing, position);
	else
		status = loaded_symbol(listing, position);
	listing->position = status ? NOWHERE : position;
	if (status == KALLMODSYMS_END)
		return NULL;
	return status ? ERR_PTR(-EIO) : listing;
}

static void *listing_start(struct seq_file *file, loff_t *position)
{
	return go_to(file->private, *position);
}

static void *listing_next(struct seq_file *file, void *listing, loff_t *position)
{
	return go_to(listing, ++*position);
}

static void listing_stop(struct seq_file *file, void *listing)
{
}

static void emit(void *file, const char *text, unsigned long length)
{
	seq_write(file, text, length);
}

static int listing_show(struct seq_file *file, void *data)
{
	struct listing *listing = data;
	struct kallmodsyms_symbol *symbol = &listing->cursor.symbol;

	if (!listing->module[0]) {
		kallmodsyms_emit_kallmodsyms(&listing->cursor, listing->hide, emit, file);
		return 0;
	}
	/* The first symbol of every module's table. */
	if (!symbol->name[0])
		return 0;
	seq_printf(file, "%0*lx ", (int)(2 * sizeof(long)), listing->hide ? 0 : symbol->address);
	if (kallmodsyms_has_sizes(&tables))
		seq_printf(file, "%lx ", listing->hide ? 0 : symbol->size);
	seq_printf(file, "%c %s\t[%s]\n",
		   listing->exported ? toupper(symbol->type) : tolower(symbol->type), symbol->name,
		   listing->module);
	return 0;
}

static const struct seq_operations listing_operations = {
	.start = listing_start,
	.next = listing_next,
	.stop = listing_stop,
	.show = listing_show,
};

static int listing_open(struct inode *inode, struct file *file)
{
	struct listing *listing =
		__seq_open_private(file, &listing_operations, sizeof(*listing));

	if (!listing)
		return -ENOMEM;
	listing->position = NOWHERE;
	listing->first[0] = tables.num_syms;
	listing->hide = !kallsyms_show_value(file->f_cred);
	return 0;
}

static const struct proc_ops listing_file = {
	.proc_open = listing_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = seq_release_private,
};

static int __init kallmodsyms_init(void)
{
	BUILD_BUG_ON(KSYM_NAME_LEN > KALLMODSYMS_NAME_LEN);

	if (kallmodsyms_linked(&tables))
		return -ENODATA;
	ready = true;
	if (!proc_create("kallmodsyms", 0444, NULL, &listing_file))
		return -ENOMEM;
	return 0;
}
device_initcall(kallmodsyms_init);
