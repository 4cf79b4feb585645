# SPDX-License-Identifier: Apache-2.0
# Language level, warnings and sanitizers, in one interface target: skep_settings.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

add_library(skep_settings INTERFACE)
target_compile_options(skep_settings INTERFACE
    -Wall -Wextra -Wpedantic -Werror
    # g++ 12 sees overlaps and overruns in std::string where there are none (GCC bugs 105651, 105329): which ones depends
    # on the length of the path that the tree lies at. clang checks bounds too.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread>
    # clang does not forgive libstdc++ 12 its std::get_temporary_buffer, deprecated in C++17, inside std::stable_sort;
    # g++ still reports what of ours is deprecated.
    $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>
    -fno-strict-aliasing)  # program memory is typed by the program, not by us
if(SKEP_SANITIZE)
    target_compile_options(skep_settings INTERFACE -fsanitize=${SKEP_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(skep_settings INTERFACE -fsanitize=${SKEP_SANITIZE})
endif()
if(SKEP_FUZZ)
    target_compile_options(skep_settings INTERFACE -fsanitize=fuzzer-no-link)  # every floor reports its branches
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_link_options(skep_settings INTERFACE -fuse-ld=lld)  # sanitizer builds link in a fraction of bfd's time
endif()
if(SKEP_PRODUCTION)
    target_compile_definitions(skep_settings INTERFACE SKEP_PRODUCTION=1)
endif()
# Test programs are mostly compiled, hardly run: presets that CI builds from nothing compile them without optimisation.
set(SKEP_TEST_FLAGS "" CACHE STRING "Compiler flags of test sources, after all others; a list")
add_library(skep_test_settings INTERFACE)
target_link_libraries(skep_test_settings INTERFACE skep_settings)
target_compile_options(skep_test_settings INTERFACE ${SKEP_TEST_FLAGS})

if(WIN32)
    target_compile_definitions(skep_settings INTERFACE _WIN32_WINNT=0x0A00 NOMINMAX WIN32_LEAN_AND_MEAN)
    target_link_options(skep_settings INTERFACE -static)
endif()
