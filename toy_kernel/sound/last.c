// SPDX-License-Identifier: GPL-2.0-only
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/sound.h>

static int __init alsa_sound_last_init(void)
{
	const struct snd_codec *codec;

	for (codec = first_sound(); codec; codec = codec->next)
		pr_info("sound: %s at %u Hz\n", codec->name, SND_RATE);
	return 0;
}
late_initcall(alsa_sound_last_init);
