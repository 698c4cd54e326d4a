// Triplets of a centre: tiles of those that count, side by side; their functions; and back from weights
// of the functions to gradients of the neighbors. Include from kernels only.
#pragma once

#include "potentials/behler_parrinello/symmetry_factors.hpp"
#include "potentials/behler_parrinello/triplet_tape.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// One centre's triplets.
struct Triplets {
    const BehlerParrinelloParams& p;
    const SymmetryElement& element;
    SymmetryScratch& k;
    std::int64_t room;

    // Fills tiles with the triplets of a set; use(tile) for each that is full, and the last.
    template <class Use> void for_tiles(int which, TripletTape& tape, const Use& use) {
        const SymmetrySet& set = element.sets[which];
        if (set.closed && set.plain)
            fill<true, true>(which, set, tape, use);
        else if (set.closed)
            fill<true, false>(which, set, tape, use);
        else
            fill<false, false>(which, set, tape, use);
    }

    // kGauss: the Gaussians are made of the sum of squares of all sides, with those of the third.
    template <bool kClosed, bool kGauss, class Use>
    [[gnu::noinline]] void fill(int which, const SymmetrySet& set, TripletTape& tape,
                                const Use& use) {
        const SymmetryNeighbors near = k.near;
        const V reach = set.reach * set.reach;
        const double* fc = k.near_fc + set.cutoff * room;
        double *const side = k.side, *const squares = k.squares, *const cut = k.cut;
        // The quotient is exact where atoms stand in line along an axis, which decides whether a compact
        // function of the angle is zero; powers do not mind.
        const bool exact = set.exact;
        const int end = near.start[set.b + 1];
        TripletTile* tile = &tape.open(which, set);
        double* cosine = tile->cosine;
        TripletSegment* segment = tile->segments;
        int n = 0;
        // What the loop counts is passed by value: it stays in registers.
        const auto flush = [&](TripletTile* full, int of, const TripletSegment* last)
                               __attribute__((noinline)) {
                                   full->n = of;
                                   full->n_segments = int(last - full->segments);
                                   if constexpr (kGauss)
                                       fill_up_plain(set, *full);
                                   else
                                       fill_up(set, *full);
                                   use(*full);
                                   tape.close(*full);
                               };
        for (int j = near.start[set.a]; j < near.start[set.a + 1]; ++j) {
            const V x = near.x[j], y = near.y[j], z = near.z[j], r = near.r[j],
                    inverse = near.inverse[j];
            for (int i = set.a == set.b ? j + 1 : near.start[set.b]; i < end; i += W) {
                if (n + W > kTriplets) {
                    flush(tile, n, segment);
                    tile = &tape.open(which, set);
                    cosine = tile->cosine;
                    segment = tile->segments;
                    n = 0;
                }
                auto live = simd::first_n<double>(end - i);
                const V xk = simd::load(near.x + i), yk = simd::load(near.y + i),
                        zk = simd::load(near.z + i);
                if constexpr (kClosed) {
                    const V dx = xk - x, dy = yk - y, dz = zk - z;
                    const V side2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                    live = live & (side2 < reach);
                    if (!simd::any(live)) continue;
                    simd::compress_store(side + n, side2, live);
                }
                const V along = simd::fma(x, xk, simd::fma(y, yk, z * zk));
                V c = along * (inverse * simd::load(near.inverse + i));
                if (exact) c = along / (r * simd::load(near.r + i));
                simd::compress_store(cosine + n, c, live);
                if constexpr (kGauss) {
                    const V rk = simd::load(near.r + i);
                    simd::compress_store(squares + n, simd::fma(rk, rk, r * r), live);
                    simd::compress_store(cut + n, V(fc[j]) * simd::load(fc + i), live);
                } else {
                    for (int q = 0; q < set.n_factors; ++q) {
                        const double* of = k.factor + set.factor[q] * room;
                        simd::compress_store(tile->product + q * kTripletRoom + n,
                                             V(of[j]) * simd::load(of + i), live);
                    }
                }
                *segment++ = {j, i, n, simd::bits(live)};
                n += simd::count(live);
            }
        }
        if (n > 0) flush(tile, n, segment);
    }

    // The last vector is filled up with triplets that have no weight; the third sides' factors.
    void fill_up(const SymmetrySet& set, TripletTile& tile) {
        const int n = tile.n;
        simd::store(tile.cosine + n, V(0.0));
        for (int q = 0; q < set.n_factors; ++q)
            simd::store(tile.product + q * kTripletRoom + n, V(0.0));
        if (!set.closed) return;
        third_sides(n);
        double *r = k.row, *inverse = k.side, *fc = k.turn, *dfc = k.push;
        int cutoff = -1;
        for (int q = 0; q < set.n_factors; ++q) {
            const RadialFactor& f = p.factors[element.near[set.factor[q]]];
            if (!f.compact && f.cutoff != cutoff)
                cutoff_row(p.cutoffs[cutoff = f.cutoff], r, n, fc, dfc);
            radial_row(f, r, inverse, n, fc, dfc, tile.third + q * kTripletRoom,
                       tile.third_slope + q * kTripletRoom);
        }
    }

    // Third sides into `row`, their inverse, or zero, into `side`.
    void third_sides(int n) {
        simd::store(k.side + n, V(1.0));
        for_vectors(n, [&](int t) MDKERN_BODY {
            const V side2 = simd::load(k.side + t);
            const V one = simd::keep(V(0.0) < side2, math::rsqrt(side2));
            simd::store(k.row + t, side2 * one);
            simd::store(k.side + t, one);
        });
    }
    void fill_up_plain(const SymmetrySet& set, TripletTile& tile) {
        const int n = tile.n;
        simd::store(tile.cosine + n, V(0.0));
        simd::store(k.squares + n, V(0.0));
        simd::store(k.cut + n, V(0.0));
        simd::store(k.side + n, V(1.0));
        for_vectors(n, [&](int t) MDKERN_BODY {
            simd::store(k.squares + t, simd::load(k.squares + t) + simd::load(k.side + t));
        });
        third_sides(n);
        cutoff_row(p.cutoffs[set.cutoff], k.row, n, tile.third, tile.third_slope);
        for_vectors(n, [&](int t) MDKERN_BODY {
            simd::store(tile.third_slope + t,
                        simd::load(tile.third_slope + t) * simd::load(k.side + t));
        });
        for (int q = 0; q < set.n_factors; ++q) {
            const GaussianPower& power = set.powers[q];
            double* to = tile.product + power.factor * kTripletRoom;
            if (power.from < 0) {
                gaussian_row(power.eta, k.squares, n, to);
            } else {
                const double* from = tile.product + power.from * kTripletRoom;
                for_vectors(n, [&](int t) MDKERN_BODY {
                    simd::store(to + t, math::pow_int(simd::load(from + t), power.exponent));
                });
            }
        }
        for (int q = 0; q < set.n_factors; ++q) {
            double* to = tile.product + q * kTripletRoom;
            for_vectors(n, [&](int t) MDKERN_BODY {
                simd::store(to + t, simd::load(to + t) * simd::load(k.cut + t));
            });
        }
    }

    template <bool kSlope> void angles(const SymmetrySet& set, const TripletTile& tile) {
        bool known = false;
        for (int b = 0; b < set.n_angles; ++b) {
            const AngleFactor& f = p.angles[set.angle[b]];
            if (f.compact && !known) theta_row(tile.cosine, tile.n, k.theta, k.steep);
            known = known || f.compact;
            angle_row<kSlope>(f, tile.cosine, k.theta, k.steep, tile.n, k.a + b * kTripletRoom,
                              k.da + b * kTripletRoom);
        }
    }

    // Sum of products; four sums at a time, as one would wait for itself.
    static double dot(const double* a, const double* b, int n) {
        V sum[4] = {V(0.0), V(0.0), V(0.0), V(0.0)};
        int t = 0;
        for (; t + 4 * W <= n; t += 4 * W)
#pragma GCC unroll 4
            for (int c = 0; c < 4; ++c)
                sum[c] = simd::fma(simd::load(a + t + c * W), simd::load(b + t + c * W), sum[c]);
        for (; t < n; t += W) sum[0] = simd::fma(simd::load(a + t), simd::load(b + t), sum[0]);
        return simd::sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }

    // Adds the functions of a tile to the features.
    void add_values(const TripletTile& tile) {
        const SymmetrySet& set = element.sets[tile.set];
        angles<false>(set, tile);
        for (int q = 0; q < set.n_factors; ++q) {
            const double* product = tile.product + q * kTripletRoom;
            if (set.closed) {
                const double* third = tile.third + (set.plain ? 0 : q) * kTripletRoom;
                for_vectors(tile.n, [&](int t) MDKERN_BODY {
                    simd::store(k.row + t, simd::load(product + t) * simd::load(third + t));
                });
                product = k.row;
            }
            for (int f = set.first[q]; f < set.first[q + 1]; ++f) {
                const double* a = k.a + set.function[2 * f] * kTripletRoom;
                k.features[set.function[2 * f + 1]] += set.weight[f] * dot(product, a, tile.n);
            }
        }
    }

    // From dE/dG to the gradients of the neighbors.
    void add_gradients(const TripletTile& tile) {
        const SymmetrySet& set = element.sets[tile.set];
        angles<true>(set, tile);
        for (int f = 0; f < set.n_functions; ++f)
            k.of_function[f] = set.weight[f] * k.weights[set.function[2 * f + 1]];
        if (set.plain && set.closed) {
            weigh_plain<true>(set, tile);
            return spread_plain<true>(set, tile);
        }
        if (set.plain) {
            weigh_plain<false>(set, tile);
            return spread_plain<false>(set, tile);
        }
        for_vectors(tile.n, [&](int t) MDKERN_BODY {
            simd::store(k.turn + t, V(0.0));
            simd::store(k.push + t, V(0.0));
        });
        for (int q = 0; q < set.n_factors; ++q) weigh(set, tile, q);
        if (set.closed)
            spread<true>(set, tile);
        else
            spread<false>(set, tile);
    }

    // Of factor q: its share of the slopes by the cosine and by the third side, and what R(r_j) R(r_k)
    // is multiplied by.
    void weigh(const SymmetrySet& set, const TripletTile& tile, int q) {
        const double *product = tile.product + q * kTripletRoom,
                     *third = tile.third + q * kTripletRoom,
                     *third_slope = tile.third_slope + q * kTripletRoom;
        double* u = k.u + q * kTripletRoom;
        const bool closed = set.closed;
        for_vectors(tile.n, [&](int t) MDKERN_BODY {
            V value, change;
            weigh_functions(set, q, t, value, change);
            V of = simd::load(product + t);
            if (closed) {
                simd::store(k.push + t, simd::fma(of * value, simd::load(third_slope + t),
                                                  simd::load(k.push + t)));
                const V h = simd::load(third + t);
                of = of * h;
                value = value * h;
            }
            simd::store(u + t, value);
            simd::store(k.turn + t, simd::fma(of, change, simd::load(k.turn + t)));
        });
    }

    // V and D of factor q for the triplets at t.
    [[gnu::always_inline]] void weigh_functions(const SymmetrySet& set, int q, int t, V& value,
                                                V& change) const {
        value = change = V(0.0);
        for (int f = set.first[q]; f < set.first[q + 1]; ++f) {
            const V w = k.of_function[f];
            const int at = set.function[2 * f] * kTripletRoom + t;
            value = simd::fma(w, simd::load(k.a + at), value);
            change = simd::fma(w, simd::load(k.da + at), change);
        }
    }
    template <bool kClosed> void weigh_plain(const SymmetrySet& set, const TripletTile& tile) {
        const double *a = k.a, *da = k.da, *of_function = k.of_function;
        for_vectors(tile.n, [&](int t) MDKERN_BODY {
            V both = 0.0, minus_steep = 0.0, turn = 0.0;
            const double* product = tile.product + t;
            for (int q = 0, f = 0; q < set.n_factors; ++q, product += kTripletRoom) {
                V value = 0.0, change = 0.0;
                for (const int last = set.first[q + 1]; f < last; ++f) {
                    const V w = of_function[f];
                    const int at = set.function[2 * f] * kTripletRoom + t;
                    value = simd::fma(w, simd::load(a + at), value);
                    change = simd::fma(w, simd::load(da + at), change);
                }
                const V of = simd::load(product), pv = of * value;
                both = both + pv;
                minus_steep = simd::fnma(V(set.steep[q]), pv, minus_steep);
                turn = simd::fma(of, change, turn);
            }
            V rest = minus_steep;
            if constexpr (kClosed) {
                const V third = simd::load(tile.third + t);
                const V push = simd::fma(both, simd::load(tile.third_slope + t), rest * third);
                simd::store(k.push + t, push);
                rest = simd::fma(rest, third, push);
                both = both * third;
                turn = turn * third;
            }
            simd::store(k.pull_both + t, both);
            simd::store(k.row + t, rest);
            simd::store(k.turn + t, turn);
            simd::store(k.twist + t, turn * simd::load(tile.cosine + t));
        });
    }

    // The gradients of one vector of triplets on their j, in sums over k, and on their k.
    struct OnJ {
        V x, y, z, sx, sy, sz;
    };
    [[gnu::always_inline]] void add_vectors(OnJ& j, int i, simd::Mask<double> live, V gamma, V on_j,
                                            V on_k) {
        const V xk = simd::load(k.near.x + i), yk = simd::load(k.near.y + i),
                zk = simd::load(k.near.z + i);
        j.sx = simd::fma(on_j, j.x, simd::fma(gamma, xk, j.sx));
        j.sy = simd::fma(on_j, j.y, simd::fma(gamma, yk, j.sy));
        j.sz = simd::fma(on_j, j.z, simd::fma(gamma, zk, j.sz));
        const auto add = [&](double* to, V of_k, V of_j) MDKERN_BODY {
            const V old = simd::load(to + i, live);
            simd::store(to + i, simd::fma(on_k, of_k, simd::fma(gamma, of_j, old)), live);
        };
        add(k.gx, xk, j.x);
        add(k.gy, yk, j.y);
        add(k.gz, zk, j.z);
    }
    // body(segment, live, sums) for the segments of a tile.
    template <class Body>
    [[gnu::always_inline]] void for_segments(const TripletTile& tile, const Body& body) {
        const SymmetryNeighbors& near = k.near;
        for (int s = 0; s < tile.n_segments;) {
            const int j = tile.segments[s].j;
            OnJ sums{near.x[j], near.y[j], near.z[j], V(0.0), V(0.0), V(0.0)};
            for (; s < tile.n_segments && tile.segments[s].j == j; ++s)
                body(tile.segments[s], simd::from_bits<double>(tile.segments[s].live), sums);
            k.gx[j] += simd::sum(sums.sx);
            k.gy[j] += simd::sum(sums.sy);
            k.gz[j] += simd::sum(sums.sz);
        }
    }

    // On j: alpha_j r_j + gamma r_k, and on k the same with j and k exchanged, where
    //   gamma = turn / (r_j r_k) - push
    //   alpha_j = sum_q u_q R'_q(r_j) / r_j R_q(r_k) + push - turn cos / r_j^2
    template <bool kClosed> void spread(const SymmetrySet& set, const TripletTile& tile) {
        for_segments(tile, [&](const TripletSegment& seg, simd::Mask<double> live,
                               OnJ& sums) MDKERN_BODY {
            const int i = seg.k, at = seg.at;
            const V turn = simd::expand_load(k.turn + at, live), inverse = k.near.inverse[seg.j],
                    inverse_k = simd::load(k.near.inverse + i);
            const V twist = turn * simd::expand_load(tile.cosine + at, live);
            V gamma = turn * (inverse * inverse_k);
            V on_j = -(twist * (inverse * inverse)), on_k = -(twist * (inverse_k * inverse_k));
            if constexpr (kClosed) {
                const V push = simd::expand_load(k.push + at, live);
                gamma = gamma - push;
                on_j = on_j + push;
                on_k = on_k + push;
            }
            for (int q = 0; q < set.n_factors; ++q) {
                const std::int64_t row = set.factor[q] * room;
                const V u = simd::expand_load(k.u + q * kTripletRoom + at, live);
                on_j = simd::fma(u * V(k.slope[row + seg.j]), simd::load(k.factor + row + i), on_j);
                on_k = simd::fma(u * V(k.factor[row + seg.j]), simd::load(k.slope + row + i), on_k);
            }
            add_vectors(sums, i, live, gamma, on_j, on_k);
        });
    }
    // The same with sum_q ... = L_j both - steep.
    template <bool kClosed> void spread_plain(const SymmetrySet& set, const TripletTile& tile) {
        const double* slope = k.log_slope + set.cutoff * room;
        for_segments(
            tile, [&](const TripletSegment& seg, simd::Mask<double> live, OnJ& sums) MDKERN_BODY {
                const int i = seg.k, at = seg.at;
                const V inverse = k.near.inverse[seg.j], inverse_k = simd::load(k.near.inverse + i);
                const V twist = simd::expand_load(k.twist + at, live),
                        both = simd::expand_load(k.pull_both + at, live),
                        rest = simd::expand_load(k.row + at, live);
                V gamma = simd::expand_load(k.turn + at, live) * (inverse * inverse_k);
                if constexpr (kClosed) gamma = gamma - simd::expand_load(k.push + at, live);
                const V on_j =
                    simd::fnma(twist, inverse * inverse, simd::fma(both, V(slope[seg.j]), rest));
                const V on_k = simd::fnma(twist, inverse_k * inverse_k,
                                          simd::fma(both, simd::load(slope + i), rest));
                add_vectors(sums, i, live, gamma, on_j, on_k);
            });
    }
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
