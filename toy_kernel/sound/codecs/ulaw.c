// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/sound.h>

static u8 encode(int sample)
{
	int sign = sample < 0, exponent = 7;

	sample = (sign ? -sample : sample) + 0x84;
	while (exponent && !(sample >> (exponent + 7)))
		exponent--;
	return ~(sign << 7 | exponent << 4 | ((sample >> (exponent + 3)) & 0xf));
}

static struct snd_codec codec = { .name = "ulaw", .encode = encode };

static int __init ulaw_init(void)
{
	u8 buffer[16];

	register_sound(&codec);
	return snd_pcm_encode(&codec, buffer, snd_pcm_frames(2)) == sizeof(buffer) ? 0 : -EINVAL;
}

module_init(ulaw_init);
MODULE_LICENSE("GPL");
