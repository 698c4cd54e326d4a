// One block of rows on one thread, for kernels whose centres put gradients on their neighbors
// (force_blocks.hpp): its rows by species, its entries, and what its centres add up to. Include from
// kernels only.
#pragma once

#include "forces/force_blocks.hpp"
#include "simd/simd.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// What the gradients p = dE/d(r_j - r_i) of one centre add up to: its force, and sum r p. (PairSums
// get their forces as products with r, which they fuse into the sums.)
template <class T> struct GradientSums {
    using V = simd::Vec<T>;
    V fx = T(0), fy = T(0), fz = T(0);
    V wxx = T(0), wyy = T(0), wzz = T(0), wyz = T(0), wxz = T(0), wxy = T(0);

    [[gnu::always_inline]] void add_force(V px, V py, V pz) {
        fx = fx + px;
        fy = fy + py;
        fz = fz + pz;
    }
    [[gnu::always_inline]] void add_virial(V dx, V dy, V dz, V px, V py, V pz) {
        wxx = simd::fma(dx, px, wxx);
        wyy = simd::fma(dy, py, wyy);
        wzz = simd::fma(dz, pz, wzz);
        wyz = simd::fma(dy, pz, wyz);
        wxz = simd::fma(dx, pz, wxz);
        wxy = simd::fma(dx, py, wxy);
    }
    // sum r^2 p instead.
    [[gnu::always_inline]] void add_dipole(V dx, V dy, V dz, V px, V py, V pz) {
        const V r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
        wxx = simd::fma(r2, px, wxx);
        wyy = simd::fma(r2, py, wyy);
        wzz = simd::fma(r2, pz, wzz);
    }
    // All nine, over the lanes; behind them the last one again.
    void store(T* twelve) const {
        simd::store_sums4(twelve, fx, fy, fz, wxx);
        simd::store_sums4(twelve + 4, wyy, wzz, wyz, wxz);
        simd::store_sums4(twelve + 8, wxy, wxy, wxy, wxy);
    }
};

struct ForceBlock {
    explicit ForceBlock(const System& system, std::int64_t block)
        : s(system), begin(block * force_block_rows(system.n_real)) {
        const std::int64_t last = begin + force_block_rows(s.n_real);
        end = last < s.n_real ? last : s.n_real;
        for (double& e : energy) e = 0.0;
        for (double& x : virial) x = 0.0;
    }

    // Entries of the rows that the block touches, all zero.
    void open(const ForceBlocks& plan, std::int64_t block, const ForceBlockWork& work, int thread) {
        const std::int64_t first = plan.first[block], n = plan.first[block + 1] - first;
        slots = work.slots + thread * s.n_total;
        for (std::int64_t e = 0; e < n; ++e) slots[plan.row[first + e]] = std::int32_t(e);
        entries = work.entries + 4 * first;
        for (std::int64_t e = 0; e < 4 * n; ++e) entries[e] = 0.0;
        if (!work.virial_entries) return;
        virial_width = work.virial_width;
        virial_stride = work.virial_stride();
        virial_entries = work.virial_entries + virial_stride * first;
        for (std::int64_t e = 0; e < virial_stride * n; ++e) virial_entries[e] = 0.0;
    }

    int type_of(std::int64_t i) const { return int(s.rows[4 * i + 3]); }
    std::int64_t caller(std::int64_t i) const { return s.order ? s.order[i] : i; }

    // body(type, rows, n) for the centres of the block, in batches of one type and at most `most`,
    // which are as equal as can be; of a Jacobian, which may be null, those that it wants.
    template <class Body> void for_batches(int n_types, int most, const FeatureJacobian* jacobian,
                                           const Body& body) {
        int at[kMaxSpecies + 1];
        sort_rows(n_types, at);
        for (int t = 0, k = 0; t < n_types; ++t) {
            int n = at[t] - k;
            const std::int64_t* rows = row + k;
            k = at[t];
            if (jacobian) n = keep_wanted(*jacobian, row + k - n, n);
            for (int parts = (n + most - 1) / most; parts > 0; --parts) {
                const int size = (n + parts - 1) / parts;
                body(t, rows, size);
                rows += size;
                n -= size;
            }
        }
    }

    // Features of a batch into the results, or their weights into the place of dE/dx. place(k, c)
    // refers to feature c of the k-th centre.
    template <class Place> void write_features(const Outputs& out, const std::int64_t* rows, int n,
                                               int width, const Place& place) const {
        for (int k = 0; k < n; ++k)
            for (int c = 0; c < width; ++c)
                out.features[caller(rows[k]) * width + c] = double(place(k, c));
    }
    template <class Place> void read_weights(const Outputs& out, const std::int64_t* rows, int n,
                                             int width, const Place& place) const {
        for (int k = 0; k < n; ++k)
            for (int c = 0; c < width; ++c)
                place(k, c) = out.feature_weights[caller(rows[k]) * width + c];
    }

    // Virials of the neighbors of one vector: -d (x) p, or their symmetric parts.
    template <class T> [[gnu::noinline]] void add_virials(const std::int32_t* slot, simd::Vec<T> dx,
                                                          simd::Vec<T> dy, simd::Vec<T> dz,
                                                          simd::Vec<T> px, simd::Vec<T> py,
                                                          simd::Vec<T> pz) {
        using V = simd::Vec<T>;
        if (virial_width == 9) {
            const V d[3] = {dx, dy, dz}, p[3] = {px, py, pz};
            for (int c = 0; c < 9; ++c)
                add_component<T>(slot, c, -(d[kNine[c][0]] * p[kNine[c][1]]));
            return;
        }
        const V half = T(-0.5);
        const V w[6] = {-(dx * px),
                        -(dy * py),
                        -(dz * pz),
                        half * simd::fma(dy, pz, dz * py),
                        half * simd::fma(dx, pz, dz * px),
                        half * simd::fma(dx, py, dy * px)};
        for (int c = 0; c < 6; ++c) add_component<T>(slot, c, w[c]);
    }
    template <class T> void add_component(const std::int32_t* slot, int c, simd::Vec<T> w) {
        T lanes[simd::Vec<T>::width];
        simd::store(lanes, w);
        for (int l = 0; l < simd::Vec<T>::width; ++l)
            virial_entries[virial_stride * std::int64_t(slot[l]) + c] += double(lanes[l]);
    }

    // After the last neighbor of centre i.
    template <class T> void finish_centre(std::int64_t i, const GradientSums<T>& sums) {
        T w[12];
        sums.store(w);
        double* own = entries + 4 * std::int64_t(slots[i]);
        for (int c = 0; c < 3; ++c) own[c] += double(w[c]);
        for (int c = 0; c < 6; ++c) virial[c] -= double(w[3 + c]);
    }

    // Instead of finish_centre, where the sums are those of Born charges.
    template <class T> void finish_born(std::int64_t i, const GradientSums<T>& sums) {
        T w[12];
        sums.store(w);
        const std::int64_t k = slots[i];
        for (int c = 0; c < 3; ++c) entries[4 * k + c] += double(w[c]);
        for (int c = 0; c < 6; ++c) virial_entries[8 * k + c] += double(w[3 + c]);
    }

    // Instead of finish_centre, where p is dx/d(r_j - r_i) of one feature of a wanted centre i: moves
    // what lies in the entries of its neighbors into the Jacobian. The centre gets what keeps the sum
    // zero.
    void take_jacobian(const FeatureJacobian& out, const Neighbors& list, std::int64_t i,
                       std::int64_t feature) {
        const std::int64_t centre = out.centre_at[caller(i)], n = out.n_features;
        double* to = out.values + centre * out.n_moving * 3 * n + feature;
        double total[3] = {0, 0, 0};
        const auto put = [&](std::int64_t at, const double* g) {
            const std::int64_t j = out.moving_at[caller(s.home[at])];
            for (int c = 0; c < 3 && j >= 0; ++c) to[(3 * j + c) * n] += g[c];
        };
        const std::int32_t* index = list.index + list.first[i];
        for (std::int32_t k = 0; k < list.count[i]; ++k) {
            double* e = entries + 4 * std::int64_t(slots[index[k]]);
            const double g[3] = {-e[0], -e[1], -e[2]};
            for (int c = 0; c < 3; ++c) {
                total[c] -= g[c];
                e[c] = 0.0;
            }
            put(index[k], g);
        }
        put(i, total);
    }

    // Energies and totals; the virial of the block stands in its first part.
    void finish(const Outputs& out) const {
        for (std::int64_t part = begin; part < end; part += kPairBlock) {
            double* totals = out.block_totals + 7 * (part / kPairBlock);
            for (int c = 0; c < 7; ++c) totals[c] = 0.0;
            for (std::int64_t i = part; i < part + kPairBlock && i < end; ++i) {
                totals[0] += energy[i - begin];
                if (out.energies) out.energies[caller(i)] = energy[i - begin];
            }
            if (part == begin)
                for (int c = 0; c < 6; ++c) totals[1 + c] = virial[c];
        }
    }

    const System& s;
    std::int64_t begin, end;
    std::int32_t* slots = nullptr;  // (n_total) entry of each row that the block touches
    double *entries = nullptr, *virial_entries = nullptr;
    int virial_width = 0, virial_stride = 0;  // of an entry
    std::int64_t row[kMostBlock];
    double energy[kMostBlock], virial[6];

private:
    // Rows by type, those of one type in order. Afterwards at[t] is the end of type t.
    void sort_rows(int n_types, int* at) {
        for (int t = 0; t <= n_types; ++t) at[t] = 0;
        for (std::int64_t i = begin; i < end; ++i) ++at[type_of(i) + 1];
        for (int t = 0; t < n_types; ++t) at[t + 1] += at[t];
        for (std::int64_t i = begin; i < end; ++i) row[at[type_of(i)]++] = i;
    }
    int keep_wanted(const FeatureJacobian& jacobian, std::int64_t* rows, int n) const {
        int kept = 0;
        for (int k = 0; k < n; ++k)
            if (jacobian.centre_at[caller(rows[k])] >= 0) rows[kept++] = rows[k];
        return kept;
    }
};

// After all blocks: from their entries to what is wanted of the atoms.
static inline void gather_entries(CentreTask task, const System& s, const ForceBlocks& plan,
                                  const ForceBlockWork& work, int n_threads, const Outputs& out) {
    const auto gather = [&](const double* entries, int stride, int width, double* to, int row) {
        force_blocks_gather_compute(s, plan, entries, stride, width, n_threads, to, row);
    };
    if (task == CentreTask::born) {
        gather(work.entries, 4, 3, out.born, 9);
        gather(work.virial_entries, 8, 6, out.born + 3, 9);
    }
    if (task != CentreTask::energy && task != CentreTask::vjp) return;
    if (out.forces) gather(work.entries, 4, 3, out.forces, 3);
    const int width = out.virial_width;
    if (out.virials)
        gather(work.virial_entries, virial_stride_of(width), width, out.virials, width);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
