// Averages over a space group, in time that grows with the number of atoms alone: what is averaged is the same at all
// atoms of an orbit but for a rotation, so that the sum is formed at one of them, its terms of one atom together.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/errors.hpp"
#include "math/matrix3.hpp"
#include "relax/constraints.hpp"

namespace mdkern {

namespace {

// ASE refuses larger changes of the cell in one step: the average is that of a small strain.
constexpr double kMostStrain = 0.25;

void times_column(const double* m, const double* v, double* out) {
    for (int k = 0; k < 3; ++k)
        out[k] = m[3 * k] * v[0] + m[3 * k + 1] * v[1] + m[3 * k + 2] * v[2];
}

void inverse_of(const double* cell, double* inverse) {
    if (!matrix3::inverse(cell, inverse))
        throw std::runtime_error("FixSymmetry: the cell spans no volume");
}

[[noreturn]] void throw_no_group() {
    throw std::invalid_argument(
        "FixSymmetry: the operations and where they carry the atoms are no group; expected those "
        "of "
        "a structure as symmetric as the constraint says (a constraint made of other atoms, "
        "or atoms nearer to each other than its symprec?)");
}

class FixSymmetry final : public Constraint {
public:
    FixSymmetry(const std::vector<double>& rotations, const std::vector<std::int64_t>& map,
                std::int64_t n, bool positions, bool cell);
    void check(std::int64_t n) const override {
        if (n != n_)
            throw std::invalid_argument("FixSymmetry: made for " + std::to_string(n_) +
                                        " atoms; expected " + std::to_string(n));
    }
    bool adjusts_cell() const override { return cell_; }
    void adjust_positions(std::int64_t n, const double* cell, const double* old,
                          double* x) const override {
        if (!positions_) return;
        for (std::int64_t k = 0; k < 3 * n; ++k) x[k] -= old[k];
        average(cell, x);
        for (std::int64_t k = 0; k < 3 * n; ++k) x[k] += old[k];
    }
    void adjust_forces(std::int64_t, const double* cell, double* f) const override {
        average(cell, f);
    }
    void adjust_cell(const double* old, double* cell) const override;
    void adjust_virial(const double* cell, double* virial) const override;

private:
    void average(const double* cell, double* rows) const;
    void average_tensor(const double* cell, const double* inverse, double* tensor) const;

    std::int64_t n_;
    bool positions_, cell_;
    // Orbit o has places first_[o] to first_[o + 1]: atoms, the rotation that carries the first one there, and the
    // matrix by which what an atom has enters the average at the first one.
    std::vector<std::int64_t> first_, atom_;
    std::vector<double> carry_, term_;
    double tensor_[81] = {};  // of nine components of a tensor, its average's
};

FixSymmetry::FixSymmetry(const std::vector<double>& rotations, const std::vector<std::int64_t>& map,
                         std::int64_t n, bool positions, bool cell)
    : n_(n), positions_(positions), cell_(cell) {
    const std::int64_t n_ops = std::int64_t(rotations.size()) / 9;
    if (n_ops < 1 || std::int64_t(rotations.size()) != 9 * n_ops ||
        std::int64_t(map.size()) != n_ops * n)
        throw std::invalid_argument("FixSymmetry: " + std::to_string(rotations.size()) +
                                    " numbers in rotations and " + std::to_string(map.size()) +
                                    " in the map; expected 9 and " + std::to_string(n) +
                                    " for each of one or more operations");
    for (const double r : rotations)
        if (r != std::floor(r) || std::fabs(r) > 1e3)
            throw std::invalid_argument("FixSymmetry: rotation with " + number(r) +
                                        "; expected integers, as of fractional coordinates");
    std::vector<std::int64_t> seen(std::size_t(n), -1);
    for (std::int64_t op = 0; op < n_ops; ++op)
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t to = map[std::size_t(op * n + i)];
            if (to < 0 || to >= n || seen[std::size_t(to)] == op)
                throw std::invalid_argument("FixSymmetry: operation " + std::to_string(op) +
                                            " carries atom " + std::to_string(i) + " to " +
                                            std::to_string(to) +
                                            "; expected a permutation of the atoms");
            seen[std::size_t(to)] = op;
        }
    for (std::int64_t op = 0; op < n_ops; ++op)
        for (int k = 0; k < 9; ++k)
            for (int l = 0; l < 9; ++l)
                tensor_[9 * k + l] += rotations[std::size_t(9 * op + 3 * (l / 3) + k / 3)] *
                                      rotations[std::size_t(9 * op + 3 * (l % 3) + k % 3)] /
                                      double(n_ops);

    // The sums over operations are of integers, so that they can be compared.
    std::vector<std::int64_t> place(std::size_t(n), -1);
    std::vector<double> sum(std::size_t(9 * n));
    atom_.reserve(std::size_t(n));
    for (std::int64_t a = 0; a < n; ++a) {
        if (place[std::size_t(a)] >= 0) continue;
        const std::int64_t begin = std::int64_t(atom_.size());
        first_.push_back(begin);
        place[std::size_t(a)] = begin;
        atom_.push_back(a);
        for (int k = 0; k < 9; ++k) carry_.push_back(k % 4 == 0 ? 1.0 : 0.0);
        for (std::int64_t op = 0; op < n_ops; ++op) {
            const std::int64_t to = map[std::size_t(op * n + a)];
            if (place[std::size_t(to)] >= 0) continue;
            place[std::size_t(to)] = std::int64_t(atom_.size());
            atom_.push_back(to);
            carry_.insert(carry_.end(), rotations.begin() + 9 * op, rotations.begin() + 9 * op + 9);
        }
        const std::int64_t end = std::int64_t(atom_.size());
        term_.resize(std::size_t(9 * end), 0.0);
        // sum[p of i, p of j]: of the operations that carry i to j, all rotations. What enters at j must be what
        // enters at the first, carried there; and every atom of the orbit is carried to atoms of the orbit alone.
        for (std::int64_t p = begin; p < end; ++p) {
            std::fill(sum.begin() + 9 * begin, sum.begin() + 9 * end, 0.0);
            for (std::int64_t op = 0; op < n_ops; ++op) {
                const std::int64_t to =
                    place[std::size_t(map[std::size_t(op * n + atom_[std::size_t(p)])])];
                if (to < begin) throw_no_group();
                for (int k = 0; k < 9; ++k)
                    sum[std::size_t(9 * to + k)] += rotations[std::size_t(9 * op + k)];
            }
            for (std::int64_t j = begin; j < end; ++j) {
                double carried[9];
                matrix3::multiply(&carry_[std::size_t(9 * j)], &sum[std::size_t(9 * begin)],
                                  carried);
                if (!std::equal(carried, carried + 9, &sum[std::size_t(9 * j)])) throw_no_group();
            }
            for (int k = 0; k < 9; ++k)
                term_[std::size_t(9 * p + k)] = sum[std::size_t(9 * begin + k)] / double(n_ops);
        }
    }
    first_.push_back(n);
}

void FixSymmetry::average(const double* cell, double* rows) const {
    double inverse[9];
    inverse_of(cell, inverse);
    for (std::size_t o = 0; o + 1 < first_.size(); ++o) {
        double mean[3] = {}, v[3], w[3];
        for (std::int64_t p = first_[o]; p < first_[o + 1]; ++p) {
            matrix3::row_times(rows + 3 * atom_[std::size_t(p)], inverse, v);
            times_column(&term_[std::size_t(9 * p)], v, w);
            for (int k = 0; k < 3; ++k) mean[k] += w[k];
        }
        for (std::int64_t p = first_[o]; p < first_[o + 1]; ++p) {
            times_column(&carry_[std::size_t(9 * p)], mean, v);
            matrix3::row_times(v, cell, rows + 3 * atom_[std::size_t(p)]);
        }
    }
}

void FixSymmetry::average_tensor(const double* cell, const double* inverse, double* tensor) const {
    double work[9], transposed[9], scaled[9], mean[9];
    matrix3::multiply(cell, tensor, work);
    matrix3::transpose(cell, transposed);
    matrix3::multiply(work, transposed, scaled);
    for (int k = 0; k < 9; ++k) {
        mean[k] = 0.0;
        for (int l = 0; l < 9; ++l) mean[k] += tensor_[9 * k + l] * scaled[l];
    }
    matrix3::multiply(inverse, mean, work);
    matrix3::transpose(inverse, transposed);
    matrix3::multiply(work, transposed, tensor);
}

void FixSymmetry::adjust_cell(const double* old, double* cell) const {
    if (!cell_) return;
    double inverse[9], step[9], change[9];
    inverse_of(old, inverse);
    // cell = old * (1 + change)^T
    matrix3::multiply(inverse, cell, step);
    matrix3::transpose(step, change);
    double most = 0.0;
    for (int k = 0; k < 9; ++k) {
        change[k] -= k % 4 == 0 ? 1.0 : 0.0;
        most = std::max(most, std::fabs(change[k]));
    }
    if (!(most <= kMostStrain))
        throw std::runtime_error(
            "FixSymmetry: the cell is strained by " + number(most) + " in one step, and at most " +
            number(kMostStrain) +
            " can be made symmetric; a smaller maxstep or a better start helps");
    average_tensor(old, inverse, change);
    for (int k = 0; k < 9; k += 4) change[k] += 1.0;
    matrix3::transpose(change, step);
    matrix3::multiply(old, step, cell);
}

void FixSymmetry::adjust_virial(const double* cell, double* virial) const {
    double inverse[9], tensor[9];
    inverse_of(cell, inverse);
    matrix3::of_voigt(virial, tensor);
    average_tensor(cell, inverse, tensor);
    for (int k = 0; k < 3; ++k) virial[k] = tensor[4 * k];
    virial[3] = 0.5 * (tensor[5] + tensor[7]);
    virial[4] = 0.5 * (tensor[2] + tensor[6]);
    virial[5] = 0.5 * (tensor[1] + tensor[3]);
}

}  // namespace

std::shared_ptr<const Constraint> fix_symmetry(const std::vector<double>& rotations,
                                               const std::vector<std::int64_t>& map, std::int64_t n,
                                               bool positions, bool cell) {
    return std::make_shared<FixSymmetry>(rotations, map, n, positions, cell);
}

}  // namespace mdkern
