// What the bindings of Deep Potential models share.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "bindings/bindings.hpp"
#include "nn/net.hpp"
#include "potentials/deepmd/deep.hpp"

namespace mdkern {

using NetList = std::vector<std::shared_ptr<DenseNet>>;

inline std::vector<double> values_of(const DoubleArray& a) {
    return {a.data(), a.data() + a.size()};
}

// Arrays of types, kept as long as a descriptor.
struct EnvArrays {
    std::vector<std::int32_t> sel;
    std::vector<double> mean, inverse_std;
    std::vector<std::uint8_t> excluded, removed;
    DeepEnv env;

    EnvArrays(double r_cut, double r_cut_smth, double protection, const IntArray& sel_,
              const DoubleArray& mean_, const DoubleArray& std_,
              const std::optional<BoolArray>& excluded_, const std::optional<BoolArray>& removed_,
              int n_listed) {
        const std::int64_t n = sel_.size();
        if (n < 1 || n > kMaxSpecies)
            throw std::invalid_argument("sel: " + std::to_string(n) + " types; expected 1 to " +
                                        std::to_string(kMaxSpecies));
        check_shape(sel_, "sel", {n});
        check_shape(mean_, "mean", {n});
        check_shape(std_, "std", {n, 4});
        sel.assign(sel_.data(), sel_.data() + n);
        mean = values_of(mean_);
        for (double x : values_of(std_)) inverse_std.push_back(1.0 / x);
        const auto pairs = [&](const std::optional<BoolArray>& a, const char* name) {
            std::vector<std::uint8_t> out;
            if (!a) return out;
            check_shape(*a, name, {n, n});
            for (std::int64_t k = 0; k < n * n; ++k) out.push_back(a->data()[k]);
            return out;
        };
        excluded = pairs(excluded_, "excluded");
        removed = pairs(removed_, "removed");
        env.n_types = int(n);
        for (std::int32_t s : sel) env.n_slots += s;
        env.n_listed = n_listed;
        env.r_cut = r_cut;
        env.r_cut_smth = r_cut_smth;
        env.protection = protection;
        point();
    }
    EnvArrays(const EnvArrays& o)
        : sel(o.sel),
          mean(o.mean),
          inverse_std(o.inverse_std),
          excluded(o.excluded),
          removed(o.removed),
          env(o.env) {
        point();
    }
    EnvArrays& operator=(const EnvArrays&) = delete;

    // X_0 of an empty slot.
    double empty(int type) const { return -mean[type] * inverse_std[4 * type]; }
    // X_0 of a neighbor at distance r.
    double at(int type, double r) const {
        const double u =
            std::min(1.0, std::max(0.0, (r - env.r_cut_smth) / (env.r_cut - env.r_cut_smth)));
        const double w = 1 + u * u * u * (-10 + u * (15 - 6 * u));
        return (w / (r + env.protection) - mean[type]) * inverse_std[4 * type];
    }

private:
    void point() {
        env.sel = sel.data();
        env.mean = mean.data();
        env.inverse_std = inverse_std.data();
        env.excluded = excluded.empty() ? nullptr : excluded.data();
        env.removed = removed.empty() ? nullptr : removed.data();
    }
};

// Tables of nets of X_0, on what neighbors from r_table to the cutoff reach; net k is that of centres
// of type k % n_types, or of all. False where a net cannot be tabulated.
template <class T> bool tabulate(Tables<T>& tables, const NetList& nets, const EnvArrays& e,
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

// A descriptor as Python makes it: packed for either precision when a model takes it.
struct PyDeepDescriptor {
    virtual ~PyDeepDescriptor() = default;
    virtual int width() const = 0;
    // Column of the kernel's x for each of the `width` features; with `half` equal ones share theirs.
    virtual std::vector<int> columns(bool /*half*/) const {
        std::vector<int> out(width(), 0);
        std::iota(out.begin(), out.end(), 0);
        return out;
    }
    virtual int n_types() const = 0;
    virtual double r_cut() const = 0;
    virtual DeepKind kind() const = 0;
    virtual PackedDescriptor pack(bool single, bool half) const = 0;
};

}  // namespace mdkern
