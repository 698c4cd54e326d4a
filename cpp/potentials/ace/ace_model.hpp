// A model of ACE from Fields: channels, tables, graphs, and the memory that kernels read.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/fields.hpp"
#include "potentials/ace/ace.hpp"
#include "potentials/ace/ace_graph.hpp"
#include "potentials/ace/ace_radial.hpp"

namespace mdkern {

class AceModel {
public:
    // Throws std::invalid_argument, UnusableModel.
    explicit AceModel(const Fields& fields);
    AceModel(const AceModel&) = delete;
    const AceParams& params() const { return params_; }
    double cutoff() const { return cutoff_; }

private:
    // Channels of each l of one group, in order; and from channels to their numbers.
    struct Channels {
        std::vector<AceChannel> list;
        int first[kAceMaxL + 2] = {};
        std::map<std::pair<int, int>, int> number;  // (l or kind, n)
    };
    using Wanted = std::vector<std::set<std::pair<int, int>>>;  // of each group
    struct Value {
        int value;
        AceFactor factor;
        double sign;
    };
    struct Center {
        Fields fields;
        int n_densities = 0, n_values = 0;
        std::vector<Channels> channels;
        std::vector<int> first_value;  // of each group
        std::vector<bool> real;
        std::vector<AceGroup> groups;
        std::vector<AceTable> tables;
        std::vector<double> coefficients;  // of products, in the order of the maker
        // Of the g of each group for each density, where the densities are channels of their own.
        std::vector<std::vector<double>> sums;
        AceProgramMemory program;
        AceFunctionsMemory functions;
    };

    void read_pairs();
    void read_center(int i);
    Wanted wanted(const Center& c) const;
    void sum_rank1(Center& c, Wanted& wanted) const;
    static Channels channels_of(const std::set<std::pair<int, int>>& wanted, bool core);
    void place_values(Center& c, AceCenter& view) const;
    void make_tables();
    Value value_of(const Center& c, const std::int32_t* mu_n_l_m, const char* name) const;
    void make_program(Center& c, AceCenter& view) const;
    void make_functions(Center& c, AceCenter& view);
    void make_norms();
    void check(bool ok, const Fields& f, const std::string& name, std::int64_t value,
               std::int64_t end) const;

    Fields fields_;
    AceParams params_;
    AceInner inner_ = AceInner::density;
    int n_max_ = 0, n_base_ = 0, n_groups_ = 0;
    double cutoff_ = 0.0, bin_ = 0.0;
    std::vector<AceRadial> radial_;  // of ordered pairs; one for all with one group
    std::vector<Center> memory_;
    std::vector<AceCenter> centers_;
    std::vector<std::unique_ptr<AceTableMemory>> tables_;
    std::vector<std::vector<double>> scales_;
    std::vector<double> norms_, near_, width_;
};

}  // namespace mdkern
