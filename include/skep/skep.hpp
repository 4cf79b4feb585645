// SPDX-License-Identifier: Apache-2.0
// The one header to include: everything that skep promises to its users.
#pragma once

#include <skep/version.h>
