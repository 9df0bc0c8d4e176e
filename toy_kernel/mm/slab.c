// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/slab.h>

/* Objects of one size, threaded through a page. */
#define OBJECT_SIZE 64

union object {
	union object *next;
	u8 payload[OBJECT_SIZE];
};

static union object *free_objects;

static int grow(void)
{
	union object *object = alloc_page();
	size_t i;

	if (unlikely(!object))
		return -ENOMEM;
	for (i = 0; i < PAGE_SIZE / OBJECT_SIZE; i++) {
		object[i].next = free_objects;
		free_objects = &object[i];
	}
	return 0;
}

void *kmalloc(size_t size)
{
	union object *object;

	BUG_ON(size > OBJECT_SIZE);
	if (!free_objects && grow())
		return NULL;
	object = free_objects;
	free_objects = object->next;
	return object;
}

void kfree(void *object)
{
	union object *freed = object;

	freed->next = free_objects;
	free_objects = freed;
}
