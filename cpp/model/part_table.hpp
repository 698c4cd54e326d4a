// What a part of a sum sees of the whole's table: its own species numbers, and of the lists the pairs
// that can come within its own cutoff.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/buffers.hpp"
#include "core/table.hpp"

namespace mdkern {

class PartTable final : public Table {
public:
    // Looks at `whole`, which stays, for one evaluation of a part whose lists have to reach `cutoff` (0: it reads none); `widest` is that
    // of the whole. half_list: as the part's Traits have it. species: of the part by species of the
    // whole, null where they are the same.
    void look(Table& whole, double cutoff, double widest, bool half_list,
              const std::int32_t* species, int threads);

    System system() const override;
    std::int64_t n_pairs() const override { return whole_->n_pairs(); }
    Neighbors neighbors() const override;
    HalfList half(int team) override;
    std::size_t half_room() const override { return whole_->half_room(); }
    std::int64_t build_number() const override { return whole_->build_number(); }
    Box box() const override { return whole_->box(); }
    bool whole() const override { return whole_->whole(); }
    double reach(double cutoff) const override { return whole_->reach(cutoff); }
    void forward(double* values, int width, int stride, int threads) const override {
        whole_->forward(values, width, stride, threads);
    }
    void reverse(double* values, int width, int stride, int threads) const override {
        whole_->reverse(values, width, stride, threads);
    }
    void sum(double* values, std::int64_t n) const override { whole_->sum(values, n); }

private:
    // The pairs of a list within `within_`, each row where `from` has it.
    struct Kept {
        Buffer<std::int32_t> count, index;
        std::int64_t n_pairs = 0, build = -1;

        void keep(const System& s, const Neighbors& from, double within, std::size_t room,
                  int threads);
        void replace(Neighbors& list) const {
            list = {n_pairs, list.first, count.data(), index.data()};
        }
    };
    bool shorter() const { return std::isfinite(within_); }

    Table* whole_ = nullptr;
    const std::int32_t* species_ = nullptr;
    int threads_ = 1;
    std::int64_t build_ = -1;
    double cutoff_ = 0.0;
    double within_ = 0.0;  // of the present build; infinity: its lists are taken as they are
    Buffer<double> rows_;
    Kept full_, half_;
};

}  // namespace mdkern
