// Products of two U, coupled to a third angular momentum:
//   Z[mb, ma] = sum C[k1b; mb] sum C[k1a; ma] U_j1[k1b, k1a] U_j2[mb - k1b, ma - k1a].
// All j of one pair (j1, j2) and one place (mb, ma), counted from the lowest, share the products: a
// small matrix of coefficients by a vector. Include from kernels only.
#pragma once

#include "descriptors/bispectrum_scratch.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

constexpr int kRowsTogether = 5;  // of which sums are kept in registers

struct CoupleFactors {
    const double *u1, *u2;  // layers j1 and j2
    int j1, j2;
    int mb, ma;
    const BispectrumTable *b, *a;
    const double *cb, *ca;  // coefficients of the first row
    int first;              // k1b
};

template <int R>
[[gnu::always_inline]] inline void couple_sums(const CoupleFactors& f, V (&re)[R], V (&im)[R]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) re[r] = im[r] = 0.0;
    const double* cb = f.cb + (f.first - f.b->low) * f.b->n_rows;
    for (int k1 = f.first; k1 <= f.b->high; ++k1, cb += f.b->n_rows) {
        const double* u1 = f.u1 + 2 * W * (k1 * (f.j1 + 1) + f.a->low);
        const double* u2 = f.u2 + 2 * W * ((f.mb - k1) * (f.j2 + 1) + f.ma - f.a->low);
        const double* ca = f.ca;
        V tr[R], ti[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) tr[r] = ti[r] = 0.0;
        for (int k = f.a->low; k <= f.a->high; ++k, u1 += 2 * W, u2 -= 2 * W, ca += f.a->n_rows) {
            V xr = simd::load(u1), xi = simd::load(u1 + W);
            V yr = simd::load(u2), yi = simd::load(u2 + W);
            // Loads are what is scarce where rows are few.
            simd::in_register(xr);
            simd::in_register(xi);
            simd::in_register(yr);
            simd::in_register(yi);
            const V pr = simd::fnma(xi, yi, xr * yr), pi = simd::fma(xi, yr, xr * yi);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                const V c = ca[r];
                tr[r] = simd::fma(c, pr, tr[r]);
                ti[r] = simd::fma(c, pi, ti[r]);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const V c = cb[r];
            re[r] = simd::fma(c, tr[r], re[r]);
            im[r] = simd::fma(c, ti[r], im[r]);
        }
    }
}

// Where a sum of row r goes: place of (mb, ma) in layer j.
struct CouplePlace {
    const BispectrumParams& p;
    const BispectrumPair& pair;
    int mb, ma;
    int half(int row) const {
        const int j = pair.top - 2 * row, shift = (pair.j1 + pair.j2 - j) / 2;
        return p.half_at[j] + (mb - shift) * (j + 1) + ma - shift;
    }
};

template <int R, class Emit>
[[gnu::noinline]] void couple_rows(CoupleFactors f, int row, const Emit& emit) {
    f.cb += row;
    f.ca += row;
    V re[R], im[R];
    couple_sums<R>(f, re, im);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) emit(row + r, re[r], im[r]);
}

// emit(place, row, Z) for the first `most` rows of a pair and all places; blocks e1, e2.
template <class Emit>
[[gnu::always_inline]] inline void couple(const BispectrumParams& p, const BispectrumWork& k,
                                          const BispectrumPair& pair, int e1, int e2, int most,
                                          const Emit& emit) {
    const int sum = pair.j1 + pair.j2;
    const bool twice = pair.j1 == pair.j2 && e1 == e2;
    const BispectrumTable* tables = p.tables + pair.table;
    CoupleFactors f;
    f.j1 = pair.j1;
    f.j2 = pair.j2;
    f.u1 = k.full + 2 * W * std::int64_t(e1 * p.n_full + p.full_at[f.j1]);
    f.u2 = k.full + 2 * W * std::int64_t(e2 * p.n_full + p.full_at[f.j2]);
    for (int mb = 0; 2 * mb <= sum; ++mb) {
        f.mb = mb;
        f.b = tables + mb;
        f.cb = (twice ? p.couple_twice : p.couple) + f.b->at;
        f.first = twice && (mb + 1) / 2 > f.b->low ? (mb + 1) / 2 : f.b->low;
        const int last = 2 * mb == sum ? mb : sum;
        for (int ma = 0; ma <= last; ++ma) {
            f.ma = ma;
            f.a = tables + ma;
            f.ca = p.couple + f.a->at;
            int n = f.a->n_rows < f.b->n_rows ? f.a->n_rows : f.b->n_rows;
            if (n > most) n = most;
            const CouplePlace place{p, pair, mb, ma};
            const auto put = [&](int row, V re, V im) MDKERN_BODY { emit(place, row, re, im); };
            for (int row = 0; row < n;) {
                const int left = n - row;
                const int now = left <= kRowsTogether      ? left
                                : left < 2 * kRowsTogether ? (left + 1) / 2
                                                           : kRowsTogether;
                switch (now) {
                    case 1:
                        couple_rows<1>(f, row, put);
                        break;
                    case 2:
                        couple_rows<2>(f, row, put);
                        break;
                    case 3:
                        couple_rows<3>(f, row, put);
                        break;
                    case 4:
                        couple_rows<4>(f, row, put);
                        break;
                    default:
                        couple_rows<5>(f, row, put);
                }
                row += now;
            }
        }
    }
}

// Y (n_blocks, n_half) from its slopes `rows`; of the middle rows of even layers one half.
inline void couple_adjoint(const BispectrumParams& p, const BispectrumWork& k) {
    const int n = p.n_blocks;
    for (std::int64_t q = 0; q < 2 * n * p.n_half; ++q) simd::store(k.y_half + q * W, V(0.0));
    for (int q = 0; q < p.n_pairs; ++q) {
        const BispectrumPair& pair = p.pairs[q];
        for (int e1 = 0; e1 < n; ++e1)
            for (int e2 = 0; e2 < (pair.j1 == pair.j2 ? e1 + 1 : n); ++e2) {
                const double* rows =
                    k.rows + W * (std::int64_t((e1 * n + e2) * n) * p.n_rows + pair.first_row);
                int most = 0;  // rows behind the last that is not zero are left out
                for (int e3 = 0; e3 < n; ++e3)
                    for (int r = 0; r < pair.n_rows; ++r) {
                        const V c = simd::load(rows + W * (e3 * p.n_rows + r));
                        if (r >= most && simd::any(simd::not_(c == V(0.0)))) most = r + 1;
                    }
                couple(p, k, pair, e1, e2, most,
                       [&](const CouplePlace& place, int row, V re, V im) MDKERN_BODY {
                           double* to = k.y_half + 2 * W * place.half(row);
                           const double* c = rows + W * row;
                           for (int e3 = 0; e3 < n; ++e3) {
                               const V slope = simd::load(c);
                               simd::store(to, simd::fma(slope, re, simd::load(to)));
                               simd::store(to + W, simd::fma(slope, im, simd::load(to + W)));
                               c += W * p.n_rows;
                               to += 2 * W * std::int64_t(p.n_half);
                           }
                       });
            }
    }
}

// Components of the lanes' centres into b, without what is subtracted.
inline void couple_components(const BispectrumParams& p, const BispectrumWork& k) {
    const int n = p.n_blocks;
    for (std::int64_t q = 0; q < p.n_components; ++q) simd::store(k.b + q * W, V(0.0));
    const auto at = [&](int e1, int e2, int e3) {
        return k.b + W * (std::int64_t((e1 * n + e2) * n + e3) * p.n_triples);
    };
    for (int q = 0; q < p.n_pairs; ++q) {
        const BispectrumPair& pair = p.pairs[q];
        const bool equal = pair.j1 == pair.j2;
        for (int e1 = 0; e1 < n; ++e1)
            for (int e2 = 0; e2 < (equal ? e1 + 1 : n); ++e2) {
                double* to = at(e1, e2, 0) + W * (pair.component + pair.n_kept - 1);
                couple(p, k, pair, e1, e2, pair.n_kept,
                       [&](const CouplePlace& place, int row, V re, V im) MDKERN_BODY {
                           // Left half; of the middle row its left half.
                           const bool middle = 2 * place.mb == pair.j1 + pair.j2 &&
                                               2 * place.ma == pair.j1 + pair.j2;
                           const V weight = middle ? 1.0 : 2.0;
                           const double* u = k.half + 2 * W * place.half(row);
                           double* b = to - W * row;
                           for (int e3 = 0; e3 < n; ++e3) {
                               const V x = simd::fma(simd::load(u), re, simd::load(u + W) * im);
                               simd::store(b, simd::fma(weight, x, simd::load(b)));
                               u += 2 * W * std::int64_t(p.n_half);
                               b += W * p.n_triples;
                           }
                       });
                for (int e3 = 0; e3 < n; ++e3)
                    for (int t = pair.component; t < pair.component + pair.n_kept; ++t) {
                        const V b = simd::load(at(e1, e2, e3) + W * t) * V(p.scale[t]);
                        simd::store(at(e1, e2, e3) + W * t, b);
                        if (equal) simd::store(at(e2, e1, e3) + W * t, b);
                    }
            }
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
