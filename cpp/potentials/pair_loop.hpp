// The one place where energies, forces and virials of pairs are assembled. Include from kernels only.
//
// Every real row gathers its own force from its full list, so no two threads write the same value and the result has the same bits for
// every number of threads: per-row sums run over the list in order, totals over fixed blocks of rows, summed in block order.
//
//   F_i = sum_j g_ij (r_j - r_i),  W_i = -1/2 sum_j g_ij (r_j - r_i) (x) (r_j - r_i),  g = (dE/dr) / r of the pair (both directions together)
//
// A potential is a functor with
//   Centre begin(i, w)                  constants of row i, whose fourth column is w
//   Mask operator()(Centre, j, w, r2, live, e, g): pairs within the cutoff; sets the pair energy e and g (anything in the other lanes)
//   double own_energy(i)                energy of the row beside its half of the pair energies
#pragma once

#include "core/types.hpp"
#include "simd/parallel.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {

template <class T, class Pair>
void pair_loop(const System& s, const Neighbors& list, const Result& out, int n_threads, const Pair& pair) {
    using V = simd::Vec<T>;
    const T* rows = pair.rows;
    parallel_for(n_blocks(s.n_real), n_threads, 4, [&](std::int64_t b) {
        const std::int64_t end = (b + 1) * kPairBlock < s.n_real ? (b + 1) * kPairBlock : s.n_real;
        V wxx = T(0), wyy = T(0), wzz = T(0), wyz = T(0), wxz = T(0), wxy = T(0);
        double energy = 0.0, virial[6] = {0, 0, 0, 0, 0, 0};
        auto flush = [&](double* w) {  // the virial accumulated so far, as sums
            T sums[8];
            simd::store_sums4(sums, wxx, wyy, wzz, wyz);
            simd::store_sums4(sums + 4, wxz, wxy, wxy, wxy);
            for (int k = 0; k < 6; ++k) w[k] = -0.5 * double(sums[k]);
            wxx = wyy = wzz = wyz = wxz = wxy = T(0);
        };
        for (std::int64_t i = b * kPairBlock; i < end; ++i) {
            const T* p = rows + 4 * i;
            const V x = p[0], y = p[1], z = p[2];
            const auto centre = pair.begin(i, p[3]);
            V e = T(0), fx = T(0), fy = T(0), fz = T(0);
            const std::int32_t *k = list.index + list.first[i], *k_end = k + list.count[i];
            for (; k < k_end; k += V::width) {
                const auto live = simd::first_n<T>(k_end - k);
                const auto j = simd::load_int<T>(k, live);
                V dx, dy, dz, w;
                simd::load_rows(rows, j, dx, dy, dz, w);
                dx = dx - x;
                dy = dy - y;
                dz = dz - z;
                const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
                V pair_e, g;
                const auto within = pair(centre, j, w, r2, live, pair_e, g);
                g = simd::keep(within, g);
                e = e + simd::keep(within, pair_e);
                const V gx = g * dx, gy = g * dy, gz = g * dz;
                fx = fx + gx;
                fy = fy + gy;
                fz = fz + gz;
                wxx = simd::fma(gx, dx, wxx);
                wyy = simd::fma(gy, dy, wyy);
                wzz = simd::fma(gz, dz, wzz);
                wyz = simd::fma(gy, dz, wyz);
                wxz = simd::fma(gx, dz, wxz);
                wxy = simd::fma(gx, dy, wxy);
            }
            T sums[4];
            simd::store_sums4(sums, e, fx, fy, fz);
            const std::int64_t o = s.order ? s.order[i] : i;
            const double own = 0.5 * double(sums[0]) + pair.own_energy(i);
            energy += own;
            if (out.energies) out.energies[o] = own;
            if (out.forces)
                for (int c = 0; c < 3; ++c) out.forces[3 * o + c] = double(sums[1 + c]);
            if (out.virials) {
                double w[6];
                flush(w);
                for (int c = 0; c < 6; ++c) {
                    out.virials[6 * o + c] = w[c];
                    virial[c] += w[c];
                }
            }
        }
        if (!out.virials) flush(virial);
        double* totals = out.block_totals + 7 * b;
        totals[0] = energy;
        for (int c = 0; c < 6; ++c) totals[1 + c] = virial[c];
    });
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
