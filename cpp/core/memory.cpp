#include "core/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <malloc.h>
#include <windows.h>
#elif defined(__APPLE__)
#include <mach/mach.h>
#include <sys/sysctl.h>
#else
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "core/cgroup.hpp"
#endif

namespace mdkern {

namespace {

constexpr std::size_t kHuge = std::size_t(1) << 21;

std::size_t alignment(std::size_t bytes) { return bytes >= 2 * kHuge ? kHuge : 64; }

}  // namespace

std::size_t memory_size(std::size_t bytes) {
    const std::size_t align = alignment(bytes);
    return (bytes + align - 1) / align * align;
}

Memory take_memory(std::size_t bytes) {
    const std::size_t align = alignment(bytes), whole = memory_size(bytes);
#if defined(_WIN32)
    void* data = _aligned_malloc(whole, align);
#else
    void* data = nullptr;  // not by aligned_alloc, which came with macOS 10.15
    if (posix_memalign(&data, align, whole) != 0) data = nullptr;
#endif
    if (!data) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (align == kHuge) madvise(data, whole, MADV_HUGEPAGE);
#endif
    return {data, whole};
}

void give_memory(void* data) noexcept {
#if defined(_WIN32)
    _aligned_free(data);
#else
    std::free(data);
#endif
}

bool lend_memory(const Memory& block) noexcept {
#if defined(MADV_FREE)
    return madvise(static_cast<char*>(block.data) + kHuge, block.bytes - kHuge, MADV_FREE) == 0;
#else
    (void)block;
    return false;
#endif
}

#if defined(_WIN32)

double available_memory() {
    MEMORYSTATUSEX status;
    status.dwLength = sizeof status;
    // What may be promised to this process can be less than what is free, as nothing is overcommitted.
    if (GlobalMemoryStatusEx(&status))
        return double(std::min(status.ullAvailPhys, status.ullAvailPageFile));
    return 0.0;
}

#elif defined(__APPLE__)

double available_memory() {
    // Inactive pages are kept in case that they are wanted again, and taken before anything is swapped.
    vm_statistics64_data_t pages;
    mach_msg_type_number_t size = HOST_VM_INFO64_COUNT;
    const mach_port_t host = mach_host_self();
    const bool told =
        host_statistics64(host, HOST_VM_INFO64, reinterpret_cast<host_info64_t>(&pages), &size) ==
        KERN_SUCCESS;
    mach_port_deallocate(mach_task_self(), host);
    if (told)
        return (double(pages.free_count) + double(pages.inactive_count)) * double(vm_page_size);
    std::uint64_t all = 0;
    std::size_t bytes = sizeof all;
    return sysctlbyname("hw.memsize", &all, &bytes, nullptr, 0) == 0 ? 0.5 * double(all) : 0.0;
}

#else

double available_memory() {
    double bytes = 0.0;
    std::ifstream info("/proc/meminfo");
    std::string key, unit;
    for (double kb = 0.0; info >> key >> kb; std::getline(info, unit))
        if (key == "MemAvailable:") bytes = 1024.0 * kb;
    if (bytes == 0.0) bytes = 0.5 * double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
    return std::min(bytes, cgroup_memory().left());
}

#endif

}  // namespace mdkern
