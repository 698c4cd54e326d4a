// The one loop over the neighbors that a list has for a row: from indices to vectors between atoms,
// and from these to the neighbors within reach side by side. Include from kernels only.
#pragma once

#include "core/types.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// One neighbor per lane.
template <class T> struct Listed {
    simd::Int<T> j;           // rows of the System
    simd::Vec<T> dx, dy, dz;  // r_j - r_i
    simd::Vec<T> w, r2;       // last column of the rows, squared distances

    // Vectors of the lanes in `within`, side by side.
    [[gnu::always_inline]] void keep_vectors(simd::Mask<T> within, T* x, T* y, T* z) const {
        simd::compress_store(x, dx, within);
        simd::compress_store(y, dy, within);
        simd::compress_store(z, dz, within);
    }
};

// The lanes of a vector that is full, as a mask that costs nothing.
struct AllLanes {};
template <class M> [[gnu::always_inline]] inline M operator&(M mask, AllLanes) { return mask; }

template <class T> [[gnu::always_inline]] inline void load_listed(const T* rows,
                                                                  const std::int32_t* index,
                                                                  AllLanes, Listed<T>& v) {
    v.j = simd::load_int<T>(index);
    simd::load_rows(rows, index, v.dx, v.dy, v.dz, v.w);
}
template <class T> [[gnu::always_inline]] inline void load_listed(const T* rows,
                                                                  const std::int32_t* index,
                                                                  simd::Mask<T> live,
                                                                  Listed<T>& v) {
    v.j = simd::load_int<T>(index, live);
    simd::load_rows(rows, v.j, v.dx, v.dy, v.dz, v.w);
}

// body(neighbors, live, at) for the neighbors [begin, end) of row i, a vector at a time; at: where
// its first one stands. Lanes that are not live hold row 0.
template <class T, class Body>
[[gnu::always_inline]] inline void for_listed(const T* rows, std::int64_t i,
                                              const std::int32_t* begin, const std::int32_t* end,
                                              const Body& body) {
    using V = simd::Vec<T>;
    const T* p = rows + 4 * i;
    const V x = p[0], y = p[1], z = p[2];
    const auto step = [&](const std::int32_t* at, auto live) MDKERN_BODY {
        Listed<T> v;
        load_listed(rows, at, live, v);
        v.dx = v.dx - x;
        v.dy = v.dy - y;
        v.dz = v.dz - z;
        v.r2 = simd::fma(v.dx, v.dx, simd::fma(v.dy, v.dy, v.dz * v.dz));
        body(v, live, at);
    };
    const std::int32_t* at = begin;
    for (; at + V::width <= end; at += V::width) step(at, AllLanes());
    if (at < end) step(at, simd::first_n<T>(end - at));
}

// Number of the neighbors [begin, end) of row i for which within(neighbors) is true. keep(neighbors,
// mask, at, n) puts those of a vector behind the n before them.
template <class T, class Within, class Keep>
[[gnu::always_inline]] inline int gather_near(const T* rows, std::int64_t i,
                                              const std::int32_t* begin, const std::int32_t* end,
                                              const Within& within, const Keep& keep) {
    int n = 0;
    for_listed(rows, i, begin, end,
               [&](const Listed<T>& v, auto live, const std::int32_t* at) MDKERN_BODY {
                   const auto mask = within(v) & live;
                   keep(v, mask, at, n);
                   n += simd::count(mask);
               });
    return n;
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
