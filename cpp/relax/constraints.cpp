#include "relax/constraints.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace mdkern {

namespace {

void check_index(const std::vector<std::int64_t>& index, std::int64_t n) {
    for (const std::int64_t i : index)
        if (i < 0 || i >= n)
            throw std::invalid_argument("constraint: atom " + std::to_string(i) +
                                        "; expected an index of " + std::to_string(n) + " atoms");
}

class FixAtoms final : public Constraint {
public:
    explicit FixAtoms(std::vector<std::int64_t> index) : index_(std::move(index)) {}
    void check(std::int64_t n) const override { check_index(index_, n); }
    void adjust_positions(std::int64_t, const double*, const double* old,
                          double* x) const override {
        for (const std::int64_t i : index_)
            for (int k = 0; k < 3; ++k) x[3 * i + k] = old[3 * i + k];
    }
    void adjust_forces(std::int64_t, const double*, double* f) const override {
        for (const std::int64_t i : index_)
            for (int k = 0; k < 3; ++k) f[3 * i + k] = 0.0;
    }

private:
    std::vector<std::int64_t> index_;
};

}  // namespace

std::shared_ptr<const Constraint> fix_atoms(std::vector<std::int64_t> index) {
    return std::make_shared<FixAtoms>(std::move(index));
}

}  // namespace mdkern
