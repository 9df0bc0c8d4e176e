// SPDX-License-Identifier: GPL-2.0-only
#include <linux/crypto.h>
#include <linux/init.h>
#include <linux/proc_fs.h>

static int show(struct seq_file *m)
{
	const struct crypto_alg *alg;

	for (alg = crypto_first_alg(); alg; alg = alg->next)
		seq_printf(m, "name     : %s\ndriver   : %s\npriority : %d\n\n",
			   alg->name, alg->driver_name, alg->priority);
	return 0;
}

static struct proc_entry crypto = { .name = "crypto", .show = show };

static int __init init_once(void)
{
	proc_create(&crypto);
	return 0;
}
device_initcall(init_once);
