// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/sound.h>

u32 snd_pcm_frames(u32 milliseconds)
{
	return SND_RATE / 1000 * milliseconds;
}

MODULE_LICENSE("GPL");
