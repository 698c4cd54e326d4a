// Memory of output arrays, reused from call to call.
#pragma once

#include <cstddef>

namespace mdkern {

// A block of at least `bytes`, 64-byte aligned; from 4 MB on aligned to huge pages and asking for
// them. Blocks that were given back are taken first: their pages are mapped already, and filling
// fresh pages costs two (huge ones) to ten times as much. Throws std::bad_alloc.
void* pool_take(std::size_t bytes);
// Gives a block back. The pool keeps up to kPoolBytes of blocks of at most kPoolLarge. Of larger
// ones it keeps kPoolShare of the memory that is available, with their pages lent to the system
// (MADV_FREE): whoever needs memory gets them. The oldest blocks make room.
void pool_give(void* block) noexcept;
// Frees what the pool keeps.
void pool_clear() noexcept;

constexpr std::size_t kPoolBytes = std::size_t(256) << 20;
constexpr std::size_t kPoolLarge = std::size_t(64) << 20;
constexpr double kPoolShare = 0.25;
constexpr std::size_t kPoolSmallest = std::size_t(64) << 10;  // smaller arrays come from NumPy

}  // namespace mdkern
