// SPDX-License-Identifier: Apache-2.0
// Which skep this is.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/// The version of the library that is linked, as "MAJOR.MINOR.PATCH" (semantic versioning).
/// The string is static: never null, never to be freed. Any thread may call this.
const char* skep_version(void);

#ifdef __cplusplus
}
#endif
