// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/sched.h>

void __sched wait_for_completion(struct completion *completion)
{
	while (!completion->done) {
		completion->work(completion);
		schedule();
	}
}
