#include "core/memory.hpp"

#include <algorithm>
#include <fstream>
#include <new>
#include <string>

#include <unistd.h>

#include "core/buffers.hpp"

namespace mdkern {

void throw_bad_alloc() { throw std::bad_alloc(); }

double available_memory() {
    double bytes = 0.0;
    std::ifstream info("/proc/meminfo");
    std::string key, unit;
    for (double kb = 0.0; info >> key >> kb; std::getline(info, unit))
        if (key == "MemAvailable:") bytes = 1024.0 * kb;
    if (bytes == 0.0) bytes = 0.5 * double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGESIZE));
    double limit = 0.0, used = 0.0;
    std::ifstream max("/sys/fs/cgroup/memory.max"), current("/sys/fs/cgroup/memory.current");
    if (max >> limit && current >> used) bytes = std::min(bytes, std::max(0.0, limit - used));
    return bytes;
}

}  // namespace mdkern
