#include "core/pool.hpp"

#include <algorithm>
#include <mutex>

#include "core/memory.hpp"

namespace mdkern {

namespace {

// In front of every block; as long as the alignment.
struct alignas(64) Header {
    std::size_t capacity;
    Header* next;
};

// Of a new block. An eighth of slack (not touched until used), so that a list that grows a little still fits its old one.
std::size_t with_slack(std::size_t bytes) { return sizeof(Header) + bytes + bytes / 8; }

// Blocks that were given back, the latest first.
struct Shelf {
    Header* first = nullptr;

    // The least that fits. No much larger one, but one that was made for as many bytes always does.
    Header* take(std::size_t bytes) {
        const std::size_t most = std::max(bytes + bytes / 2 + kPoolSmallest,
                                          memory_size(with_slack(bytes)) - sizeof(Header));
        Header** best = nullptr;
        for (Header** at = &first; *at; at = &(*at)->next)
            if ((*at)->capacity >= bytes && (*at)->capacity <= most &&
                (!best || (*at)->capacity < (*best)->capacity))
                best = at;
        Header* found = best ? *best : nullptr;
        if (found) *best = found->next;
        return found;
    }
    // Adds a block; returns those that are then too many, the oldest ones.
    Header* give(Header* block, std::size_t limit) {
        block->next = first;
        first = block;
        std::size_t sum = 0;
        for (Header** at = &first; *at; at = &(*at)->next) {
            sum += (*at)->capacity;
            if (sum <= limit) continue;
            Header* rest = *at;
            *at = nullptr;
            return rest;
        }
        return nullptr;
    }
};

std::mutex lock;
Shelf small_shelf, large_shelf;

void free_all(Header* block) {
    while (block) {
        Header* next = block->next;
        give_memory(block);
        block = next;
    }
}

// The page of the header stays.
bool lend(Header* block) { return lend_memory({block, sizeof(Header) + block->capacity}); }

}  // namespace

void* pool_take(std::size_t bytes) {
    // Never wait: in a child of fork() the lock may be held by a thread that is gone.
    if (lock.try_lock()) {
        Header* found = small_shelf.take(bytes);
        if (!found) found = large_shelf.take(bytes);
        lock.unlock();
        if (found) return found + 1;
    }
    const Memory block = take_memory(with_slack(bytes));
    auto* header = static_cast<Header*>(block.data);
    header->capacity = block.bytes - sizeof(Header);
    header->next = nullptr;
    return header + 1;
}

void pool_give(void* block) noexcept {
    Header* header = static_cast<Header*>(block) - 1;
    const bool large = header->capacity > kPoolLarge;
    std::size_t limit = kPoolBytes;
    if (large) {
        try {
            limit = std::size_t(kPoolShare * available_memory());
        } catch (...) {
            limit = 0;
        }
    }
    if (header->capacity <= limit && (!large || lend(header)) && lock.try_lock()) {
        Header* surplus = (large ? large_shelf : small_shelf).give(header, limit);
        lock.unlock();
        free_all(surplus);
    } else {
        give_memory(header);
    }
}

void pool_clear() noexcept {
    if (!lock.try_lock()) return;
    Header *small = small_shelf.first, *large = large_shelf.first;
    small_shelf.first = large_shelf.first = nullptr;
    lock.unlock();
    free_all(small);
    free_all(large);
}

}  // namespace mdkern
