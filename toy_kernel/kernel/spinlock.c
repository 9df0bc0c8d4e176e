// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/spinlock.h>

/* Between __lock_text_start and __lock_text_end, so that a profile can leave them out. */
#define __lockfunc __section(".spinlock.text")

void __lockfunc spin_lock(spinlock_t *lock)
{
	BUG_ON(lock->locked);
	lock->locked = 1;
}

void __lockfunc spin_unlock(spinlock_t *lock)
{
	BUG_ON(!lock->locked);
	lock->locked = 0;
}
