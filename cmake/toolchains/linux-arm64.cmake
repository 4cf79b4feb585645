# SPDX-License-Identifier: Apache-2.0
# Linux arm64 by Debian's cross compiler, run under qemu-user with the cross libc as its root.
# Outside libraries come from the sysroot that script/stage-deps makes; SKEP_DEPS names another place for it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

include("${CMAKE_CURRENT_LIST_DIR}/staged.cmake")
set(CMAKE_FIND_ROOT_PATH "${SKEP_DEPS_DIR}/linux-arm64" /usr/aarch64-linux-gnu)

set(CMAKE_CROSSCOMPILING_EMULATOR "${CMAKE_CURRENT_LIST_DIR}/../../script/qemu-arm64")
