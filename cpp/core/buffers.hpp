// Memory that is taken once and reused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace mdkern {

// Kernels see this header and are compiled without exceptions.
[[noreturn]] void throw_bad_alloc();

// A growing array of plain values, 64-byte aligned, never initialised, content dropped on growth.
// From 4 MB on it asks for huge pages: fresh 4 kB pages cost four times as much to fill. Untouched
// pages take no memory, so a generous bound is cheap.
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
    ~Buffer() { std::free(data_); }

    // Room for n values. Grows by at least half, so that a slowly growing system reallocates
    // rarely.
    T* reserve(std::size_t n) {
        if (n > capacity_) {
            std::free(std::exchange(data_, nullptr));
            const std::size_t want = n < capacity_ + capacity_ / 2 ? capacity_ + capacity_ / 2 : n;
            capacity_ = 0;
            constexpr std::size_t kHuge = std::size_t(1) << 21;
            const std::size_t align = want * sizeof(T) >= 2 * kHuge ? kHuge : 64;
            const std::size_t bytes = (want * sizeof(T) + align - 1) / align * align;
            data_ = static_cast<T*>(std::aligned_alloc(align, bytes));
            if (!data_) throw_bad_alloc();
#if defined(__linux__)
            if (align == kHuge) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
            capacity_ = bytes / sizeof(T);
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
