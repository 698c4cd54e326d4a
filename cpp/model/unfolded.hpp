// Virials of nine components of potentials whose energies depend on atoms beyond the neighbors of an atom,
// by messages that rows give each other (Table::reverse).
//
// Of such an energy U_j nothing is known but sum_j w_j dU_j/dr_i for weights w of the atoms. With the
// coordinates of the atoms as weights this is the first part of
//   W_i = sum_j r_j (x) dU_j/dr_i - r_i (x) sum_j dU_j/dr_i
// for each direction of r. Where an image takes part, the weights are those of the frame in which its atom
// is at home: less its shift, which every way from row to row has to say. So rows of images collect their
// own sums, messages and forces, and what they hand to their atoms is corrected on the way.
#pragma once

#include <memory>
#include <vector>

#include "core/buffers.hpp"
#include "core/table.hpp"
#include "model/potential.hpp"

namespace mdkern {

// The shifts on the way back, and the messages of the pass without weights by which they are multiplied.
struct UnfoldedPass {
    int direction = -1;  // -1: without weights
    std::size_t call = 0;
    std::vector<Buffer<double>> messages;
};

// A table of whole periodic atoms as one whose images are atoms of another process.
class UnfoldedTable final : public Table {
public:
    // `whole` and `pass` stay for the evaluations.
    void look(Table& whole, UnfoldedPass& pass);

    System system() const override;
    std::int64_t n_pairs() const override { return whole_->n_pairs(); }
    Neighbors neighbors() const override { return whole_->neighbors(); }
    HalfList half(int team) override { return whole_->half(team); }
    std::size_t half_room() const override { return whole_->half_room(); }
    std::int64_t build_number() const override { return whole_->build_number(); }
    Box box() const override { return whole_->box(); }
    bool whole() const override { return false; }
    double reach(double cutoff) const override { return whole_->reach(cutoff); }
    void forward(double* values, int width, int stride, int threads) const override {
        whole_->forward(values, width, stride, threads);
    }
    void reverse(double* values, int width, int stride, int threads) const override;
    void sum(double* values, std::int64_t n) const override { whole_->sum(values, n); }

private:
    Table* whole_ = nullptr;
    UnfoldedPass* pass_ = nullptr;
    std::int64_t of_build_ = -1;
    Buffer<std::int32_t> home_;
};

struct UnfoldedSpace {
    UnfoldedTable table;
    UnfoldedPass pass;
    std::unique_ptr<Workspace> space;  // of the potential
    Buffer<double> weights, forces, energies, totals;
};

// Writes out.virials, nine components of each atom, of a potential that reads Outputs::centre_weights, with
// four evaluations.
void unfolded_virials(const Potential& potential, Table& table, UnfoldedSpace& space,
                      const Outputs& out, int threads);

}  // namespace mdkern
