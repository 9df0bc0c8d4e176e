/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SOUND_H
#define _LINUX_SOUND_H

#include <linux/types.h>

struct snd_codec {
	const char *name;
	u8 (*encode)(int sample);
	struct snd_codec *next;
};

void register_sound(struct snd_codec *codec);
struct snd_codec *first_sound(void);
u32 snd_pcm_frames(u32 milliseconds);
u32 snd_pcm_period(u32 frequency);
u32 snd_pcm_encode(const struct snd_codec *codec, u8 *to, u32 frames);

#endif
