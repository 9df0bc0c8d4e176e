/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The image: several executable output sections, as real kernels have, with init and exit text that is kept.
 * test_relink: symbols of .rodata and behind it move when the kallsyms tables, which are in .rodata, get their size.
 */
#include <generated/autoconf.h>

#define PAGE_SIZE 0x1000
#define INITCALLS(level) KEEP(*(.initcall##level.init))

OUTPUT_FORMAT("elf64-x86-64")
OUTPUT_ARCH(i386:x86-64)
ENTRY(startup_64)

PHDRS {
	text PT_LOAD FLAGS(5);
	init PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
	note PT_NOTE FLAGS(4);
}

SECTIONS
{
	/*
	 * test_absolute_percpu: per-CPU symbols are offsets from 0, as on x86_64. Nothing is loaded there; the
	 * area itself is in .bss (kernel/percpu.c).
	 */
	.data..percpu 0 (NOLOAD) : {
		__per_cpu_start = .;
		*(.data..percpu)
		__per_cpu_end = .;
	} :NONE

	. = CONFIG_PHYSICAL_START;
	.text : {
		_text = .;
		_stext = .;
		*(.head.text)
		*(.text.hot .text.hot.*)
		*(.text)
		*(.text.unlikely .text.unlikely.*)
		. = ALIGN(16);
		__sched_text_start = .;
		*(.sched.text)
		__sched_text_end = .;
		__lock_text_start = .;
		*(.spinlock.text)
		__lock_text_end = .;
		/* test_script_marker: the first and the last of these objects are modules', the labels nobody's */
		. = ALIGN(16);
		__kprobes_text_start = .;
		*(.kprobes.text)
		__kprobes_text_end = .;
		/* test_padding_gap: bytes of nobody in the midst of an output section */
		. += 32;
		. = ALIGN(256);
		__entry_text_start = .;
		*(.entry.text)
		__entry_text_end = .;
		_etext = .;
	} :text =0xcccccccc

	. = ALIGN(PAGE_SIZE);
	.init.text : {
		__init_begin = .;
		_sinittext = .;
		*(.init.text .init.text.*)
		_einittext = .;
	} :init
	/* test_exit_text: executable, and past _einittext */
	.exit.text : {
		*(.exit.text .exit.text.*)
		__init_end = .;
	}

	. = ALIGN(PAGE_SIZE);
	.rodata : {
		__start_rodata = .;
		*(.rodata .rodata.*)
		*(.init.rodata)
		. = ALIGN(8);
		__initcall_start = .;
		INITCALLS(1)
		INITCALLS(4)
		INITCALLS(6)
		INITCALLS(7)
		__initcall_end = .;
		__exitcall_start = .;
		KEEP(*(.exitcall.exit))
		__exitcall_end = .;
		__end_rodata = .;
	} :rodata
	.notes : { *(.note.gnu.build-id) } :rodata :note

	. = ALIGN(PAGE_SIZE);
	.data : {
		_sdata = .;
		*(.data .data.*)
		_edata = .;
	} :data
	.bss : {
		__bss_start = .;
		*(.bss .bss.*)
		. = ALIGN(64);
		__per_cpu_area = .;
		. += __per_cpu_end - __per_cpu_start;
		__bss_stop = .;
		_end = .;
	}

	.comment 0 : { *(.comment) }
	.debug_abbrev 0 : { *(.debug_abbrev) }
	.debug_aranges 0 : { *(.debug_aranges) }
	.debug_info 0 : { *(.debug_info) }
	.debug_line 0 : { *(.debug_line) }
	.debug_line_str 0 : { *(.debug_line_str) }
	.debug_loclists 0 : { *(.debug_loclists) }
	.debug_rnglists 0 : { *(.debug_rnglists) }
	.debug_str 0 : { *(.debug_str) }
	.symtab 0 : { *(.symtab) }
	.strtab 0 : { *(.strtab) }
	.shstrtab 0 : { *(.shstrtab) }

	/DISCARD/ : { *(.modinfo) *(.note.GNU-stack) *(.note.gnu.property) *(.eh_frame) }
}
