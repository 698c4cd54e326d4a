// What the passes of the NEP kernel over neighbors share, and the first one: from the list to the
// neighbors within the cutoffs, laid side by side. Lanes are neighbors. Include from kernels only.
//
// The list is grouped by species. A run of one species has its coefficients broadcast; a vector in
// which one run ends and the next begins is evaluated for each and masked.
#pragma once

#include "core/types.hpp"
#include "forces/near.hpp"
#include "math/cutoffs.hpp"
#include "potentials/nep/nep_scratch.hpp"
#include "simd/math.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> struct NepJob {
    const NepParams& p;
    const NepTables<T>& t;
    const System& s;
    const Neighbors& list;
    const NepWork& work;
    CentreTask task;
};

// Lanes of the vector at k that lie in [begin, end).
template <class T> inline simd::Mask<T> in_run(int k, int begin, int end) {
    return simd::first_n<T>(end - k) & simd::not_(simd::first_n<T>(begin - k));
}

// Calls body(Size<c>, start) with c <= kMost for parts that make up n, as equal as possible: loops
// over functions g_n with a number of accumulators that the compiler knows.
template <int N> struct Size {
    static constexpr int value = N;
};
template <int kMost, class Body> [[gnu::always_inline]] inline void in_parts(int n,
                                                                             const Body& body) {
    const int parts = (n + kMost - 1) / kMost;
    for (int q = 0, at = 0; q < parts; ++q) {
        const int size = (n - at + (parts - q) - 1) / (parts - q);
        if constexpr (kMost >= 6)
            if (size == 6) body(Size<6>(), at);
        if constexpr (kMost >= 5)
            if (size == 5) body(Size<5>(), at);
        if constexpr (kMost >= 4)
            if (size == 4) body(Size<4>(), at);
        if constexpr (kMost >= 3)
            if (size == 3) body(Size<3>(), at);
        if (size == 2) body(Size<2>(), at);
        if (size == 1) body(Size<1>(), at);
        at += size;
    }
}
// Functions g_n side by side: with four angular functions each these fill the registers.
template <class T> constexpr int kParts = sizeof(simd::Vec<T>) >= 64   ? 6
                                          : sizeof(simd::Vec<T>) >= 32 ? 3
                                                                       : 2;

// Runs of species among the staged neighbors.
template <class T> void find_runs(const NepJob<T>& job, const double* staged, NepLane<T>& lane) {
    lane.n_runs = 0;
    for (int k = 0; k < lane.n;) {
        const int of = job.p.n_types == 1 ? 0 : int(staged[k]);
        int end = lane.n;
        if (job.p.n_types > 1 && staged[lane.n - 1] != staged[k])
            for (end = k + 1; staged[end] == staged[k]; ++end) {
            }
        lane.species[lane.n_runs] = of;
        lane.end[lane.n_runs++] = end;
        k = end;
    }
}

// Neighbors of the lane's row that act on it, into the staging arrays; the end is filled up with
// the row itself, as if beyond every cutoff, of the last neighbor's species.
template <class T> void gather(const NepJob<T>& job, NepScratch<T>& scratch, NepLane<T>& lane) {
    using V = simd::Vec<double>;
    const std::int64_t i = lane.row;
    const double* keep = job.p.keep + std::int64_t(job.s.rows[4 * i + 3]) * job.p.n_types;
    const bool uniform = job.p.uniform_cutoff, mixed = job.p.n_types > 1;
    double **out = scratch.staged, *species = scratch.staged_species;
    const std::int32_t* begin = job.list.index + job.list.first[i];
    const int n = gather_near(
        job.s.rows, i, begin, begin + job.list.count[i],
        [&](const Listed<double>& v) MDKERN_BODY {
            return v.r2 < (uniform ? V(keep[0]) : simd::gather(keep, simd::to_int(v.w)));
        },
        [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t*, int at)
            MDKERN_BODY {
                v.keep_vectors(within, out[0] + at, out[1] + at, out[2] + at);
                simd::compress_store(out[3] + at, v.r2, within);
                if (mixed) simd::compress_store(species + at, v.w, within);
                simd::compress_store(lane.index + at, v.j, within);
            });
    lane.n = n;
    const double far = 4.0 * job.p.cutoff * job.p.cutoff;
    const double last = mixed && n > 0 ? species[n - 1] : 0.0;
    for (int k = n; k < n + kPadLanes; ++k) {
        out[0][k] = out[1][k] = out[2][k] = 0.0;
        out[3][k] = far;
        species[k] = last;
        lane.index[k] = std::int32_t(i);
    }
    find_runs(job, species, lane);
}

// fc, fc', x and fc x' of neighbors at distance d.
template <class T> struct Switch {
    simd::Vec<T> fc, dfc, x, slope;
};
template <class T> [[gnu::always_inline]] inline Switch<T> switch_at(simd::Vec<T> d,
                                                                     simd::Vec<T> inverse_rc) {
    using V = simd::Vec<T>;
    const auto fc = math::cosine_cutoff(d, inverse_rc);
    const V a = simd::min(V(T(1)), d * inverse_rc) - V(T(1));
    return {fc.value, fc.derivative, simd::fma(a + a, a, V(T(-1))),
            V(T(4)) * a * inverse_rc * fc.value};
}

// From the staged neighbors to their distances and switching functions, and to those within the
// angular cutoff.
template <class T> void measure(const NepJob<T>& job, NepScratch<T>& scratch, NepLane<T>& lane) {
    using V = simd::Vec<T>;
    const NepParams& p = job.p;
    const bool uniform = p.uniform_cutoff;
    const int type = int(job.s.rows[4 * lane.row + 3]);
    const T *inverse_rc = job.t.inverse_rc_radial + type * p.n_types,
            *rc2_angular = job.t.rc2_angular + type * p.n_types;
    int n_angular = 0, run = 0;
    for (int k = 0; k < lane.n; k += V::width) {
        const V dx = simd::load_as<T>(scratch.staged[0] + k),
                dy = simd::load_as<T>(scratch.staged[1] + k),
                dz = simd::load_as<T>(scratch.staged[2] + k),
                r2 = simd::load_as<T>(scratch.staged[3] + k);
        const V inverse = math::rsqrt(r2), d = r2 * inverse;
        V scale = inverse_rc[0], limit = rc2_angular[0];
        if (!uniform) {
            const auto of = simd::to_int(simd::load_as<T>(scratch.staged_species + k));
            scale = simd::gather(inverse_rc, of);
            limit = simd::gather(rc2_angular, of);
        }
        const Switch<T> f = switch_at<T>(d, scale);
        simd::store(lane.dx + k, dx);
        simd::store(lane.dy + k, dy);
        simd::store(lane.dz + k, dz);
        simd::store(lane.inverse + k, inverse);
        simd::store(lane.dfc + k, f.dfc);
        simd::store(lane.slope + k, f.slope);
        simd::store(lane.x + k, f.x);
        simd::store(scratch.fc + k, f.fc);
        const auto within = (r2 < limit) & simd::first_n<T>(lane.n - k);
        for (; run < lane.n_runs && lane.end[run] <= k + V::width; ++run)
            lane.a_end[run] = n_angular + simd::count(within & simd::first_n<T>(lane.end[run] - k));
        simd::compress_store(lane.ux + n_angular, dx * inverse, within);
        simd::compress_store(lane.uy + n_angular, dy * inverse, within);
        simd::compress_store(lane.uz + n_angular, dz * inverse, within);
        simd::compress_store(lane.d + n_angular, d, within);
        simd::compress_store(lane.a_inverse + n_angular, inverse, within);
        n_angular += simd::compress_store(lane.a_index + n_angular,
                                          simd::load_int<T>(lane.index + k), within);
    }
    lane.n_angular = n_angular;
    lane.stride = (n_angular + V::width - 1) / V::width * V::width;
    for (int k = n_angular; k < lane.stride; ++k) {
        lane.ux[k] = lane.uy[k] = lane.uz[k] = T(0);
        lane.d[k] = T(2 * p.cutoff);
        lane.a_inverse[k] = T(1);
        lane.a_index[k] = std::int32_t(lane.row);
    }
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
