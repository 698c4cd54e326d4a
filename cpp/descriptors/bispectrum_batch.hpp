// A batch of centres, one per lane: from the list to U, B, Y and gradients. Include from kernels
// only.
#pragma once

#include "forces/near.hpp"
#include "simd/math.hpp"
// After these, which have names of their own for vectors:
#include "descriptors/bispectrum_walk.hpp"
// After the width:
#include "descriptors/bispectrum_couple.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

constexpr int kTogether = kBispectrumTogether;

class BispectrumBatch {
public:
    BispectrumBatch(const BispectrumParams& params, const System& system,
                    const Neighbors& neighbors, const BispectrumWork& work)
        : p(params), s(system), list(neighbors), k(work) {}

    // Neighbors of the rows [0, n) within the cutoff of their pair, and U.
    void begin(const std::int64_t* rows, int n_rows) {
        n = n_rows;
        for (int l = 0; l < W; ++l) {
            row[l] = rows[l < n ? l : 0];
            species[l] = int(s.rows[4 * row[l] + 3]);
        }
        gather();
        functions();
        for (std::int64_t q = 0; q < 2 * p.n_blocks * p.n_half; ++q)
            simd::store(k.half + q * W, V(0.0));
        for (int e = 0; e < p.n_blocks; ++e) {
            double* to = k.half + 2 * W * std::int64_t(e * p.n_half);
            for (int q = first[e]; q < first[e + 1]; q += kTogether) add_functions(q, to);
            finish_functions(e, to);
        }
    }

    void components() const {
        couple_components(p, k);
        for (int c = 0; c < p.n_components; ++c)
            simd::store(k.b + W * c, simd::load(k.b + W * c) - zero(c));
    }
    // What is subtracted from component c.
    V zero(int c) const {
        double lanes[W];
        for (int l = 0; l < W; ++l) lanes[l] = p.zero[species[l] * p.n_components + c];
        return simd::load(lanes);
    }

    // Slopes of Y from those of the energy by the components, in `slope`.
    void spread_slopes() const {
        for (int o = 0; o < p.n_orbits; ++o) simd::store(k.orbits + W * o, V(0.0));
        for (int c = 0; c < p.n_components; ++c) {
            double* to = k.orbits + W * p.orbit[c];
            simd::store(to, simd::fma(V(p.share[c]), simd::load(k.slope + W * c), simd::load(to)));
        }
        for (int r = 0; r < p.n_slopes(); ++r)
            simd::store(k.rows + W * r,
                        V(p.rows[r].factor) * simd::load(k.orbits + W * p.rows[r].orbit));
    }
    void same_slopes(const double* of_rows) const {
        for (int r = 0; r < p.n_slopes(); ++r) simd::store(k.rows + W * r, V(of_rows[r]));
    }

    // dE/dB of E = sum_k c_k B_k + 1/2 c_kk B_k^2 + sum_{k < l} c_kl B_k B_l, and E;
    // coefficient(i): the i-th of them.
    template <class Coefficient> V slopes_of(const Coefficient& coefficient) const {
        const int m = p.n_components;
        V energy = 0.0;
        for (int a = 0; a < m; ++a) simd::store(k.slope + W * a, coefficient(a));
        int at = m;
        for (int a = 0; a < m; ++a) {
            const V b = simd::load(k.b + W * a), c = coefficient(a);
            V sum = simd::load(k.slope + W * a), half = V(0.5) * coefficient(at) * b;
            sum = simd::fma(coefficient(at++), b, sum);
            for (int q = a + 1; q < m; ++q) {
                const V x = coefficient(at++), other = simd::load(k.b + W * q);
                double* to = k.slope + W * q;
                simd::store(to, simd::fma(x, b, simd::load(to)));
                sum = simd::fma(x, other, sum);
                half = simd::fma(x, other, half);
            }
            simd::store(k.slope + W * a, sum);
            energy = simd::fma(b, c + half, energy);
        }
        return energy;
    }

    // Y from its slopes. Returns what they add up to with the components, before `zero` is
    // subtracted: a third of U dE/dU, as components are of third degree.
    V adjoint() const {
        couple_adjoint(p, k);
        V energy = 0.0;
        for (int e = 0; e < p.n_blocks; ++e)
            for (int j = 0; j <= p.twojmax; ++j) energy = energy + turn_layer(e, j);
        return energy * V(1.0 / 3.0);
    }

    // gradient(q, dx, dy, dz, px, py, pz) for the neighbors of all lanes, q-th of each.
    template <class Gradient> void gradients(const Gradient& gradient) const {
        for (int e = 0; e < p.n_blocks; ++e)
            for (int q = first[e]; q < first[e + 1]; q += kTogether) {
                V px[kTogether], py[kTogether], pz[kTogether];
                contract(q, k.turned + 8 * W * std::int64_t(e * p.n_half), px, py, pz);
                for (int t = 0; t < kTogether; ++t)
                    gradient(q + t, simd::load(k.x + W * (q + t)), simd::load(k.y + W * (q + t)),
                             simd::load(k.z + W * (q + t)), px[t], py[t], pz[t]);
            }
    }

    const BispectrumParams& p;
    const System& s;
    const Neighbors& list;
    const BispectrumWork& k;
    int n = 0;
    std::int64_t row[W];
    int species[W];
    int first[kBispectrumMostBlocks + 1];  // neighbors of each block, in all lanes alike

private:
    // Neighbors of lane l within the cutoff into tx, ...; returns their number.
    int near(int l) const {
        const std::int32_t* begin = list.index + list.first[row[l]];
        const double* table = p.pair + 8 * std::int64_t(species[l] * p.n_species);
        constexpr std::int32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        const auto places = simd::load_int<double>(lanes);
        const auto eight = simd::set_int<double>(8);
        const std::int64_t to_lane = l * k.near_room;
        return gather_near(
            s.rows, row[l], begin, begin + list.count[row[l]],
            [&](const Listed<double>& v)
                MDKERN_BODY { return v.r2 < simd::gather(table, simd::to_int(v.w) * eight); },
            [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t* at, int to)
                MDKERN_BODY {
                    const std::int64_t o = to_lane + to;
                    v.keep_vectors(within, k.tx + o, k.ty + o, k.tz + o);
                    const auto start = simd::set_int<double>(std::int32_t(at - begin));
                    simd::compress_store(k.from + o, places + start, within);
                    simd::compress_store(k.kind + o, simd::to_int(v.w), within);
                });
    }

    // From lists of lanes to lanes of lists, those of one block together.
    void gather() {
        // Lanes without a neighbor have one in the direction of z, which counts nothing.
        int count[kBispectrumMostBlocks];
        for (int e = 0; e < p.n_blocks; ++e) count[e] = 0;
        int found[W] = {}, of_block[W][kBispectrumMostBlocks];
        for (int l = 0; l < n; ++l) {
            found[l] = near(l);
            for (int e = 0; e < p.n_blocks; ++e) of_block[l][e] = 0;
            for (int q = 0; q < found[l]; ++q) ++of_block[l][p.block[k.kind[l * k.near_room + q]]];
            for (int e = 0; e < p.n_blocks; ++e)
                if (of_block[l][e] > count[e]) count[e] = of_block[l][e];
        }
        first[0] = 0;
        for (int e = 0; e < p.n_blocks; ++e)
            first[e + 1] = first[e] + (count[e] + kTogether - 1) / kTogether * kTogether;
        const int all = first[p.n_blocks];
        for (int l = 0; l < W; ++l) {
            const int m = found[l], base = species[l] * p.n_species;
            const std::int64_t o = l * k.near_room;
            for (int e = 0; e < p.n_blocks; ++e) {
                int q = first[e];
                for (std::int64_t i = o; i < o + m; ++i) {
                    if (p.n_blocks > 1 && p.block[k.kind[i]] != e) continue;
                    const int to = q++ * W + l;
                    k.x[to] = k.tx[i];
                    k.y[to] = k.ty[i];
                    k.z[to] = k.tz[i];
                    k.pair[to] = base + k.kind[i];
                    k.source[to] = k.from[i];
                }
                for (; q < first[e + 1]; ++q) {
                    const int to = q * W + l;
                    k.x[to] = k.y[to] = 0.0;
                    k.z[to] = 1.0;
                    k.pair[to] = base;
                    k.source[to] = -1;
                }
            }
        }
        n_all = all;
    }

    // What the neighbors' distances determine.
    void functions() const {
        for (int q = 0; q < n_all; ++q) {
            const int at = q * W;
            const V x = simd::load(k.x + at), y = simd::load(k.y + at), z = simd::load(k.z + at);
            V c[8];
            simd::load_rows8(p.pair, simd::load_int<double>(k.pair + at), c);
            const V r2 = simd::fma(x, x, simd::fma(y, y, z * z)), r = simd::sqrt(r2);
            const V inverse = V(1.0) / r, depth = r - V(p.rmin0);
            const auto live = not_negative(k.source + at);
            const auto t = math::sincos(c[2] * depth);
            // The page has r / tan theta0, so the signs of a and b follow that of the sine.
            const V sign = simd::copysign(V(1.0), t.sin);
            V w = 1.0, dw = 0.0;
            if (p.switched) {
                const auto u = math::sincos(c[3] * depth);
                const auto inside = depth > V(0.0);
                w = simd::select(inside, V(0.5) + V(0.5) * u.cos, V(1.0));
                dw = simd::keep(inside, V(-0.5) * c[3] * u.sin);
            }
            if (p.inner) {
                const auto u = math::sincos((r - c[6]) * c[7]);
                const auto above = r > c[4], below = r < c[5];
                const V f = simd::select(below, simd::keep(above, V(0.5) + V(0.5) * u.sin), V(1.0));
                const V df = simd::keep(above & below, V(0.5) * c[7] * u.cos);
                dw = simd::fma(dw, f, w * df);
                w = w * f;
            }
            simd::store(k.weight + at, simd::keep(live, c[1] * w));
            simd::store(k.dweight + at, simd::keep(live, c[1] * dw));
            simd::store(k.cosine + at, sign * t.cos);
            simd::store(k.sine + at, sign * t.sin);
            simd::store(k.inverse_r + at, inverse);
            simd::store(k.turn + at, c[2]);
        }
    }
    static simd::Mask<double> not_negative(const std::int32_t* i) {
        return simd::to_vec<double>(simd::load_int<double>(i)) > V(-0.5);
    }

    void quaternion(int q, int t, Quaternions<kTogether>& to) const {
        const int at = (q + t) * W;
        const V s_r = simd::load(k.sine + at) * simd::load(k.inverse_r + at);
        to.ar[t] = simd::load(k.cosine + at);
        to.ai[t] = s_r * simd::load(k.z + at);
        to.br[t] = -(s_r * simd::load(k.y + at));
        to.bi[t] = -(s_r * simd::load(k.x + at));
    }

    // Adds the functions of a few neighbors, without norms.
    void add_functions(int q, double* to) const {
        Quaternions<kTogether> a;
        V start[kTogether];
#pragma GCC unroll 4
        for (int t = 0; t < kTogether; ++t) {
            quaternion(q, t, a);
            start[t] = simd::load(k.weight + (q + t) * W);
        }
        walk<kTogether>(p.twojmax, a, start, k.layer,
                        [&](int index, const V* re, const V* im) MDKERN_BODY {
                            double* at = to + 2 * W * index;
                            V x = re[0], y = im[0];
#pragma GCC unroll 4
                            for (int t = 1; t < kTogether; ++t) {
                                x = x + re[t];
                                y = y + im[t];
                            }
                            simd::store(at, simd::load(at) + x);
                            simd::store(at + W, simd::load(at + W) + y);
                        });
    }

    // Norms, the centre's own part, and the rows that follow by symmetry.
    void finish_functions(int e, double* half) const {
        double own[W];
        for (int l = 0; l < W; ++l) own[l] = p.self[species[l] * p.n_blocks + e];
        const V self = simd::load(own);
        double* full = k.full + 2 * W * std::int64_t(e * p.n_full);
        for (int j = 0; j <= p.twojmax; ++j) {
            double* layer = full + 2 * W * p.full_at[j];
            for (int mb = 0; mb <= j / 2; ++mb)
                for (int ma = 0; ma <= j; ++ma) {
                    const int index = p.half_at[j] + mb * (j + 1) + ma;
                    const V norm = p.norm[index];
                    V re = norm * simd::load(half + 2 * W * index);
                    const V im = norm * simd::load(half + 2 * W * index + W);
                    if (ma == mb) re = re + self;
                    simd::store(half + 2 * W * index, re);
                    simd::store(half + 2 * W * index + W, im);
                    double* to = layer + 2 * W * (mb * (j + 1) + ma);
                    simd::store(to, re);
                    simd::store(to + W, im);
                    if (2 * mb == j) continue;
                    const V sign = (ma + mb) % 2 ? -1.0 : 1.0;
                    to = layer + 2 * W * ((j - mb) * (j + 1) + j - ma);
                    simd::store(to, sign * re);
                    simd::store(to + W, -(sign * im));
                }
        }
    }

    // Y of one layer, times norms, and turned about x, y and z: i times the generators of rotations,
    // which step ma up and down. Returns sum U Y.
    V turn_layer(int e, int j) const {
        const std::int64_t begin = e * std::int64_t(p.n_half) + p.half_at[j];
        V energy = 0.0;
        for (int mb = 0; mb <= j / 2; ++mb) {
            double* y = k.y_half + 2 * W * (begin + mb * (j + 1));
            const double* u = k.half + 2 * W * (begin + mb * (j + 1));
            const bool middle = 2 * mb == j;
            for (int ma = mb + 1; middle && ma <= j; ++ma) {
                const double* from = y + 2 * W * (j - ma);
                const V sign = (ma + mb) % 2 ? -1.0 : 1.0;
                simd::store(y + 2 * W * ma, sign * simd::load(from));
                simd::store(y + 2 * W * ma + W, -(sign * simd::load(from + W)));
            }
            const double weight = middle ? 1.0 : 2.0;
            for (int ma = 0; ma <= j; ++ma) {
                double* at = y + 2 * W * ma;
                const V re = V(weight) * simd::load(at), im = V(weight) * simd::load(at + W);
                energy = simd::fma(re, simd::load(u + 2 * W * ma), energy);
                energy = simd::fma(im, simd::load(u + 2 * W * ma + W), energy);
                const V norm = p.norm[p.half_at[j] + mb * (j + 1) + ma];
                simd::store(at, norm * re);
                simd::store(at + W, norm * im);
            }
            for (int ma = 0; ma <= j; ++ma) {
                double* to = k.turned + 8 * W * (begin + mb * (j + 1) + ma);
                const double* at = y + 2 * W * ma;
                V dr = 0.0, di = 0.0, ur = 0.0, ui = 0.0;
                if (ma > 0) {
                    dr = V(double(ma)) * simd::load(at - 2 * W);
                    di = V(double(ma)) * simd::load(at - W);
                }
                if (ma < j) {
                    ur = V(double(j - ma)) * simd::load(at + 2 * W);
                    ui = V(double(j - ma)) * simd::load(at + 3 * W);
                }
                const V m = double(j - 2 * ma), re = simd::load(at), im = simd::load(at + W);
                simd::store(to, re);
                simd::store(to + W, im);
                simd::store(to + 2 * W, -(di + ui));
                simd::store(to + 3 * W, dr + ur);
                simd::store(to + 4 * W, dr - ur);
                simd::store(to + 5 * W, di - ui);
                simd::store(to + 6 * W, m * im);
                simd::store(to + 7 * W, -(m * re));
            }
        }
        return energy;
    }

    // dE/dr of a few neighbors. With the axis n and w = n d(theta0) + sin cos dn + sin^2 n x dn, the
    // rotation that r -> r + dr adds, dE = (dweight E0 dr + weight L . w).
    void contract(int q, const double* y, V (&px)[kTogether], V (&py)[kTogether],
                  V (&pz)[kTogether]) const {
        Quaternions<kTogether> a;
        V start[kTogether], e0[kTogether], lx[kTogether], ly[kTogether], lz[kTogether];
#pragma GCC unroll 4
        for (int t = 0; t < kTogether; ++t) {
            quaternion(q, t, a);
            start[t] = 1.0;
            e0[t] = lx[t] = ly[t] = lz[t] = 0.0;
        }
        walk<kTogether>(p.twojmax, a, start, k.layer,
                        [&](int index, const V* re, const V* im) MDKERN_BODY {
                            const double* c = y + 8 * W * index;
                            const V yr = simd::load(c), yi = simd::load(c + W);
                            const V xr = simd::load(c + 2 * W), xi = simd::load(c + 3 * W);
                            const V ur = simd::load(c + 4 * W), ui = simd::load(c + 5 * W);
                            const V zr = simd::load(c + 6 * W), zi = simd::load(c + 7 * W);
#pragma GCC unroll 4
                            for (int t = 0; t < kTogether; ++t) {
                                e0[t] = simd::fma(re[t], yr, simd::fma(im[t], yi, e0[t]));
                                lx[t] = simd::fma(re[t], xr, simd::fma(im[t], xi, lx[t]));
                                ly[t] = simd::fma(re[t], ur, simd::fma(im[t], ui, ly[t]));
                                lz[t] = simd::fma(re[t], zr, simd::fma(im[t], zi, lz[t]));
                            }
                        });
#pragma GCC unroll 4
        for (int t = 0; t < kTogether; ++t) {
            const int at = (q + t) * W;
            const V inverse = simd::load(k.inverse_r + at), sine = simd::load(k.sine + at);
            const V nx = simd::load(k.x + at) * inverse, ny = simd::load(k.y + at) * inverse,
                    nz = simd::load(k.z + at) * inverse;
            const V weight = simd::load(k.weight + at), scale = weight * inverse * sine;
            const V along = simd::fma(lx[t], nx, simd::fma(ly[t], ny, lz[t] * nz));
            const V cosine = scale * simd::load(k.cosine + at), square = scale * sine;
            // What belongs to n, of which the part that the second term has along n is taken away.
            const V radial = simd::fma(simd::load(k.dweight + at), e0[t],
                                       along * simd::fma(weight, simd::load(k.turn + at), -cosine));
            px[t] = simd::fma(nx, radial,
                              simd::fma(cosine, lx[t], square * simd::fnma(lz[t], ny, ly[t] * nz)));
            py[t] = simd::fma(ny, radial,
                              simd::fma(cosine, ly[t], square * simd::fnma(lx[t], nz, lz[t] * nx)));
            pz[t] = simd::fma(nz, radial,
                              simd::fma(cosine, lz[t], square * simd::fnma(ly[t], nx, lx[t] * ny)));
        }
    }

    int n_all = 0;
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
