/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SLAB_H
#define _LINUX_SLAB_H

#include <linux/types.h>

#define PAGE_SIZE 4096ul

void *alloc_page(void);
void free_page(void *page);
void *kmalloc(size_t size);
void kfree(void *object);

#endif
