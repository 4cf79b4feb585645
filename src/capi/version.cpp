// SPDX-License-Identifier: Apache-2.0
// skep_version(): the number that CMake gives the project, nowhere written twice.
#include <skep/version.h>

const char* skep_version(void) { return SKEP_VERSION; }
