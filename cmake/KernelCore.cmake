# SPDX-License-Identifier: Apache-2.0
# The run-time core as a kernel would get it: no exceptions, no RTTI, no C++ run-time, general registers only (DESIGN.md
# section 5). Included by the preset kernel-core, where it is all that is built, and by tests/driver, which links the same
# objects into a Windows driver.
#     skep_kernel_core_sources(VARIABLE)   the core: lanes, hashing, maps, run-time core
#     skep_kernel_core(NAME SOURCES...)    an object library compiled as kernel code
function(skep_kernel_core_sources out)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS
        "${PROJECT_SOURCE_DIR}/src/maps/*.cpp" "${PROJECT_SOURCE_DIR}/src/runtime/core/*.cpp")
    list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
    set(${out} "${PROJECT_SOURCE_DIR}/src/base/lane.cpp" "${PROJECT_SOURCE_DIR}/src/base/sha256.cpp" ${sources} PARENT_SCOPE)
endfunction()

function(skep_kernel_core name)
    add_library(${name} OBJECT ${ARGN})
    target_link_libraries(${name} PRIVATE skep_settings)
    target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/include"
        "${PROJECT_SOURCE_DIR}")
    target_compile_options(${name} PRIVATE -ffreestanding -mno-red-zone -mgeneral-regs-only
        $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
endfunction()

if(SKEP_KERNEL_CORE)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    skep_kernel_core_sources(core_sources)
    skep_kernel_core(skep_kernel_core ${core_sources})
    skep_kernel_core(skep_kernel_stub "${PROJECT_SOURCE_DIR}/src/base/os/kernel_stub.cpp")
    set(check Python3::Interpreter "${PROJECT_SOURCE_DIR}/script/check-kernel-core")

    # The core alone asks for nothing but os.hpp and four memory functions; with the stub of os.hpp, only for those four.
    add_custom_command(OUTPUT skep_core.o
        COMMAND "${CMAKE_LINKER}" -r -nostdlib -o skep_core.o $<TARGET_OBJECTS:skep_kernel_core>
        COMMAND ${check} --self-test "${CMAKE_CXX_COMPILER}"
        COMMAND ${check} skep_core.o
        DEPENDS $<TARGET_OBJECTS:skep_kernel_core> "${PROJECT_SOURCE_DIR}/script/check-kernel-core"
        COMMENT "Linking the kernel core and checking what it needs" COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_command(OUTPUT skep_core_with_stub.o
        COMMAND "${CMAKE_LINKER}" -r -nostdlib -o skep_core_with_stub.o skep_core.o $<TARGET_OBJECTS:skep_kernel_stub>
        COMMAND ${check} --complete skep_core_with_stub.o
        DEPENDS skep_core.o $<TARGET_OBJECTS:skep_kernel_stub>
        COMMENT "Linking the kernel core with the stub of its host" COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(kernel_core ALL DEPENDS skep_core.o skep_core_with_stub.o)
endif()
