// Pair tables as a potential, and what of it blending shares.
#pragma once

#include <vector>

#include "core/buffers.hpp"
#include "core/fields.hpp"
#include "core/table.hpp"
#include "potentials/deepmd/pair_tab.hpp"

namespace mdkern {

// Neighbors that a list of `sel` places within r_cut leaves out, and the memory for that.
class Nearest {
public:
    // Looks at the table's present list. Communicates once where rows are other processes' atoms.
    void find(const Table& table, double r_cut, std::int64_t sel, int threads);
    // As in PairTab; null where none is left out.
    const double* limit() const { return any_ ? limit_.data() : nullptr; }
    const double* numbered() const { return any_ ? numbered_.data() : nullptr; }
    // Whether own atoms leave out some: in a parallel code limits are there without that too.
    bool leaves_out() const { return leaves_out_; }

private:
    bool any_ = false, leaves_out_ = false;
    std::vector<double> r2_;
    Buffer<double> limit_, numbered_;
};

// The fields of a pair table: parameters, and the arrays that they point to.
class PairTableModel {
public:
    explicit PairTableModel(const Fields& f);
    // The parameters, without the neighbors for which there is no place; `overflow` is set then.
    PairTab limited(const Nearest& nearest, std::int32_t& overflow) const;
    int n_types() const { return tab_.n_types; }
    double r_cut() const { return r_cut_; }
    std::int64_t sel() const { return sel_; }

private:
    Fields fields_;
    double r_cut_;
    std::int64_t sel_;
    PairTab tab_;
};

}  // namespace mdkern
