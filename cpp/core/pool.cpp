#include "core/pool.hpp"

#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mdkern {

namespace {

// In front of every block; as long as the alignment.
struct alignas(64) Header {
    std::size_t capacity;
    Header* next;
};

std::mutex lock;
Header* free_blocks = nullptr;
std::size_t free_bytes = 0;

constexpr std::size_t kHuge = std::size_t(1) << 21;

}  // namespace

void* pool_take(std::size_t bytes) {
    // Never wait: in a child of fork() the lock may be held by a thread that is gone.
    if (lock.try_lock()) {
        Header** best = nullptr;
        for (Header** at = &free_blocks; *at; at = &(*at)->next)
            if ((*at)->capacity >= bytes && (*at)->capacity <= bytes + bytes / 2 + kPoolSmallest &&
                (!best || (*at)->capacity < (*best)->capacity))
                best = at;
        Header* found = best ? *best : nullptr;
        if (found) {
            *best = found->next;
            free_bytes -= found->capacity;
        }
        lock.unlock();
        if (found) return found + 1;
    }
    const bool huge = bytes >= 2 * kHuge;
    const std::size_t align = huge ? kHuge : 64;
    // An eighth of slack (not touched until used), so that a list that grows a little still fits
    // its old block.
    const std::size_t total = (sizeof(Header) + bytes + bytes / 8 + align - 1) / align * align;
    auto* header = static_cast<Header*>(std::aligned_alloc(align, total));
    if (!header) throw std::bad_alloc();
#if defined(__linux__)
    if (huge) madvise(header, total, MADV_HUGEPAGE);
#endif
    header->capacity = total - sizeof(Header);
    header->next = nullptr;
    return header + 1;
}

void pool_give(void* block) noexcept {
    Header* header = static_cast<Header*>(block) - 1;
    if (header->capacity <= kPoolBytes / 4 && lock.try_lock()) {
        const bool keep = free_bytes + header->capacity <= kPoolBytes;
        if (keep) {
            header->next = free_blocks;
            free_blocks = header;
            free_bytes += header->capacity;
        }
        lock.unlock();
        if (keep) return;
    }
    std::free(header);
}

}  // namespace mdkern
