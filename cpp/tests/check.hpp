// The few helpers of the C++ tests: failure counting, bitwise comparison, reproducible numbers,
// memory with guard pages.
#pragma once

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#undef near
#undef far
#else
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mdkern_tests {

inline long checks = 0, failures = 0;

#define CHECK(condition, ...)                                                    \
    do {                                                                         \
        ++mdkern_tests::checks;                                                  \
        if (!(condition) && ++mdkern_tests::failures <= 50) {                    \
            std::printf("%s:%d: %s is false; ", __FILE__, __LINE__, #condition); \
            std::printf(__VA_ARGS__);                                            \
            std::printf("\n");                                                   \
        }                                                                        \
    } while (0)

inline int report(const char* name) {
    std::printf("%s: %ld checks, %ld failures\n", name, checks, failures);
    return failures == 0 && checks > 0 ? 0 : 1;
}

// Equal bits, so that -0 differs from 0; all NaN are alike.
template <class T>
bool same(T a, T b) {
    return (a != a && b != b) || std::memcmp(&a, &b, sizeof a) == 0;
}

// xorshift64* of Vigna (2016): reproducible everywhere, unlike std:: distributions.
struct Random {
    std::uint64_t state = 0x9e3779b97f4a7c15ull;
    std::uint64_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return state * 0x2545f4914f6cdd1dull;
    }
    double uniform(double lo, double hi) {
        return lo + (hi - lo) * (double(next() >> 11) * 0x1p-53);
    }
    int below(int n) { return int(next() % std::uint64_t(n)); }
};

// `size` bytes of memory between two pages that may not be touched.
class Guarded {
public:
#if defined(_WIN32)
    explicit Guarded(std::size_t size) : page_(4096) {
        inner_ = (size + page_ - 1) / page_ * page_;
        // The pages around are reserved, and nothing is behind them.
        base_ = static_cast<char*>(
            VirtualAlloc(nullptr, inner_ + 2 * page_, MEM_RESERVE, PAGE_NOACCESS));
        if (!base_ || !VirtualAlloc(base_ + page_, inner_, MEM_COMMIT, PAGE_READWRITE)) {
            std::printf("VirtualAlloc failed\n");
            std::abort();
        }
    }
    ~Guarded() { VirtualFree(base_, 0, MEM_RELEASE); }
#else
    explicit Guarded(std::size_t size) : page_(std::size_t(sysconf(_SC_PAGESIZE))) {
        inner_ = (size + page_ - 1) / page_ * page_;
        base_ = static_cast<char*>(mmap(nullptr, inner_ + 2 * page_, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (static_cast<void*>(base_) == MAP_FAILED || mprotect(base_, page_, PROT_NONE) != 0 ||
            mprotect(base_ + page_ + inner_, page_, PROT_NONE) != 0) {
            std::perror("mmap");
            std::abort();
        }
    }
    ~Guarded() { munmap(base_, inner_ + 2 * page_); }
#endif
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    template <class T>
    T* begin() const {
        return reinterpret_cast<T*>(base_ + page_);
    }
    template <class T>
    T* end() const {
        return reinterpret_cast<T*>(base_ + page_ + inner_);
    }

private:
    std::size_t page_, inner_ = 0;
    char* base_ = nullptr;
};

}  // namespace mdkern_tests

// Each test file defines this one; main.cpp calls it when the CPU has the ISA. `few`: a part of the
// numbers, but all cases.
int run_tests(bool few);
