// SPDX-License-Identifier: Apache-2.0
/// The one header to include: everything that skep promises to its users. In this version that is the version itself
/// and the table that running code reaches its host through (skep/runtime_context.h, for makers of engines and
/// modules).
#pragma once

#include <skep/version.h>
