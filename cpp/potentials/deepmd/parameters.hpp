// Descriptors of Deep Potential models from their fields: arrays that are kept as long as the model,
// and their packing for the kernels.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/fields.hpp"
#include "nn/net.hpp"
#include "potentials/deepmd/deep.hpp"

namespace mdkern {

// The group `environment` of a descriptor, and what its DeepEnv points to.
class Environment {
public:
    explicit Environment(const Fields& f);
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

    // X_0 of an empty slot.
    double empty(int type) const { return -mean_[type] * inverse_std_[4 * type]; }
    // X_0 of a neighbor at distance r.
    double at(int type, double r) const {
        const double u =
            std::min(1.0, std::max(0.0, (r - env.r_cut_smth) / (env.r_cut - env.r_cut_smth)));
        const double w = 1 + u * u * u * (-10 + u * (15 - 6 * u));
        return (w / (r + env.protection) - mean_[type]) * inverse_std_[4 * type];
    }
    DeepEnv env;

private:
    std::vector<std::int32_t> sel_;
    std::vector<double> mean_, inverse_std_;
    std::vector<std::uint8_t> excluded_, removed_;
};

// Tables of nets of X_0, on what neighbors from r_table to the cutoff reach; net k is that of centres
// of type k % n_types, or of all. False where a net cannot be tabulated.
template <class T> bool tabulate(Tables<T>& tables, const NetList& nets, const Environment& e,
                                 double r_table, bool by_centre) {
    if (!(r_table > 0.0) || nets.empty()) return false;
    for (std::size_t k = 0; k < nets.size(); ++k) {
        const int first = by_centre ? int(k) % e.env.n_types : 0,
                  last = by_centre ? first + 1 : e.env.n_types;
        double lower = 1e300, upper = -1e300;
        for (int t = first; t < last; ++t) {
            lower = std::min(lower, e.empty(t));
            upper = std::max(upper, e.at(t, r_table));
        }
        if (!tables.add(*nets[k], lower - 1e-6, upper, sizeof(T) == 8 ? 1e-10 : 3e-8)) return false;
    }
    return true;
}

// Columns of the features of an outer product, and of n_tail more.
inline std::vector<int> outer_columns(const OuterRows& rows, int n_channels, int n_tail) {
    std::vector<int> out;
    for (int m = 0; m < n_channels; ++m)
        for (int k = 0; k < rows.axis; ++k)
            out.push_back(k < rows.columns(m) ? rows.begin(m) + k : rows.begin(k) + m);
    for (int c = 0; c < n_tail; ++c) out.push_back(rows.begin(n_channels) + c);
    return out;
}

// Parameters of the kernel, Params<T>, and what they point to.
struct PackedDescriptor {
    std::shared_ptr<const void> params;
    bool tabulated = false;  // the nets are tables
};
template <class Packed, class... Args> PackedDescriptor packed(const Args&... args) {
    auto out = std::make_shared<Packed>(args...);
    return {std::shared_ptr<const void>(out, &out->p), out->tabulated()};
}

// A descriptor as its fields say, which a model packs for the precision of its kernel.
class DescriptorParameters {
public:
    // Of the descriptor in `fields`, by its `kind`.
    static std::unique_ptr<const DescriptorParameters> make(const Fields& fields);
    virtual ~DescriptorParameters() = default;
    virtual int width() const { return nets[0]->n_out(); }
    // Column of the kernel's x for each of the `width` features; with `half` equal ones share theirs.
    virtual std::vector<int> columns(bool /*half*/) const {
        std::vector<int> out(std::size_t(width()), 0);
        std::iota(out.begin(), out.end(), 0);
        return out;
    }
    int n_types() const { return e.env.n_types; }
    double r_cut() const { return e.env.r_cut; }
    virtual DeepKind kind() const = 0;
    virtual PackedDescriptor pack(bool single, bool half) const = 0;

    Environment e;
    NetList nets;
    double r_table;  // shortest distance of the tables; 0: no tables

protected:
    explicit DescriptorParameters(const Fields& f);
    // std::invalid_argument unless there are `want` nets of n_in inputs and equal outputs.
    void check_nets(const Fields& f, std::size_t want, int n_in) const;
    int axis_of(const Fields& f) const { return f.integer("axis", 1, nets[0]->n_out()); }
};
using MakeDescriptor = std::unique_ptr<const DescriptorParameters> (*)(const Fields&);
std::unique_ptr<const DescriptorParameters> make_se_a(const Fields& fields);
std::unique_ptr<const DescriptorParameters> make_se_r(const Fields& fields);
std::unique_ptr<const DescriptorParameters> make_se_t(const Fields& fields);
std::unique_ptr<const DescriptorParameters> make_dpa1(const Fields& fields);

template <class T> void put_row(T* to, const std::vector<double>& row, double factor = 1.0) {
    for (std::size_t k = 0; k < row.size(); ++k) to[k] = T(factor * row[k]);
}
template <class T> T* take_zeros(Buffer<T>& memory, std::size_t n) {
    T* out = memory.reserve(n + 1);
    std::fill_n(out, n, T(0));
    return out;
}

}  // namespace mdkern
