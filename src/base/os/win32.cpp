// SPDX-License-Identifier: Apache-2.0
// os.hpp on Windows.
#include <windows.h>
// After windows.h, on which it depends.
#include <bcrypt.h>

#include "base/atomic.hpp"
#include "base/os.hpp"
#include "base/os/heap.hpp"

namespace {

using namespace skep;

// Linux' numbers, which os.hpp speaks on every host.
constexpr int linux_enomem = 12;
constexpr int linux_eacces = 13;
constexpr int linux_etimedout = 110;

constexpr int ring_attempts = 64;
constexpr uint64_t tai_minus_utc_ns = 37ull * 1000000000u;  // since 2017
constexpr uint64_t filetime_of_1970 = 116444736000000000ull;

SYSTEM_INFO system_info() {
    SYSTEM_INFO info{};
    GetSystemInfo(&info);
    return info;
}

HANDLE as_handle(int64_t handle) { return reinterpret_cast<HANDLE>(static_cast<intptr_t>(handle)); }
DWORD high_half(uint64_t value) { return static_cast<DWORD>(value >> 32); }
DWORD low_half(uint64_t value) { return static_cast<DWORD>(value); }

uint64_t counter_ns() {
    LARGE_INTEGER count{}, frequency{};
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    const auto ticks = static_cast<uint64_t>(count.QuadPart), per_second = static_cast<uint64_t>(frequency.QuadPart);
    return ticks / per_second * 1000000000u + ticks % per_second * 1000000000u / per_second;
}

/// Wine 8 implements FlushProcessWriteBuffers as a note in its log; only Wine's ntdll exports this name.
bool is_wine() {
    const HMODULE ntdll = GetModuleHandleA("ntdll.dll");
    return ntdll != nullptr && GetProcAddress(ntdll, "wine_get_version") != nullptr;
}

}  // namespace

extern "C" {

size_t skep_os_page_size(void) { return system_info().dwPageSize; }

void* skep_os_pages_alloc(size_t bytes) {
    if (bytes == 0 || os_allocation_fails()) return nullptr;
    return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

int skep_os_pages_protect_rx(void* pages, size_t bytes) {
    DWORD before = 0;
    if (!VirtualProtect(pages, bytes, PAGE_EXECUTE_READ, &before)) return linux_eacces;
    FlushInstructionCache(GetCurrentProcess(), pages, bytes);
    return 0;
}

void skep_os_pages_free(void* pages, size_t) {
    if (pages != nullptr) VirtualFree(pages, 0, MEM_RELEASE);
}

int64_t skep_os_shm_create(const char*, size_t bytes) {
    // Without a name: whoever may share it is handed the handle.
    if (os_allocation_fails()) return -linux_enomem;
    const HANDLE section =
        CreateFileMappingA(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE, high_half(bytes), low_half(bytes), nullptr);
    return section == nullptr ? -linux_enomem : static_cast<int64_t>(reinterpret_cast<intptr_t>(section));
}

void skep_os_shm_close(int64_t handle) {
    if (handle >= 0) CloseHandle(as_handle(handle));
}

void* skep_os_shm_map(int64_t handle, size_t bytes) {
    if (os_allocation_fails()) return nullptr;
    return MapViewOfFile(as_handle(handle), FILE_MAP_ALL_ACCESS, 0, 0, bytes);
}

void* skep_os_shm_map_ring(int64_t handle, size_t head, size_t ring) {
    if (ring > SIZE_MAX / 4 || head > SIZE_MAX / 4 || os_allocation_fails()) return nullptr;
    // A place large enough for both views is found by reserving and giving it back, which another thread may take in
    // between: then look again. (VirtualAlloc2's placeholders close the gap, but Wine refuses them.)
    for (int attempt = 0; attempt < ring_attempts; ++attempt) {
        void* place = VirtualAlloc(nullptr, head + 2 * ring, MEM_RESERVE, PAGE_NOACCESS);
        if (place == nullptr) return nullptr;
        VirtualFree(place, 0, MEM_RELEASE);
        void* once = MapViewOfFileEx(as_handle(handle), FILE_MAP_ALL_ACCESS, 0, 0, head + ring, place);
        if (once == nullptr) continue;
        void* again = MapViewOfFileEx(as_handle(handle), FILE_MAP_ALL_ACCESS, high_half(head), low_half(head), ring,
                                      static_cast<char*>(once) + head + ring);
        if (again != nullptr) return once;
        UnmapViewOfFile(once);
    }
    return nullptr;
}

void skep_os_shm_unmap(void* memory, size_t) {
    if (memory != nullptr) UnmapViewOfFile(memory);
}

void skep_os_shm_unmap_ring(void* memory, size_t head, size_t ring) {
    if (memory == nullptr) return;
    UnmapViewOfFile(static_cast<char*>(memory) + head + ring);
    UnmapViewOfFile(memory);
}

size_t skep_os_shm_granularity(void) { return system_info().dwAllocationGranularity; }

// The performance counter goes on while the machine sleeps, and Windows has no fine clock that does not.
uint64_t skep_os_monotonic_ns(void) { return counter_ns(); }
uint64_t skep_os_boot_ns(void) { return counter_ns(); }
uint64_t skep_os_coarse_ns(void) { return GetTickCount64() * 1000000u; }

uint64_t skep_os_tai_ns(void) {
    FILETIME now{};
    GetSystemTimePreciseAsFileTime(&now);
    const uint64_t ticks = static_cast<uint64_t>(now.dwHighDateTime) << 32 | now.dwLowDateTime;
    return (ticks - filetime_of_1970) * 100 + tai_minus_utc_ns;
}

uint32_t skep_os_cpu_count(void) {
    const DWORD count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return count != 0 ? count : 1;
}

uint32_t skep_os_cpu(void) {
    PROCESSOR_NUMBER number{};
    GetCurrentProcessorNumberEx(&number);
    return number.Group * 64u + number.Number;
}

uint32_t skep_os_numa_node(void) {
    PROCESSOR_NUMBER number{};
    GetCurrentProcessorNumberEx(&number);
    USHORT node = 0;
    return GetNumaProcessorNodeEx(&number, &node) ? node : 0;
}

int skep_os_heavy_barrier(void) {
    static const bool works = !is_wine();
    if (!works) return 0;
    FlushProcessWriteBuffers();
    return 1;
}

void skep_os_yield(void) { SwitchToThread(); }

int skep_os_wait(const uint32_t* word, uint32_t expected, uint64_t timeout_ns) {
    const uint64_t whole_ms = timeout_ns / 1000000u + (timeout_ns % 1000000u != 0 ? 1 : 0);
    const DWORD limit = whole_ms >= INFINITE ? INFINITE : static_cast<DWORD>(whole_ms);
    if (WaitOnAddress(const_cast<uint32_t*>(word), &expected, sizeof expected, limit)) return 0;
    return GetLastError() == ERROR_TIMEOUT ? linux_etimedout : 0;
}

void skep_os_wake(const uint32_t* word, uint32_t count) {
    if (count == 1)
        WakeByAddressSingle(const_cast<uint32_t*>(word));
    else
        WakeByAddressAll(const_cast<uint32_t*>(word));
}

void skep_os_random(void* out, size_t bytes) {
    auto* to = static_cast<UCHAR*>(out);
    while (bytes > 0) {
        const ULONG part = bytes > 1u << 20 ? 1u << 20 : static_cast<ULONG>(bytes);
        // Cannot fail on a working system; predictable bytes would be worse than an end.
        if (BCryptGenRandom(nullptr, to, part, BCRYPT_USE_SYSTEM_PREFERRED_RNG) < 0) abort();
        to += part;
        bytes -= part;
    }
}

}  // extern "C"
