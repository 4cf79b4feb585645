# SPDX-License-Identifier: Apache-2.0
# Shared by the cross toolchains: where the staged sysroots stand, and that nothing of the host is ever found by mistake.
if(DEFINED ENV{SKEP_DEPS})
    set(SKEP_DEPS_DIR "$ENV{SKEP_DEPS}")
else()
    get_filename_component(SKEP_DEPS_DIR "${CMAKE_CURRENT_LIST_DIR}/../../build/deps" ABSOLUTE)
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
