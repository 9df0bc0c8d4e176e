/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SCHED_H
#define _LINUX_SCHED_H

#include <linux/types.h>

/* Functions that wait, between __sched_text_start and __sched_text_end: a sleeper's stack trace leaves them out. */
#define __sched		__section(".sched.text") noinline

void schedule(void);

/* Work that is done when somebody waits for it: the toy kernel has one thread. */
struct completion {
	bool done;
	void (*work)(struct completion *completion);
};

void wait_for_completion(struct completion *completion);

#endif
