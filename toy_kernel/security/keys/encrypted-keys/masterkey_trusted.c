// SPDX-License-Identifier: GPL-2.0-only
#include "encrypted.h"

const struct key *request_trusted_key(void)
{
	return request_key("trusted");
}
