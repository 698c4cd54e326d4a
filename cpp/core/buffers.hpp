// Memory that is taken once and reused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/memory.hpp"

namespace mdkern {

// A growing array of plain values in the memory of take_memory(): 64-byte aligned, never
// initialised, content dropped on growth. A generous bound is cheap.
template <class T> class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Buffer(Buffer&& o) noexcept
        : data_(std::exchange(o.data_, nullptr)), capacity_(std::exchange(o.capacity_, 0)) {}
    Buffer& operator=(Buffer&& o) noexcept {
        std::swap(data_, o.data_);
        std::swap(capacity_, o.capacity_);
        return *this;
    }
    ~Buffer() { give_memory(data_); }

    // Room for n values. Grows by at least half, so that a slowly growing system reallocates
    // rarely.
    T* reserve(std::size_t n) {
        if (n > capacity_) {
            give_memory(std::exchange(data_, nullptr));
            const std::size_t want = n < capacity_ + capacity_ / 2 ? capacity_ + capacity_ / 2 : n;
            capacity_ = 0;
            const Memory block = take_memory(want * sizeof(T));
            data_ = static_cast<T*>(block.data);
            capacity_ = block.bytes / sizeof(T);
        }
        return data_;
    }
    T* data() { return data_; }
    const T* data() const { return data_; }
    std::size_t capacity() const { return capacity_; }
    T& operator[](std::size_t i) { return data_[i]; }
    const T& operator[](std::size_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
    std::size_t capacity_ = 0;
};

}  // namespace mdkern
