# SPDX-License-Identifier: Apache-2.0
# Every outside library, found once. Windows and arm64 get theirs from the sysroot that script/bootstrap stages.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json 3 REQUIRED)
find_package(CLI11 REQUIRED)
if(SKEP_TESTS OR SKEP_FUZZ)
    find_package(GTest REQUIRED)
endif()

# Debian's asmjit package ships no usable CMake config for a static link: find it by hand.
if(SKEP_JIT)
    find_path(ASMJIT_INCLUDE_DIR asmjit/x86.h REQUIRED)
    find_library(ASMJIT_LIBRARY asmjit REQUIRED)
    add_library(skep_asmjit INTERFACE)
    target_include_directories(skep_asmjit SYSTEM INTERFACE "${ASMJIT_INCLUDE_DIR}")
    target_compile_definitions(skep_asmjit INTERFACE ASMJIT_STATIC)
    target_link_libraries(skep_asmjit INTERFACE "${ASMJIT_LIBRARY}" Threads::Threads)
    if(UNIX)
        target_link_libraries(skep_asmjit INTERFACE rt)
    endif()
endif()

# The engine `kernel` (src/hooks/kernel): Linux hosts only, optional.
set(SKEP_LIBBPF_FOUND FALSE)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND NOT CMAKE_CROSSCOMPILING)
    find_path(LIBBPF_INCLUDE_DIR bpf/libbpf.h)
    find_library(LIBBPF_LIBRARY bpf)
    if(LIBBPF_INCLUDE_DIR AND LIBBPF_LIBRARY)
        set(SKEP_LIBBPF_FOUND TRUE)
        add_library(skep_libbpf INTERFACE)
        target_include_directories(skep_libbpf SYSTEM INTERFACE "${LIBBPF_INCLUDE_DIR}")
        target_link_libraries(skep_libbpf INTERFACE "${LIBBPF_LIBRARY}")
    endif()
endif()

# Signatures of native modules (src/module): optional on Linux; a build without it neither signs nor accepts signed
# modules. The staged one of cross builds is a static library. Windows has its own.
set(SKEP_OPENSSL_FOUND FALSE)
if(NOT WIN32)
    if(CMAKE_CROSSCOMPILING)
        set(OPENSSL_USE_STATIC_LIBS TRUE)
    endif()
    find_package(OpenSSL 3 COMPONENTS Crypto)
    if(OpenSSL_FOUND)
        set(SKEP_OPENSSL_FOUND TRUE)
    endif()
endif()
