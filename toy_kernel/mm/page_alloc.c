// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#define PAGES 16

static u8 pages[PAGES][PAGE_SIZE] __aligned(4096);
static u32 used;
static spinlock_t zone_lock;

void *alloc_page(void)
{
	void *page = NULL;
	u32 i;

	spin_lock(&zone_lock);
	for (i = 0; i < PAGES && !page; i++) {
		if (!(used & 1u << i)) {
			used |= 1u << i;
			page = pages[i];
		}
	}
	spin_unlock(&zone_lock);
	return page;
}

void free_page(void *page)
{
	size_t i = ((u8 *)page - pages[0]) / PAGE_SIZE;

	BUG_ON(i >= PAGES || !(used & 1u << i));
	used &= ~(1u << i);
}
