# SPDX-License-Identifier: Apache-2.0
# skep_bpf_object(TARGET name SOURCE x.bpf.c [MCPU v3] [COMPILER clang|gcc] [OUTPUT file] [FLAGS words...])
#   Compiles one C source to an eBPF object and makes a target of it, built by default. The object's path is OUTPUT
#   (default: the source's name without .bpf.c, plus .o, in the current binary folder); the target's property
#   SKEP_OBJECT holds it. eBPF objects are the same for every host, so cross builds use the build machine's compilers.
#   GCC is optional: without it there is no target, and a status line says so.
find_program(SKEP_BPF_CLANG NAMES clang-19 clang DOC "clang with the bpf target")
find_program(SKEP_BPF_GCC NAMES bpf-gcc bpf-unknown-none-gcc DOC "GCC with the bpf target")

# <linux/types.h> includes <asm/types.h>, which lies in the build machine's multiarch folder.
set(skep_bpf_includes)
foreach(arch IN ITEMS x86_64-linux-gnu aarch64-linux-gnu)
    if(EXISTS "/usr/include/${arch}/asm/types.h")
        list(APPEND skep_bpf_includes "-I/usr/include/${arch}")
        break()
    endif()
endforeach()
set(SKEP_BPF_INCLUDES "${skep_bpf_includes}" CACHE INTERNAL "")

function(skep_bpf_object)
    cmake_parse_arguments(B "" "TARGET;SOURCE;MCPU;COMPILER;OUTPUT" "FLAGS" ${ARGN})
    if(NOT B_MCPU)
        set(B_MCPU v3)
    endif()
    get_filename_component(source "${B_SOURCE}" ABSOLUTE)
    if(NOT B_OUTPUT)
        get_filename_component(stem "${source}" NAME)
        string(REGEX REPLACE "(\\.bpf)?\\.c$" "" stem "${stem}")
        set(B_OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${stem}.o")
    endif()
    get_filename_component(folder "${B_OUTPUT}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    if(B_COMPILER STREQUAL "gcc")
        if(NOT SKEP_BPF_GCC)
            message(STATUS "no bpf-gcc: ${B_TARGET} is left out (Debian: gcc-bpf)")
            return()
        endif()
        # GCC for bpf has no system headers of its own: the C library's are enough for <linux/bpf.h>.
        set(command "${SKEP_BPF_GCC}" -gbtf -mcpu=${B_MCPU} ${SKEP_BPF_INCLUDES} -idirafter /usr/include)
    else()
        if(NOT SKEP_BPF_CLANG)
            message(FATAL_ERROR "clang-19 is needed to compile eBPF programs: run script/bootstrap")
        endif()
        set(command "${SKEP_BPF_CLANG}" -target bpf -mcpu=${B_MCPU} -g ${SKEP_BPF_INCLUDES} -fno-color-diagnostics)
    endif()
    # Paths in debug information are relative, so that the object does not depend on where the tree lies. clang opens
    # the source by that path for the text of its lines, hence the working directory.
    add_custom_command(OUTPUT "${B_OUTPUT}"
        COMMAND ${command} -O2 -Wall "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=" ${B_FLAGS}
                -MMD -MT "${B_OUTPUT}" -MF "${B_OUTPUT}.d" -c "${source}" -o "${B_OUTPUT}"
        WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" DEPENDS "${source}" DEPFILE "${B_OUTPUT}.d" VERBATIM
        COMMENT "Compiling eBPF object ${B_TARGET}")
    add_custom_target(${B_TARGET} ALL DEPENDS "${B_OUTPUT}")
    set_target_properties(${B_TARGET} PROPERTIES SKEP_OBJECT "${B_OUTPUT}")
endfunction()
