// Where the gradients of one centre by its neighbors go: on the entries of the neighbors, and into the
// sums of the centre. Include from kernels only.
#pragma once

#include "forces/force_block.hpp"

namespace mdkern {
namespace MDKERN_ISA {
namespace {

template <class T> class GradientSink {
    using V = simd::Vec<T>;

public:
    // dipole: the virial is that of a model of dipoles, see NepParams.
    GradientSink(ForceBlock& own_block, const Neighbors& its_list, CentreTask of,
                 const FeatureJacobian& all_features, bool is_dipole = false)
        : block(own_block), list(its_list), jacobian(all_features), task(of), dipole(is_dipole) {}

    // A vector of neighbors of one centre: rows of the System, r_j - r_i and p = dE/d(r_j - r_i).
    // Lanes without a neighbor hold the centre's row and zero gradients.
    [[gnu::always_inline]] void add(const std::int32_t* index, V dx, V dy, V dz, V px, V py, V pz) {
        std::int32_t slot[V::width];
#pragma GCC unroll 16
        for (int l = 0; l < V::width; ++l) slot[l] = block.slots[index[l]];
        if (task == CentreTask::born) return add_born(slot, dx, dy, dz, px, py, pz);
        simd::subtract_rows(block.entries, slot, px, py, pz);
        sums.add_force(px, py, pz);
        if (dipole) return sums.add_dipole(dx, dy, dz, px, py, pz);
        sums.add_virial(dx, dy, dz, px, py, pz);
        if (block.virial_entries) block.add_virials(slot, dx, dy, dz, px, py, pz);
    }
    // After the last neighbor of centre i.
    void finish_centre(std::int64_t i) {
        if (task == CentreTask::jacobian)
            block.take_jacobian(jacobian, list, i, feature);
        else if (task == CentreTask::born)
            block.finish_born(i, sums);
        else
            block.finish_centre(i, sums);
        sums = {};
    }

    std::int64_t feature = 0;  // of the Jacobian, whose gradients these are

private:
    // Half of r (x) p: from the neighbor, and to the nine sums of the centre.
    [[gnu::noinline]] void add_born(const std::int32_t* slot, V dx, V dy, V dz, V px, V py, V pz) {
        const V d[3] = {dx, dy, dz}, p[3] = {px, py, pz};
        V* const to[9] = {&sums.fx,  &sums.fy,  &sums.fz,  &sums.wxx, &sums.wyy,
                          &sums.wzz, &sums.wyz, &sums.wxz, &sums.wxy};
        for (int c = 0; c < 9; ++c) {
            const V w = V(T(0.5)) * d[c / 3] * p[c % 3];
            *to[c] = *to[c] + w;
            T lanes[V::width];
            simd::store(lanes, w);
            for (int l = 0; l < V::width; ++l) {
                const std::int64_t k = slot[l];
                double& e = c < 3 ? block.entries[4 * k + c] : block.virial_entries[8 * k + c - 3];
                e -= double(lanes[l]);
            }
        }
    }

    ForceBlock& block;
    const Neighbors& list;
    const FeatureJacobian& jacobian;
    const CentreTask task;
    const bool dipole;
    GradientSums<T> sums = {};
};

}  // namespace
}  // namespace MDKERN_ISA
}  // namespace mdkern
