// From lists of products to the graph and the sparse rows that kernels work through (ace.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "potentials/ace/ace.hpp"

namespace mdkern {

// A value, conjugated where the last bit is set.
using AceFactor = std::int32_t;
constexpr int kAceMostRank = 32;

struct AceProgramMemory {
    std::vector<AceNode> nodes;
    std::vector<AceRow> forward, backward;
    std::vector<std::int32_t> forward_entry, backward_entry;
    std::vector<double> forward_c, backward_c;
};
struct AceFunctionsMemory {
    std::vector<AceNode> nodes;
    std::vector<std::int32_t> first;
    std::vector<AceLeaf> leaves;
};

// Splits products into two values each, and adds nodes for that. Pairs of factors that occur in many
// products become nodes first, and a node that is there is taken before a new one.
class AceGraphMaker {
public:
    // n_a values come first, then the number one. real[v]: v is a real number, its own conjugate.
    AceGraphMaker(int n_a, std::vector<bool> real);

    // All products first.
    void count(const std::vector<AceFactor>& factors);
    // Then each of them again: c Re(a b), with b conjugated on request.
    struct Split {
        std::int32_t a, b, conjugate;
    };
    Split split(std::vector<AceFactor> factors);

    const std::vector<AceNode>& nodes() const { return nodes_; }
    int n_values() const { return n_a_ + 1 + int(nodes_.size()); }

private:
    // A pair in the order and with the conjugation by which it is known; whether that is the
    // conjugate of the pair itself.
    struct Pair {
        std::uint64_t key;
        bool flipped;
    };
    bool is_real(AceFactor x) const { return real_[std::size_t(x >> 1)]; }
    AceFactor conjugate(AceFactor x) const { return is_real(x) ? x : x ^ 1; }
    Pair pair_of(AceFactor x, AceFactor y) const;
    AceFactor node_of(const Pair& pair);

    int n_a_;
    std::vector<bool> real_;
    std::vector<AceNode> nodes_;
    std::unordered_map<std::uint64_t, std::int32_t> count_, node_;
};

// Terms of rho of one element, each with a coefficient per density.
class AceProgramMaker {
public:
    void add(const AceGraphMaker::Split& term, const double* c, int n_densities);
    // Into the rows by either factor.
    void finish(const std::vector<AceNode>& nodes, int n_densities, AceProgramMemory& to) const;

private:
    struct Term {
        std::int32_t row, entry, conjugate;
        const double* c;
    };
    static void sort(std::vector<Term> terms, int n_densities, std::vector<AceRow>& rows,
                     std::vector<std::int32_t>& entries, std::vector<double>& coefficients);
    std::vector<Term> terms_;
};

}  // namespace mdkern
