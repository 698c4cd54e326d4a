// One block of rows on one thread, for centre_lanes.hpp. Include from kernels only.
#pragma once

#include "forces/centre_lanes.hpp"
#include "forces/force_block.hpp"
#include "forces/near.hpp"
#include "simd/parallel.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

// The k-th neighbor of each centre. A potential's own slots derive from it and add what they keep.
struct LaneSlot {
    using V = simd::Vec<double>;
    V dx, dy, dz, r2;            // r_j - r_i and its square
    V species;                   // of j
    V own_entry;                 // 1 where a pair's entry is that of (i, j), else that of (j, i)
    V px, py, pz;                // dE/d(r_j - r_i), set by the potential
    V share;                     // of the centre's energy, for the neighbor; set by the potential
    std::int32_t row[V::width];  // of the System; then of the entries
};

// Sums of r0 (x) p of a neighbor, for virials of nine components: p are the gradients by the neighbor of
// the energies that it takes part in, and r0 where each of these energies is found, relative to the centre.
struct LaneCentres {
    simd::Vec<double> w[9];

    void add(const simd::Vec<double>* r0, const simd::Vec<double>* p) {
        for (int c = 0; c < 9; ++c) w[c] = simd::fma(r0[kNine[c][0]], p[kNine[c][1]], w[c]);
    }
};
static_assert(sizeof(LaneCentres) <= kLaneCentres, "room of a slot");

// A potential's Model has
//   Slot                               derived from LaneSlot
//   Reach reach                        which neighbors are kept
//   static constexpr bool kMixed       whether there are several species
//   static constexpr std::size_t kMemory   bytes beside the slots, a multiple of 64
//   void evaluate(int species, Slot*, int n, V& own, V& total, char* memory)
//                                      sets the gradients and shares of n slots, what is left of the
//                                      centres' energies for themselves, and their whole energies
//   void energy_centres(int species, const Slot*, int n, LaneCentres*, char* memory)
//                                      after evaluate(), for virials of nine components: adds to the sums
//                                      of n slots for energies that are not those of the centre alone
template <class Model> class LaneBlock : ForceBlock {
    using V = simd::Vec<double>;
    using I = simd::Int<double>;
    using Slot = typename Model::Slot;
    static constexpr int W = V::width;

public:
    LaneBlock(const Model& m, const System& system, const Neighbors& neighbors,
              const ForceBlocks& plan, const ForceBlockWork& w, const Outputs& o,
              std::int64_t block, int thread)
        : ForceBlock(system, block),
          model(m),
          by_index(m.reach.by_index && system.caller),
          list(neighbors),
          out(o) {
        char* scratch = w.scratch + std::size_t(thread) * w.scratch_bytes;
        slot = reinterpret_cast<Slot*>(scratch);
        const std::int64_t slots_there = w.largest > 0 ? w.largest : 1;
        own_memory = scratch + std::size_t(slots_there) * sizeof(Slot);
        char* behind = own_memory + Model::kMemory;
        if (w.virial_width == 9) {
            centres_of = reinterpret_cast<LaneCentres*>(behind);
            behind += std::size_t(slots_there) * sizeof(LaneCentres);
        }
        kept = reinterpret_cast<std::int32_t*>(behind);
        open(plan, block, w, thread);
    }
    void run() {
        // Centres of one species side by side: they have about as many neighbors.
        for_batches(model.reach.n_species, W, nullptr,
                    [&](int type, const std::int64_t* rows, int n) { group(type, rows, n); });
        if (!out.block_totals) return;
        double w[8];
        simd::store_sums4(w, sums[0], sums[1], sums[2], sums[3]);
        simd::store_sums4(w + 4, sums[4], sums[5], sums[5], sums[5]);
        for (int c = 0; c < 6; ++c) virial[c] = -w[c];
        Outputs totals = out;
        totals.energies = nullptr;  // from the shares
        finish(totals);
    }

private:
    // Neighbors of n centres into slots; returns how many slots there are.
    int fill(int type, const std::int64_t* centres, int n) {
        double count[W];
        int most = 0;
        std::int32_t own[W];
        const double* limits = model.reach.reach2 + type * model.reach.n_species;
        const V limit = limits[0];
        for (int l = 0; l < W; ++l) {
            const std::int64_t i = centres[l < n ? l : 0];
            own[l] = std::int32_t(i);
            count[l] = 0.0;
            if (l >= n) continue;
            const std::int32_t* first = list.index + list.first[i];
            const int m = gather_near(
                s.rows, i, first, first + list.count[i],
                [&](const Listed<double>& v) MDKERN_BODY {
                    if constexpr (Model::kMixed)
                        return v.r2 < simd::gather(limits, simd::to_int(v.w));
                    else
                        return v.r2 < limit;
                },
                [&](const Listed<double>& v, simd::Mask<double> within, const std::int32_t*, int at)
                    MDKERN_BODY { simd::compress_store(kept + at, v.j, within); });
            for (int k = 0; k < m; ++k) slot[k].row[l] = kept[k];
            count[l] = m;
            if (m > most) most = m;
        }
        V species;
        V x, y, z;
        simd::load_rows(s.rows, own, x, y, z, species);
        const V counts = simd::load(count), far = 2.0 * model.reach.largest;
        for (int k = 0; k < most; ++k) {
            Slot& at = slot[k];
            for (int l = 0; l < W; ++l)
                if (double(k) >= count[l]) at.row[l] = own[l];
            const auto live = V(double(k)) < counts;
            V jx, jy, jz;
            simd::load_rows(s.rows, at.row, jx, jy, jz, at.species);
            const V dx = simd::select(live, jx - x, far), dy = simd::keep(live, jy - y),
                    dz = simd::keep(live, jz - z);
            at.dx = dx;
            at.dy = dy;
            at.dz = dz;
            at.r2 = simd::fma(dx, dx, simd::fma(dy, dy, dz * dz));
            if constexpr (Model::kMixed) {
                // Where atoms have no numbers, each direction is half of the pair.
                at.own_entry = V(1.0);
                if (by_index) choose(own, at);
            }
            for (int l = 0; l < W; ++l) at.row[l] = slots[at.row[l]];
        }
        return most;
    }

    // LAMMPS's choice of one direction of a pair, by the numbers of its atoms. Of an atom and its own
    // image either is the same.
    [[gnu::noinline]] void choose(const std::int32_t* own, Slot& at) const {
        double first[W];
        for (int l = 0; l < W; ++l) {
            const std::int32_t i = s.caller[own[l]], j = s.caller[s.home[at.row[l]]];
            const bool odd = (i + j) & 1;
            first[l] = (i > j) == odd ? 1.0 : 0.0;
        }
        at.own_entry = simd::load(first);
    }

    void group(int type, const std::int64_t* centres, int n) {
        const int m = fill(type, centres, n);
        V own = 0.0, total = 0.0, fx = 0.0, fy = 0.0, fz = 0.0;
        model.evaluate(type, slot, m, own, total, own_memory);
        // Not in place: what may be written to memory in between is not kept in registers.
        V xx = sums[0], yy = sums[1], zz = sums[2], yz = sums[3], xz = sums[4], xy = sums[5];
        for (int k = 0; k < m; ++k) {
            Slot& at = slot[k];
            const V px = at.px, py = at.py, pz = at.pz, dx = at.dx, dy = at.dy, dz = at.dz;
            fx = fx + px;
            fy = fy + py;
            fz = fz + pz;
            xx = simd::fma(dx, px, xx);
            yy = simd::fma(dy, py, yy);
            zz = simd::fma(dz, pz, zz);
            yz = simd::fma(dy, pz, yz);
            xz = simd::fma(dx, pz, xz);
            xy = simd::fma(dx, py, xy);
            simd::add_rows(entries, simd::load_int<double>(at.row), -px, -py, -pz, at.share, W);
            if (virial_entries && virial_width == 6)
                add_virials<double>(at.row, dx, dy, dz, px, py, pz);
        }
        sums[0] = xx;
        sums[1] = yy;
        sums[2] = zz;
        sums[3] = yz;
        sums[4] = xz;
        sums[5] = xy;
        std::int32_t rows[W];
        for (int l = 0; l < W; ++l) rows[l] = slots[centres[l < n ? l : 0]];
        simd::add_rows(entries, simd::load_int<double>(rows), fx, fy, fz, own, n);
        if (centres_of) nine(type, m, rows, n);
        double whole[W];
        simd::store(whole, total);
        for (int l = 0; l < n; ++l) energy[centres[l] - begin] = whole[l];
    }

    // An atom k has sum (r0 - r_k) (x) p over the energies that it takes part in. Of the centre p is what
    // keeps the sum over the atoms of an energy zero.
    [[gnu::noinline]] void nine(int type, int m, const std::int32_t* rows, int n) {
        for (int k = 0; k < m; ++k)
            for (V& w : centres_of[k].w) w = V(0.0);
        model.energy_centres(type, slot, m, centres_of, own_memory);
        V own[9] = {V(0.0), V(0.0), V(0.0), V(0.0), V(0.0), V(0.0), V(0.0), V(0.0), V(0.0)};
        for (int k = 0; k < m; ++k) {
            const Slot& at = slot[k];
            const V d[3] = {at.dx, at.dy, at.dz}, p[3] = {at.px, at.py, at.pz};
            for (int c = 0; c < 9; ++c) {
                const V w = centres_of[k].w[c];
                own[c] = own[c] - w;
                add_component<double>(at.row, c, simd::fnma(d[kNine[c][0]], p[kNine[c][1]], w));
            }
        }
        for (int c = 0; c < 9; ++c) {
            double lanes[W];
            simd::store(lanes, own[c]);
            for (int l = 0; l < n; ++l)
                virial_entries[virial_stride * std::int64_t(rows[l]) + c] += lanes[l];
        }
    }

    const Model& model;
    const bool
        by_index;  // whether a pair has one entry, chosen by the caller's numbers of its atoms
    const Neighbors& list;
    const Outputs& out;
    Slot* slot;
    std::int32_t* kept;
    char* own_memory;
    LaneCentres* centres_of = nullptr;  // of each slot, where virials are of nine components
    V sums[6] = {V(0.0), V(0.0), V(0.0), V(0.0), V(0.0), V(0.0)};
};

// Forces and energies of the homes from the entries of all blocks, four numbers at a time.
static inline void gather_lanes(const System& s, const ForceBlocks& plan, const double* entries,
                                int n_threads, double* forces, double* energies) {
    parallel_for(s.n_homes, n_threads, 0, [&](std::int64_t i) {
        double x = 0.0, y = 0.0, z = 0.0, e = 0.0;
        for (std::int64_t k = plan.start[i]; k < plan.start[i + 1]; ++k) {
            const double* from = entries + 4 * std::int64_t(plan.entry[k]);
            x += from[0];
            y += from[1];
            z += from[2];
            e += from[3];
        }
        const std::int64_t o = s.order ? s.order[i] : i;
        if (forces) {
            forces[3 * o] = x;
            forces[3 * o + 1] = y;
            forces[3 * o + 2] = z;
        }
        if (energies) energies[o] = e;
    });
}

// energies: of the homes, or null.
template <class Model>
void run_lane_blocks(const Model& model, const System& s, const Neighbors& list,
                     const ForceBlocks& plan, const ForceBlockWork& work, double* energies,
                     int n_threads, const Outputs& out) {
    parallel_for_thread(plan.n_blocks, n_threads, 1, [&](std::int64_t b, int thread) {
        LaneBlock<Model>(model, s, list, plan, work, out, b, thread).run();
    });
    if (out.forces || energies)
        gather_lanes(s, plan, work.entries, n_threads, out.forces, energies);
    if (out.virials)
        force_blocks_gather_compute(s, plan, work.virial_entries, work.virial_stride(),
                                    out.virial_width, n_threads, out.virials, out.virial_width);
}

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
