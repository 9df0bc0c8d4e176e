// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/utsname.h>

#define EXIT_USAGE 2

extern const initcall_t __initcall_start[], __initcall_end[];
extern const exitcall_t __exitcall_start[], __exitcall_end[];

void start_kernel(int argc, char **argv) __noreturn;

/* test_weak_symbol: the architecture's setup.c has the first of these too, and not the second */
void __weak __init setup_arch(void)
{
}

void __weak __init setup_command_line(int argc, char **argv)
{
	/* Somebody who asks for a file wants nothing but that file. */
	if (argc > 1)
		printk_quiet();
}

static void __init do_initcalls(void)
{
	const initcall_t *call;

	for (call = __initcall_start; call < __initcall_end; call++) {
		int error = (*call)();

		if (error)
			pr_info("initcall %lx failed: %d\n", (unsigned long)*call, error);
	}
}

static void __exit do_exitcalls(void)
{
	const exitcall_t *call;

	for (call = __exitcall_end; call > __exitcall_start;)
		(*--call)();
}

/* `vmlinux` boots and halts; `vmlinux NAME` prints /proc/NAME. Exit status 0 done, 1 a failure, 2 wrong usage. */
void __noreturn start_kernel(int argc, char **argv)
{
	int status = 0;

	setup_command_line(argc, argv);
	pr_info("%s\n", linux_banner);
	setup_arch();
	do_initcalls();
	prepare_namespace();
	if (argc == 2) {
		status = proc_print(argv[1]);
	} else if (argc > 2) {
		status = -ENOENT;
	}
	do_exitcalls();
	if (status == -ENOENT) {
		proc_usage();
		machine_halt(EXIT_USAGE);
	}
	machine_halt(!!status);
}
