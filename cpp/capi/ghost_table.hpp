// Rows and neighbor lists of a parallel code as a Table.
#pragma once

#include <limits>
#include <stdexcept>
#include <vector>

#include "capi/mdkern.h"
#include "core/buffers.hpp"
#include "core/table.hpp"
#include "model/potential.hpp"

namespace mdkern {

// A callback returned something else than 0.
struct ExchangeError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class GhostTable final : public Table {
public:
    // Takes over positions, and the list where it changed. Throws std::invalid_argument: numbers that
    // are not finite, types and rows that are not there, a model that needs an exchange without one, or a
    // full list and has a half one.
    void update(const mdkern_atoms& atoms, const mdkern_list& list, const mdkern_exchange* exchange,
                const Traits& traits);

    System system() const override;
    std::int64_t n_pairs() const override { return n_pairs_; }
    Neighbors neighbors() const override;
    HalfList half(int team) override;
    std::size_t half_room() const override { return half_index_.capacity(); }
    std::int64_t build_number() const override { return build_number_; }
    double reach(double) const override { return std::numeric_limits<double>::infinity(); }
    Box box() const override { return box_; }
    bool whole() const override { return false; }
    void forward(double* values, int width, int stride, int threads) const override;
    void reverse(double* values, int width, int stride, int threads) const override;
    void sum(double* values, std::int64_t n) const override;

private:
    void take_box(const mdkern_atoms& atoms);
    void take_rows(const mdkern_atoms& atoms, int n_species, bool changed);
    void take_list(const mdkern_list& list);
    template <class Rows> void take_half(std::int64_t n_listed, const Rows& neighbors);
    void plan_tiles();
    template <class Body>
    void for_reached(std::int64_t begin, std::int64_t end, const Body& body) const;

    std::int64_t n_own_ = 0, n_all_ = 0, n_pairs_ = 0, build_number_ = 0;
    bool listed_ = false;  // the list is that of n_own_ and n_all_ rows
    mdkern_exchange exchange_ = {};
    double cell_[9] = {};
    bool pbc_[3] = {};
    Box box_;
    Buffer<double> rows_;
    Buffer<std::int64_t> first_;
    Buffer<std::int32_t> home_, count_, index_;
    // The half list: with a ghost the pair is in it, as its other half is another process's.
    bool half_given_ = false, half_made_ = false;
    std::int64_t n_half_ = 0;
    Buffer<std::int64_t> half_first_;
    Buffer<std::int32_t> half_count_, half_index_;
    std::vector<std::int32_t> tile_, range_, before_first_, before_, done_;
    double width_ = 1.0;
};

}  // namespace mdkern
