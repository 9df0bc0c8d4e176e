// SPDX-License-Identifier: GPL-2.0-only
/* test_composite_of_one: soundcore.o is made of this object alone */
#include <linux/module.h>
#include <linux/sound.h>

static struct snd_codec *codecs;

void register_sound(struct snd_codec *codec)
{
	codec->next = codecs;
	codecs = codec;
}

struct snd_codec *first_sound(void)
{
	return codecs;
}

MODULE_LICENSE("GPL");
