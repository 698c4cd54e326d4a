#include "potentials/deepmd/parameters.hpp"

#include <stdexcept>
#include <utility>

namespace mdkern {

Environment::Environment(const Fields& f) {
    const std::int64_t n = f.length("sel", 0, 1, kMaxSpecies);
    const std::int32_t* sel = f.array<std::int32_t>("sel", {n});
    sel_.assign(sel, sel + n);
    mean_ = f.values("mean", {n});
    for (double x : f.values("std", {n, 4})) inverse_std_.push_back(1.0 / x);
    const auto pairs = [&](const char* name) {
        std::vector<std::uint8_t> out;
        if (!f.has(name)) return out;
        const std::uint8_t* a = f.array<std::uint8_t>(name, {n, n});
        out.assign(a, a + n * n);
        return out;
    };
    excluded_ = pairs("excluded");
    removed_ = pairs("removed");
    env.n_types = int(n);
    std::int64_t n_slots = 0;
    for (std::int32_t s : sel_) {
        if (s < 0)
            throw std::invalid_argument(f.prefix() + "sel: " + std::to_string(s) +
                                        "; expected no negative number");
        n_slots += s;
    }
    if (n_slots > 1 << 30)
        throw std::invalid_argument(f.prefix() + "sel: " + std::to_string(n_slots) +
                                    " places in all; expected at most 2^30");
    env.n_slots = int(n_slots);
    env.n_listed = f.integer("n_listed", 0, 1 << 30);
    env.r_cut = f.positive("r_cut");
    env.r_cut_smth = f.number("r_cut_smth");
    env.protection = f.number("protection");
    env.sel = sel_.data();
    env.mean = mean_.data();
    env.inverse_std = inverse_std_.data();
    env.excluded = excluded_.empty() ? nullptr : excluded_.data();
    env.removed = removed_.empty() ? nullptr : removed_.data();
}

DescriptorParameters::DescriptorParameters(const Fields& f)
    : e(f.group("environment")), nets(make_nets(f, "nets")), r_table(f.number("r_table")) {
    if (nets.empty()) throw std::invalid_argument(f.prefix() + "nets: none; expected at least one");
}

void DescriptorParameters::check_nets(const Fields& f, std::size_t want, int n_in) const {
    if (nets.size() != want)
        throw std::invalid_argument(f.prefix() + "nets: " + std::to_string(nets.size()) +
                                    "; expected " + std::to_string(want));
    for (const auto& net : nets)
        if (net->n_in() != n_in || net->n_out() != nets[0]->n_out())
            throw std::invalid_argument(f.prefix() + "nets: expected " + std::to_string(n_in) +
                                        " inputs and equal outputs");
}

std::unique_ptr<const DescriptorParameters> DescriptorParameters::make(const Fields& f) {
    constexpr std::pair<const char*, MakeDescriptor> kKinds[] = {
        {"se_a", make_se_a}, {"se_r", make_se_r}, {"se_t", make_se_t}, {"dpa1", make_dpa1}};
    const std::string& kind = f.text("kind");
    for (const auto& [name, make] : kKinds)
        if (kind == name) return make(f);
    throw std::invalid_argument(f.prefix() + "kind: '" + kind +
                                "'; expected se_a, se_r, se_t or dpa1");
}

}  // namespace mdkern
