# SPDX-License-Identifier: Apache-2.0
# fmt in a staged sysroot: its headers only, as Debian has no library for these targets. Copied there by script/stage-deps.
get_filename_component(_fmt_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET fmt::fmt)
    add_library(fmt::fmt INTERFACE IMPORTED)
    set_target_properties(fmt::fmt PROPERTIES
        INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1
        INTERFACE_INCLUDE_DIRECTORIES "${_fmt_prefix}/include")
endif()
unset(_fmt_prefix)
