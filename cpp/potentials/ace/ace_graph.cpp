#include "potentials/ace/ace_graph.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace mdkern {

AceGraphMaker::AceGraphMaker(int n_a, std::vector<bool> real) : n_a_(n_a), real_(std::move(real)) {
    real_.push_back(true);  // the number one
}

AceGraphMaker::Pair AceGraphMaker::pair_of(AceFactor x, AceFactor y) const {
    if (x > y) std::swap(x, y);
    // The first that is no real number is not conjugated.
    const bool flip = is_real(x) ? (y & 1) != 0 : (x & 1) != 0;
    if (flip) {
        x = conjugate(x);
        y = conjugate(y);
        if (x > y) std::swap(x, y);  // x x*: the same pair either way
    }
    return {std::uint64_t(std::uint32_t(x)) << 32 | std::uint32_t(y), flip};
}

void AceGraphMaker::count(const std::vector<AceFactor>& f) {
    if (f.size() < 3) return;
    for (std::size_t a = 0; a < f.size(); ++a)
        for (std::size_t b = a + 1; b < f.size(); ++b) ++count_[pair_of(f[a], f[b]).key];
}

AceFactor AceGraphMaker::node_of(const Pair& pair) {
    const auto [at, is_new] = node_.try_emplace(pair.key, std::int32_t(n_values()));
    const AceFactor x = AceFactor(pair.key >> 32), y = AceFactor(pair.key & 0xffffffffu);
    if (is_new) {
        nodes_.push_back({x >> 1, y >> 1, y & 1});
        // The product of a number with its conjugate is real, but not worth a kind of its own.
        real_.push_back(is_real(x) && is_real(y));
    }
    const AceFactor node = at->second << 1;
    return pair.flipped ? conjugate(node) : node;
}

AceGraphMaker::Split AceGraphMaker::split(std::vector<AceFactor> f) {
    if (f.size() == 1) f.push_back(AceFactor(n_a_) << 1);
    while (f.size() > 2) {
        std::size_t best[2] = {0, 1};
        std::pair<bool, std::int32_t> most{false, -1};
        for (std::size_t a = 0; a < f.size(); ++a)
            for (std::size_t b = a + 1; b < f.size(); ++b) {
                const Pair pair = pair_of(f[a], f[b]);
                const auto counted = count_.find(pair.key);
                const std::pair<bool, std::int32_t> worth{
                    // Of three factors the pair that most products have; of more, one that there is.
                    f.size() > 3 && node_.count(pair.key) != 0,
                    counted == count_.end() ? 0 : counted->second};
                if (worth > most) {
                    most = worth;
                    best[0] = a;
                    best[1] = b;
                }
            }
        const AceFactor node = node_of(pair_of(f[best[0]], f[best[1]]));
        f.erase(f.begin() + std::ptrdiff_t(best[1]));
        f[best[0]] = node;
    }
    // Nodes are rows, as each has many entries; of two values of a kind the lower one.
    AceFactor x = f[0], y = f[1];
    const bool x_node = (x >> 1) > n_a_, y_node = (y >> 1) > n_a_;
    if (x_node != y_node ? y_node : (y >> 1) < (x >> 1)) std::swap(x, y);
    if (x & 1) {
        x = conjugate(x);
        y = conjugate(y);
    }
    return {x >> 1, y >> 1, y & 1};
}

void AceProgramMaker::add(const AceGraphMaker::Split& t, const double* c, int n_densities) {
    // What no density has is left out.
    for (int p = 0; p < n_densities; ++p)
        if (c[p] != 0.0) return terms_.push_back({t.a, t.b, t.conjugate, c});
}

void AceProgramMaker::finish(const std::vector<AceNode>& nodes, int n, AceProgramMemory& to) const {
    to.nodes = nodes;
    sort(terms_, n, to.forward, to.forward_entry, to.forward_c);
    std::vector<Term> turned = terms_;
    for (Term& t : turned) std::swap(t.row, t.entry);
    sort(std::move(turned), n, to.backward, to.backward_entry, to.backward_c);
}

void AceProgramMaker::sort(std::vector<Term> terms, int n, std::vector<AceRow>& rows,
                           std::vector<std::int32_t>& entries, std::vector<double>& coefficients) {
    const auto key = [](const Term& t) { return std::tie(t.row, t.conjugate, t.entry); };
    std::stable_sort(terms.begin(), terms.end(),
                     [&](const Term& a, const Term& b) { return key(a) < key(b); });
    for (std::size_t k = 0; k < terms.size(); ++k) {
        const Term& t = terms[k];
        const bool again = k > 0 && key(terms[k - 1]) == key(t);
        if (!again) {
            if (rows.empty() || rows.back().value != t.row) {
                const auto at = std::int32_t(entries.size());
                rows.push_back({t.row, at, at, at});
            }
            entries.push_back(t.entry);
            coefficients.insert(coefficients.end(), t.c, t.c + n);
            rows.back().end = std::int32_t(entries.size());
            if (t.conjugate == 0) rows.back().middle = rows.back().end;
        } else {  // the same product by another way
            for (int p = 0; p < n; ++p)
                coefficients[coefficients.size() - std::size_t(n - p)] += t.c[p];
        }
    }
}

}  // namespace mdkern
