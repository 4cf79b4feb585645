# SPDX-License-Identifier: Apache-2.0
# Precompiled headers, for builds without a compiler cache (CI; a first build on a bare machine): what nearly every file
# includes is parsed once per preset. With ccache they would only get in its way. dev never has them: there, each file
# must name what it needs.
#   skep_precompiled(TARGET library|test)
set(SKEP_PRECOMPILED AUTO CACHE STRING "Precompiled headers: ON, OFF or AUTO (if there is no compiler cache)")
set(skep_use_precompiled ${SKEP_PRECOMPILED})
if(SKEP_PRECOMPILED STREQUAL "AUTO")
    set(skep_use_precompiled OFF)
    if(NOT CCACHE_PROGRAM OR NOT "$ENV{CCACHE_DISABLE}" STREQUAL "")
        set(skep_use_precompiled ON)
    endif()
endif()

# Each lot is compiled with the options of those that use it: position-independent for libraries, for executables else.
if(skep_use_precompiled)
    set(stub "${PROJECT_BINARY_DIR}/precompiled.cpp")
    file(CONFIGURE OUTPUT "${stub}" CONTENT "int main() { return 0; }\n")
    set(headers <algorithm> <array> <cstdint> <cstring> <functional> <map> <memory> <optional> <set> <span> <string>
        <string_view> <unordered_map> <utility> <vector> <fmt/format.h> "${PROJECT_SOURCE_DIR}/src/base/result.hpp")
    add_library(skep_precompiled_library OBJECT "${stub}")
    target_link_libraries(skep_precompiled_library PRIVATE skep_settings fmt::fmt)
    target_include_directories(skep_precompiled_library PRIVATE "${PROJECT_SOURCE_DIR}/src")
    target_precompile_headers(skep_precompiled_library PRIVATE ${headers})
    if(SKEP_TESTS)
        add_executable(skep_precompiled_test EXCLUDE_FROM_ALL "${stub}")
        target_link_libraries(skep_precompiled_test PRIVATE skep_test_settings fmt::fmt GTest::gmock GTest::gtest)
        target_include_directories(skep_precompiled_test PRIVATE "${PROJECT_SOURCE_DIR}/src")
        target_precompile_headers(skep_precompiled_test PRIVATE ${headers} <gtest/gtest.h>)
    endif()
endif()

function(skep_precompiled target kind)
    if(skep_use_precompiled)
        target_precompile_headers(${target} REUSE_FROM skep_precompiled_${kind})
    endif()
endfunction()
