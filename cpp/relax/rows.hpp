// Sums over coordinates, and loops over them. Blocks are fixed, and sums of blocks are added in
// their order: the bits do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/buffers.hpp"
#include "core/errors.hpp"
#include "core/threads.hpp"
#include "relax/optimizer.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

class Rows {
public:
    // For coordinates of `size` numbers.
    void start(std::int64_t size) {
        size_ = size;
        parts_.reserve(std::size_t(n_blocks()) + 1);
    }
    void set_threads(int threads) { threads_ = threads; }
    std::int64_t size() const { return size_; }

    // body(begin, end) for each block.
    template <class Body> void each(const Body& body) const {
        if (size_ <= kBlock) return body(std::int64_t(0), size_);
        parallel_for(n_blocks(), team_size(threads_, size_, kNumberNs), 1,
                     [&](std::int64_t b) { body(b * kBlock, std::min(size_, (b + 1) * kBlock)); });
    }
    double dot(const double* a, const double* b) {
        if (size_ <= kBlock) return dot_of(a, b, 0, size_);
        double* parts = parts_.data();
        each([&](std::int64_t begin, std::int64_t end) {
            parts[begin / kBlock] = dot_of(a, b, begin, end);
        });
        double sum = 0.0;
        for (std::int64_t k = 0; k < n_blocks(); ++k) sum += parts[k];
        return sum;
    }
    // Square of the longest row of three; NaN or infinite where a number is.
    double largest2(const double* g) {
        double* parts = parts_.data();
        each([&](std::int64_t begin, std::int64_t end) {
            double most = 0.0;
            bool good = true;
            for (std::int64_t i = begin; i < end; i += 3) {
                const double r2 = g[i] * g[i] + g[i + 1] * g[i + 1] + g[i + 2] * g[i + 2];
                good &= r2 <= 1.7976931348623157e308;
                most = r2 > most ? r2 : most;
            }
            parts[begin / kBlock] = good ? most : std::nan("");
        });
        double most = 0.0;
        for (std::int64_t k = 0; k < n_blocks(); ++k)
            if (!(parts[k] <= most)) {
                most = parts[k];
                if (std::isnan(most)) break;
            }
        return most;
    }

private:
    static constexpr std::int64_t kBlock = 3072;  // rows of three are whole
    static constexpr double kNumberNs = 0.5;      // for team_size()

    std::int64_t n_blocks() const { return (size_ + kBlock - 1) / kBlock; }
    static double dot_of(const double* a, const double* b, std::int64_t i, std::int64_t end) {
        double s[8] = {};
        for (; i + 8 <= end; i += 8)
            for (int c = 0; c < 8; ++c) s[c] += a[i + c] * b[i + c];
        double rest = 0.0;
        for (; i < end; ++i) rest += a[i] * b[i];
        return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + rest;
    }

    std::int64_t size_ = 0;
    int threads_ = 1;
    Buffer<double> parts_;
};

// --- arguments, and the states of checkpoints
inline void expect(bool good, const char* name, double value, const char* expected) {
    if (good) return;
    throw std::invalid_argument(std::string(name) + " is " + number(value) + "; expected " +
                                expected);
}
inline void expect_positive(const char* name, double value) {
    expect(value > 0.0 && std::isfinite(value), name, value, "a positive finite number");
}

inline void put(OptimizerState& state, const char* name, const double* values, std::int64_t n) {
    state.emplace_back(name, std::vector<double>(values, values + n));
}
// The array of this name, whose length must be `n`.
inline const double* get(const OptimizerState& state, const char* name, std::int64_t n) {
    for (const auto& [key, values] : state) {
        if (key != name) continue;
        if (std::int64_t(values.size()) != n)
            throw std::invalid_argument(std::string("state of the optimizer: ") + name + " has " +
                                        std::to_string(values.size()) + " numbers; expected " +
                                        std::to_string(n));
        return values.data();
    }
    throw std::invalid_argument(std::string("state of the optimizer: no ") + name);
}

}  // namespace mdkern
