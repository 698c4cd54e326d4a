// Blocks of rows for MACE: who touches which atoms. Made when the list is.
#pragma once

#include "core/buffers.hpp"
#include "potentials/mace/mace.hpp"

namespace mdkern {

class MacePlanMaker {
public:
    // Throws MemoryLimit.
    void build(const System& s, const Neighbors& list, int n_species, int n_threads);
    const MacePlan& plan() const { return plan_; }
    const std::int32_t* place() const { return place_.data(); }  // (n_homes) place of each home

private:
    MacePlan plan_;
    Buffer<std::int64_t> first_entry_, start_;
    Buffer<std::int32_t> entry_, row_, own_slot_, place_, neighbor_place_, slot_, index_, mark_,
        home_;
};

}  // namespace mdkern
