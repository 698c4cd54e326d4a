// Results of a part of a model, and how they are added to those of the whole.
#pragma once

#include <algorithm>

#include "core/buffers.hpp"
#include "model/potential.hpp"

namespace mdkern {

class Part {
public:
    // Memory for what `like` asks for, and for totals; energies too where `energies`. To be called before
    // each evaluation, as it clears the rows that pairs leave as they are.
    Outputs view(const System& s, const Outputs& like, bool energies) {
        Outputs out;
        const auto rows = [&](Buffer<double>& memory, std::int64_t width) {
            double* x = memory.reserve(std::size_t(width * s.n_homes));
            std::fill(x + width * s.n_real, x + width * s.n_homes, 0.0);
            return x;
        };
        if (like.energies || energies) out.energies = energies_.reserve(std::size_t(s.n_real));
        if (like.forces) out.forces = rows(forces_, 3);
        if (like.virials) out.virials = rows(virials_, like.virial_width);
        out.virial_width = like.virial_width;
        out.block_totals = totals_.reserve(std::size_t(7 * n_blocks(s.n_real)));
        return out;
    }
    // The energy and its derivatives where `out` has them.
    static Outputs same(const Outputs& out) {
        Outputs own;
        own.energies = out.energies;
        own.forces = out.forces;
        own.virials = out.virials;
        own.virial_width = out.virial_width;
        own.block_totals = out.block_totals;
        return own;
    }
    // to += weight from for n values; nothing where `to` is null.
    static void add(double* to, double weight, const double* from, std::int64_t n) {
        for (std::int64_t k = 0; to && k < n; ++k) to[k] += weight * from[k];
    }
    static void add(const System& s, const Outputs& to, double weight, const Outputs& part) {
        add(to.energies, weight, part.energies, s.n_real);
        add(to.forces, weight, part.forces, 3 * s.n_homes);
        add(to.virials, weight, part.virials, to.virial_width * s.n_homes);
        add(to.block_totals, weight, part.block_totals, 7 * n_blocks(s.n_real));
    }
    static void clear(const System& s, const Outputs& out) {
        const auto zero = [](double* x, std::int64_t n) {
            if (x) std::fill_n(x, n, 0.0);
        };
        zero(out.energies, s.n_real);
        zero(out.forces, 3 * s.n_homes);
        zero(out.virials, out.virial_width * s.n_homes);
        zero(out.block_totals, 7 * n_blocks(s.n_real));
    }

private:
    Buffer<double> energies_, forces_, virials_, totals_;
};

}  // namespace mdkern
