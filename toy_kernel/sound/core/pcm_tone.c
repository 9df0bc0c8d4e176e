// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sound.h>

/* Frames in one period of a tone. */
u32 snd_pcm_period(u32 frequency)
{
	return SND_RATE / frequency;
}
