// Memory of the system: blocks of it, and how much a result may take.
#pragma once

#include <cstddef>

namespace mdkern {

struct Memory {
    void* data;
    std::size_t bytes;  // at least what was asked for
};

// 64-byte aligned, never initialised. From 4 MB on it is aligned to huge pages, and asks for them
// where the system takes such wishes: fresh 4 kB pages cost four times as much to fill. Untouched
// pages take no memory. Throws std::bad_alloc.
Memory take_memory(std::size_t bytes);
std::size_t memory_size(std::size_t bytes);  // of the block that take_memory() gives
void give_memory(void* data) noexcept;
// Leaves the pages of a block but its first 2 MB to the system: it takes them when it runs short of
// memory, and until then they stay mapped. False where that is not to be had.
bool lend_memory(const Memory& block) noexcept;

// Bytes that this process may still take: what the system has available, lowered by a cgroup limit.
double available_memory();

}  // namespace mdkern
