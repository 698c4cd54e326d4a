// Working memory of one thread: one allocation, handed out piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mdkern {

// Rows of numbers that whole vectors read and write have lengths that are multiples of this, the
// lanes of the widest vector of floats.
constexpr int kPadLanes = 16;
static inline constexpr int padded(int n) { return (n + kPadLanes - 1) / kPadLanes * kPadLanes; }
// Places for n numbers of which compressed stores, which may write a vector beyond the last one,
// keep some.
static inline constexpr std::int64_t padded_room(std::int64_t n) {
    return (n + 2 * kPadLanes) / kPadLanes * kPadLanes;
}

// In a namespace without a name: kernels of every instruction set have a copy of their own.
namespace {

// Pieces begin at cache lines where the memory does. Without memory the same walk over all pieces
// gives the bytes that they need.
struct Arena {
    char* memory = nullptr;
    std::size_t used = 0;
    template <class T> void take(T*& piece, std::size_t n) {
        piece = memory ? reinterpret_cast<T*>(memory + used) : nullptr;
        used += (n * sizeof(T) + 63) / 64 * 64;
    }
};

}  // namespace
}  // namespace mdkern
