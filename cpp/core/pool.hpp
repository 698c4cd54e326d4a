// Memory of output arrays, reused from call to call.
#pragma once

#include <cstddef>

namespace mdkern {

// A block of at least `bytes`, 64-byte aligned; from 4 MB on aligned to huge pages and asking for
// them. Blocks that were given back are taken first: their pages are mapped already, and filling
// fresh 4 kB pages costs ten times as much as filling mapped ones. Throws std::bad_alloc.
void* pool_take(std::size_t bytes);
// Gives a block back. At most kPoolBytes stay in the pool; what does not fit is freed.
void pool_give(void* block) noexcept;

constexpr std::size_t kPoolBytes = std::size_t(256) << 20;
constexpr std::size_t kPoolSmallest = std::size_t(64) << 10;  // smaller arrays come from NumPy

}  // namespace mdkern
