// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include "lkdtm.h"

/*
 * test_long_name: more than 127 characters, as compilers of other languages make them. The second is longer than 127
 * bytes in the compressed table too, so that its length takes two bytes there; kallsyms takes up to 511 characters.
 */
#define NAME_150 \
	_RNvXs3_NtNtCs8qwertzuiop_6kernel4misc5lkdtmNtB5_9LongNamesNtNtNtCsAsdfghjkl_4core3ops4drop4Drop4drop_with_a_suffix_that_goes_on_and_on_to_one_hundred_fifty
#define NAME_511 \
	h5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e96b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4bd4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab354e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8aef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39de7f6c011776e8db7cd330b54174fd76f7d0216b612387a5ffcfb81e6f09196837902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b24

static noinline u32 NAME_150(u32 seed)
{
	return seed * 3;
}

static noinline u32 NAME_511(u32 seed)
{
	return seed * 5;
}

u32 lkdtm_long_names(u32 seed)
{
	return NAME_150(seed) + NAME_511(seed);
}
