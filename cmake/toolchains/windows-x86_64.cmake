# SPDX-License-Identifier: Apache-2.0
# Windows x86-64 by Debian's mingw-w64, the posix-threads variant (std::thread, std::mutex need it), run under Wine.
# Outside libraries come from the sysroot that script/stage-deps makes; SKEP_DEPS names another place for it.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)

set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-posix)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)

include("${CMAKE_CURRENT_LIST_DIR}/staged.cmake")
set(CMAKE_FIND_ROOT_PATH "${SKEP_DEPS_DIR}/windows-x86_64" /usr/x86_64-w64-mingw32)

# script/wine knows the prefix, so `ctest` and `cmake --build` need no environment of their own.
get_filename_component(SKEP_WINE "${CMAKE_CURRENT_LIST_DIR}/../../script/wine" ABSOLUTE)
set(CMAKE_CROSSCOMPILING_EMULATOR "${SKEP_WINE}")
