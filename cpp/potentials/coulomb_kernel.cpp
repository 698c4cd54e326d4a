// Sums over pairs and waves; formulas in coulomb.hpp. Pairs: lanes are neighbors. Waves: lanes are
// atoms, 64 of them at a time, whose powers of exp(i b r) stay in the L1 cache while all lines pass.
#include "potentials/coulomb.hpp"

#include "forces/near.hpp"
#include "forces/pair_loop.hpp"
#include "simd/math.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

using V = simd::Vec<double>;
constexpr int kVectors = kAtomsPerWaveBlock / V::width;
constexpr int kVoigt[6][2] = {{0, 0}, {1, 1}, {2, 2}, {1, 2}, {0, 2}, {0, 1}};

void row_pairs(const System& s, const Neighbors& list, const CoulombPairs& t,
               const CoulombRows& out, std::int64_t i) {
    const double* own = s.rows + 4 * i;
    const double* rc2 = t.rc2 + std::int64_t(own[3]) * t.n_types;
    const V alpha = t.alpha;
    PairSums<double> sums;
    const std::int32_t* begin = list.index + list.first[i];
    for_listed(s.rows, i, begin, begin + list.count[i],
               [&](const Listed<double>& v, auto live, const std::int32_t*) MDKERN_BODY {
                   const V limit =
                       t.n_types == 1 ? V(rc2[0]) : simd::gather(rc2, simd::to_int(v.w));
                   const auto within = (v.r2 < limit) & live;
                   if (!simd::any<double>(within)) return;
                   const V safe = simd::select(within, v.r2, limit);
                   const V inverse = math::rsqrt(safe), r = safe * inverse;
                   const auto e = math::erfc_with_derivative(alpha * r);
                   const V bare = e.value * inverse;
                   const V phi = bare + simd::fma(V(t.shift_slope), r, V(t.shift_value));
                   const V slope =
                       simd::fma(simd::fma(alpha, e.derivative, -bare), inverse, V(t.shift_slope));
                   const V q = simd::keep(within, simd::gather(out.charge, v.j));
                   sums.add(q * phi, q * slope * inverse, v.dx, v.dy, v.dz);
               });
    double sum[4], virial[6];
    simd::store_sums4(sum, sums.e, sums.fx, sums.fy, sums.fz);
    sums.take_virial(virial);
    const double q = out.charge[i];
    double* row = out.rows + kCoulombRow * i;
    row[0] = kCoulomb * sum[0] - 2.0 * t.self * q;
    row[1] = 0.5 * q * row[0];
    for (int c = 0; c < 3; ++c) row[2 + c] = kCoulomb * q * sum[1 + c];
    for (int c = 0; c < 6; ++c) row[5 + c] = kCoulomb * q * virial[c];
}

// A block of atoms: charges, and powers 0, 1, 2, ... of exp(i b r) for the three b, each
// (power, re / im, atom).
struct WaveBlock {
    const Waves& w;
    std::int64_t begin;
    int n;
    const double* power[3];
    double charge[kAtomsPerWaveBlock];

    WaveBlock(const System& s, const Waves& waves, const double* charges, std::int64_t block,
              double* powers)
        : w(waves), begin(block * kAtomsPerWaveBlock) {
        const std::int64_t left = s.n_real - begin;
        n = int(left < kAtomsPerWaveBlock ? left : kAtomsPerWaveBlock);
        double angle[3][kAtomsPerWaveBlock];
        for (int k = 0; k < kAtomsPerWaveBlock; ++k) {
            const double* r = s.rows + 4 * (begin + (k < n ? k : 0));
            charge[k] = k < n ? charges[begin + k] : 0.0;
            for (int i = 0; i < 3; ++i)
                angle[i][k] = w.b[3 * i] * r[0] + w.b[3 * i + 1] * r[1] + w.b[3 * i + 2] * r[2];
        }
        for (int i = 0; i < 3; ++i) {
            power[i] = powers;
            for (int v = 0; v < kVectors; ++v) {
                const auto e = math::sincos(simd::load(angle[i] + v * V::width));
                double* to = powers + v * V::width;
                V re = 1.0, im = 0.0;
                for (int m = 0; m <= w.most[i]; ++m, to += 2 * kAtomsPerWaveBlock) {
                    simd::store(to, re);
                    simd::store(to + kAtomsPerWaveBlock, im);
                    const V next = simd::fnma(im, e.sin, re * e.cos);
                    im = simd::fma(im, e.cos, re * e.sin);
                    re = next;
                }
            }
            powers += 2 * kAtomsPerWaveBlock * (w.most[i] + 1);
        }
    }
    // exp(i (n1 b1 + n2 b2) r) of the vector of atoms v.
    void of_line(std::int64_t line, int v, V& re, V& im) const {
        const std::int32_t n1 = w.line[2 * line], n2 = w.line[2 * line + 1];
        const double* a = power[0] + 2 * kAtomsPerWaveBlock * n1 + v * V::width;
        const double* b = power[1] + 2 * kAtomsPerWaveBlock * (n2 < 0 ? -n2 : n2) + v * V::width;
        const V ar = simd::load(a), ai = simd::load(a + kAtomsPerWaveBlock), br = simd::load(b);
        const V bi =
            n2 < 0 ? -simd::load(b + kAtomsPerWaveBlock) : simd::load(b + kAtomsPerWaveBlock);
        re = simd::fnma(ai, bi, ar * br);
        im = simd::fma(ai, br, ar * bi);
    }
};

// Entries e .. e + kSize of a line, their sums over a block of atoms.
template <int kSize>
[[gnu::always_inline]] inline void add_entries(const double* re, const double* im,
                                               const double* power, double* sums) {
    V rr[kSize], ii[kSize], ri[kSize], ir[kSize];
#pragma GCC unroll 4
    for (int e = 0; e < kSize; ++e) rr[e] = ii[e] = ri[e] = ir[e] = 0.0;
    for (int v = 0; v < kVectors; ++v) {
        const V a = simd::load(re + v * V::width), b = simd::load(im + v * V::width);
#pragma GCC unroll 4
        for (int e = 0; e < kSize; ++e) {
            const double* p = power + 2 * kAtomsPerWaveBlock * e + v * V::width;
            const V c = simd::load(p), d = simd::load(p + kAtomsPerWaveBlock);
            rr[e] = simd::fma(a, c, rr[e]);
            ii[e] = simd::fma(b, d, ii[e]);
            ri[e] = simd::fma(a, d, ri[e]);
            ir[e] = simd::fma(b, c, ir[e]);
        }
    }
#pragma GCC unroll 4
    for (int e = 0; e < kSize; ++e) {
        double more[4];
        simd::store_sums4(more, rr[e], ii[e], ri[e], ir[e]);
        for (int c = 0; c < 4; ++c) sums[4 * e + c] += more[c];
    }
}

void add_block(const WaveBlock& block, double* sums) {
    constexpr int kTile = V::width == 8 ? 4 : 2;  // accumulators: four per entry
    const Waves& w = block.w;
    double re[kAtomsPerWaveBlock], im[kAtomsPerWaveBlock];
    for (std::int64_t line = 0; line < w.n_lines; ++line) {
        for (int v = 0; v < kVectors; ++v) {
            V a, b;
            block.of_line(line, v, a, b);
            const V q = simd::load(block.charge + v * V::width);
            simd::store(re + v * V::width, q * a);
            simd::store(im + v * V::width, q * b);
        }
        const std::int64_t first = w.first[line], n = w.first[line + 1] - first;
        std::int64_t e = 0;
        auto power = [&] { return block.power[2] + 2 * kAtomsPerWaveBlock * e; };
        for (; e + kTile <= n; e += kTile)
            add_entries<kTile>(re, im, power(), sums + 4 * (first + e));
        for (; e < n; ++e) add_entries<1>(re, im, power(), sums + 4 * (first + e));
    }
}

// What a block of atoms feels. P = H(n3) + H(-n3), M = H(n3) - H(-n3) with H = weight S; the
// coefficients of an entry are Re and Im of P, M, n3 P, n3 M.
//   T = sum over the line of H conj(exp(i n3 b3 r)) = sum of c P - i s M
//   U = the same with n3 = sum of n3 (c M - i s P)
template <bool kForces>
void apply_block(const WaveBlock& block, const double* coefficients, double (*out)[8]) {
    const Waves& w = block.w;
    for (int v = 0; v < kVectors && v * V::width < block.n; ++v) {
        V potential = 0.0, g1 = 0.0, g2 = 0.0, g3 = 0.0;
        for (std::int64_t line = 0; line < w.n_lines; ++line) {
            V t_re = 0.0, t_im = 0.0, u_re = 0.0, u_im = 0.0;
            V t_re2 = 0.0, t_im2 = 0.0, u_re2 = 0.0, u_im2 = 0.0;
            const double* h = coefficients + 8 * w.first[line];
            const double* p = block.power[2] + v * V::width;
            for (std::int64_t e = w.first[line]; e < w.first[line + 1]; ++e) {
                const V c = simd::load(p), s = simd::load(p + kAtomsPerWaveBlock);
                t_re = simd::fma(c, V(h[0]), t_re);
                t_im = simd::fma(c, V(h[1]), t_im);
                t_re2 = simd::fma(s, V(h[3]), t_re2);
                t_im2 = simd::fma(s, V(h[2]), t_im2);
                if constexpr (kForces) {
                    u_re = simd::fma(c, V(h[6]), u_re);
                    u_im = simd::fma(c, V(h[7]), u_im);
                    u_re2 = simd::fma(s, V(h[5]), u_re2);
                    u_im2 = simd::fma(s, V(h[4]), u_im2);
                }
                h += 8;
                p += 2 * kAtomsPerWaveBlock;
            }
            V a, b;
            block.of_line(line, v, a, b);
            const V tr = t_re + t_re2, ti = t_im - t_im2;
            potential = simd::fma(a, tr, simd::fma(b, ti, potential));
            if constexpr (kForces) {
                const V im = simd::fnma(b, tr, a * ti);
                g1 = simd::fma(V(double(w.line[2 * line])), im, g1);
                g2 = simd::fma(V(double(w.line[2 * line + 1])), im, g2);
                g3 = simd::fma(a, u_im - u_im2, simd::fnma(b, u_re + u_re2, g3));
            }
        }
        double lanes[4][V::width];
        simd::store(lanes[0], potential);
        simd::store(lanes[1], g1);
        simd::store(lanes[2], g2);
        simd::store(lanes[3], g3);
        for (int l = 0; l < V::width; ++l)
            for (int c = 0; c < 4; ++c) out[v * V::width + l][c] = lanes[c][l];
    }
}

std::int64_t wave_blocks(const System& s) {
    return (s.n_real + kAtomsPerWaveBlock - 1) / kAtomsPerWaveBlock;
}
std::int64_t power_room(const Waves& w) {
    return 2 * kAtomsPerWaveBlock * (std::int64_t(w.most[0]) + w.most[1] + w.most[2] + 3);
}

}  // namespace

void coulomb_pairs_compute(const System& s, const Neighbors& list, const CoulombPairs& t,
                           const CoulombRows& out, int n_threads) {
    parallel_for(s.n_real, n_threads, 64, [&](std::int64_t i) { row_pairs(s, list, t, out, i); });
}

void waves_sum_compute(const System& s, const Waves& w, const CoulombRows& in, double* powers,
                       double* sums, int n_threads) {
    const std::int64_t n_blocks = wave_blocks(s);
    parallel_for_thread(kWaveGroups, n_threads, 1, [&](std::int64_t group, int thread) {
        double* own = sums + 4 * w.n_entries * group;
        for (std::int64_t e = 0; e < 4 * w.n_entries; ++e) own[e] = 0.0;
        const std::int64_t begin = n_blocks * group / kWaveGroups,
                           end = n_blocks * (group + 1) / kWaveGroups;
        for (std::int64_t b = begin; b < end; ++b)
            add_block(WaveBlock(s, w, in.charge, b, powers + thread * power_room(w)), own);
    });
}

void waves_coefficients_compute(const Waves& w, int component, double* sums, double* coefficients,
                                double* totals, int n_threads) {
    parallel_for(w.n_lines, n_threads, 16, [&](std::int64_t line) {
        double virial[6] = {0, 0, 0, 0, 0, 0};
        for (std::int64_t e = w.first[line]; e < w.first[line + 1]; ++e) {
            double* s = sums + 4 * e;
            if (component == 0)
                for (int g = 1; g < kWaveGroups; ++g)
                    for (int c = 0; c < 4; ++c) s[c] += sums[4 * (w.n_entries * g + e) + c];
            const double n3 = double(e - w.first[line]);
            double h[2][2];
            for (int side = 0; side < 2; ++side) {
                const double sign = side ? -1.0 : 1.0;
                const double re = s[0] - sign * s[1], im = s[3] + sign * s[2];
                double k[3], weight = w.weight[2 * e + side];
                for (int c = 0; c < 3; ++c)
                    k[c] = w.line[2 * line] * w.b[c] + w.line[2 * line + 1] * w.b[3 + c] +
                           sign * n3 * w.b[6 + c];
                const double k2 = k[0] * k[0] + k[1] * k[1] + k[2] * k[2];
                const double stretch = weight > 0.0 ? 2.0 / k2 + 2.0 * w.inverse_4alpha2 : 0.0;
                for (int c = 0; c < 6; ++c) {
                    const int a = kVoigt[c][0], b = kVoigt[c][1];
                    const double factor = (a == b) - stretch * k[a] * k[b];
                    virial[c] += weight * (re * re + im * im) * factor;
                    if (c == component - 1) weight *= factor;
                }
                h[side][0] = weight * re;
                h[side][1] = weight * im;
            }
            double* out = coefficients + 8 * e;
            for (int c = 0; c < 2; ++c) {
                out[c] = h[0][c] + h[1][c];
                out[2 + c] = h[0][c] - h[1][c];
                out[4 + c] = n3 * out[c];
                out[6 + c] = n3 * out[2 + c];
            }
        }
        if (component == 0)
            for (int c = 0; c < 6; ++c) totals[6 * line + c] = virial[c];
    });
}

void waves_apply_compute(const System& s, const Waves& w, const CoulombRows& out,
                         const double* coefficients, double* powers, int component, double* virials,
                         int n_threads) {
    parallel_for_thread(wave_blocks(s), n_threads, 1, [&](std::int64_t b, int thread) {
        const WaveBlock block(s, w, out.charge, b, powers + thread * power_room(w));
        double felt[kAtomsPerWaveBlock][8];
        if (component == 0)
            apply_block<true>(block, coefficients, felt);
        else
            apply_block<false>(block, coefficients, felt);
        for (int k = 0; k < block.n; ++k) {
            const std::int64_t i = block.begin + k, o = s.order ? s.order[i] : i;
            const double q = block.charge[k];
            if (component > 0) {
                virials[6 * o + component - 1] += q * felt[k][0];
                continue;
            }
            double* row = out.rows + kCoulombRow * i;
            row[0] += 2.0 * felt[k][0];
            row[1] += q * felt[k][0];
            for (int c = 0; c < 3; ++c)
                row[2 + c] -=
                    2.0 * q *
                    (felt[k][1] * w.b[c] + felt[k][2] * w.b[3 + c] + felt[k][3] * w.b[6 + c]);
        }
    });
}

void coulomb_add_compute(const System& s, const CoulombRows& in, const Outputs& out,
                         int n_threads) {
    parallel_for(n_blocks(s.n_real), n_threads, 16, [&](std::int64_t b) {
        const std::int64_t begin = b * kPairBlock,
                           end = begin + kPairBlock < s.n_real ? begin + kPairBlock : s.n_real;
        double totals[7] = {0, 0, 0, 0, 0, 0, 0};
        for (std::int64_t i = begin; i < end; ++i) {
            const double* row = in.rows + kCoulombRow * i;
            const std::int64_t o = s.order ? s.order[i] : i;
            totals[0] += row[1];
            for (int c = 0; c < 6; ++c) totals[1 + c] += row[5 + c];
            if (out.energies) out.energies[o] += row[1];
            if (out.forces)
                for (int c = 0; c < 3; ++c) out.forces[3 * o + c] += row[2 + c];
            if (out.virials)
                for (int c = 0; c < 6; ++c) out.virials[6 * o + c] += row[5 + c];
        }
        if (out.block_totals)
            for (int c = 0; c < 7; ++c) out.block_totals[7 * b + c] += totals[c];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
