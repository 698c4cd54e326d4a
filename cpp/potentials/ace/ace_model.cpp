#include "potentials/ace/ace_model.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/errors.hpp"

namespace mdkern {

namespace {

constexpr std::size_t kMostBytes = std::size_t(1) << 31;  // of all tables

std::int64_t value_width(bool real, int l) { return real ? 2 * l + 1 : l + 1; }

AceEmbedding embedding_of(const Fields& f, bool core) {
    AceEmbedding e;
    e.n = f.length("w", 0, 1, kAceMaxDensities);
    e.shifted = f.flag("shifted");
    e.core = core;
    e.rho_cut = f.number("rho_cut");
    e.drho_cut = f.number("drho_cut");
    const double *w = f.array<double>("w", {e.n}), *m = f.array<double>("m", {e.n});
    for (int p = 0; p < e.n; ++p) {
        if (!std::isfinite(w[p]) || !std::isfinite(m[p]) || (e.shifted && !(m[p] > 0.0)))
            throw std::invalid_argument(f.prefix() + "m: " + number(m[p]) +
                                        "; expected numbers above zero");
        e.w[p] = w[p];
        e.m[p] = m[p];
        e.q[p] = e.s[p] = 0.0;
        e.l[p] = std::pow(1e-6, m[p] - 1.0);
        if (!e.shifted || m[p] == 1.0) continue;
        const double n = 1.0 / m[p];
        e.q[p] = std::pow(n, n / (1.0 - n));
        e.s[p] = std::pow(n, 1.0 / (1.0 - n));
    }
    return e;
}

}  // namespace

void AceModel::check(bool ok, const Fields& f, const std::string& name, std::int64_t value,
                     std::int64_t end) const {
    if (!ok)
        throw std::invalid_argument(f.prefix() + name + ": " + std::to_string(value) +
                                    "; expected at least 0 and below " + std::to_string(end));
}

AceModel::AceModel(const Fields& fields) : fields_(fields) {
    const Fields& f = fields_;
    AceParams& p = params_;
    p.n_species = f.length("e0", 0, 1, kMaxSpecies);
    p.real = p.one_group = f.flag("real");
    p.l_max = f.integer("l_max", 0, kAceMaxL);
    n_max_ = f.integer("n_max", 0, 1 << 12);
    n_base_ = f.integer("n_base", 1, 1 << 10);
    bin_ = f.positive("spline_bins");
    inner_ = AceInner(f.integer("inner", 0, 2));
    n_groups_ = p.one_group ? 1 : p.n_species;
    read_pairs();
    memory_.resize(std::size_t(p.n_species));
    centers_.resize(std::size_t(p.n_species));
    const std::vector<Fields> centers = f.groups("centers");
    if (int(centers.size()) != p.n_species)
        throw std::invalid_argument(f.prefix() + "centers: " + std::to_string(centers.size()) +
                                    "; expected " + std::to_string(p.n_species));
    Wanted all = Wanted(std::size_t(n_groups_));
    for (int i = 0; i < p.n_species; ++i) {
        Center& c = memory_[std::size_t(i)];
        c.fields = centers[std::size_t(i)];
        c.n_densities = (centers_[std::size_t(i)].embedding =
                             embedding_of(c.fields, !p.real && inner_ != AceInner::zbl))
                            .n;
        c.n_densities = centers_[std::size_t(i)].embedding.n;
        Wanted own = wanted(c);
        sum_rank1(c, own);
        // With one group all elements of the center share the table, and so have the same channels.
        if (p.one_group)
            all[0].merge(own[0]);
        else
            for (int g = 0; g < n_groups_; ++g)
                c.channels.push_back(channels_of(own[std::size_t(g)],
                                                 radial_[std::size_t(i * p.n_species + g)].core()));
    }
    for (int i = 0; i < p.n_species; ++i) {
        Center& c = memory_[std::size_t(i)];
        AceCenter& view = centers_[std::size_t(i)];
        if (p.one_group) c.channels.push_back(channels_of(all[0], false));
        view.e0 = f.array<double>("e0", {p.n_species})[i];
        place_values(c, view);
    }
    make_tables();
    for (int i = 0; i < p.n_species; ++i) {
        Center& c = memory_[std::size_t(i)];
        AceCenter& view = centers_[std::size_t(i)];
        if (c.fields.has("functions.rank"))
            make_functions(c, view);
        else
            make_program(c, view);
        const AceGraph& graph =
            c.fields.has("functions.rank") ? view.functions.graph : view.program.graph;
        view.tables = c.tables.data();
        view.groups = c.groups.data();
        for (const AceTable& t : c.tables) p.most_blocks = std::max(p.most_blocks, t.n_blocks);
        p.most_vectors = std::max(p.most_vectors, view.n_vectors);
        p.most_weights = std::max(p.most_weights, view.n_weights);
        p.most_values = std::max(p.most_values, graph.n_values());
        p.most_rows = std::max(p.most_rows, view.program.forward.n * view.embedding.n);
        p.most_functions = std::max(p.most_functions, view.functions.n);
    }
    make_norms();
    p.centers = centers_.data();
}

void AceModel::read_pairs() {
    const std::vector<Fields> pairs = fields_.groups("pairs");
    const int n = params_.n_species;
    const std::size_t expected = params_.one_group ? 1 : std::size_t(n) * std::size_t(n);
    if (pairs.size() != expected)
        throw std::invalid_argument(fields_.prefix() + "pairs: " + std::to_string(pairs.size()) +
                                    "; expected " + std::to_string(expected));
    const bool zbl = inner_ == AceInner::zbl;
    const double* z = zbl ? fields_.array<double>("charges", {n}) : nullptr;
    for (std::size_t q = 0; q < expected; ++q) {
        const double charges[2] = {zbl ? z[q / std::size_t(n)] : 0.0,
                                   zbl ? z[q % std::size_t(n)] : 0.0};
        radial_.emplace_back(pairs[q], n_max_, params_.l_max, n_base_, inner_, charges);
        cutoff_ = std::max(cutoff_, radial_.back().cutoff());
        if (!zbl) continue;
        near_.push_back(radial_.back().inner_radius() - radial_.back().inner_width());
        width_.push_back(radial_.back().inner_width());
    }
    if (!zbl) return;
    params_.near = near_.data();
    params_.width = width_.data();
}

AceModel::Wanted AceModel::wanted(const Center& c) const {
    Wanted out = Wanted(std::size_t(n_groups_));
    const auto want = [&](const char* name, int mu, int l, int n) {
        check(mu >= 0 && mu < n_groups_, c.fields, name, mu, n_groups_);
        if (l != AceChannel::kBase)
            check(l >= 0 && l <= params_.l_max, c.fields, name, l, params_.l_max + 1);
        const int end = l == AceChannel::kBase ? n_base_ : n_max_;
        check(n >= 0 && n < end, c.fields, name, n, end);
        out[std::size_t(mu)].insert({l, n});
    };
    const Fields& f = c.fields;
    if (f.has("functions.rank")) {
        const std::int64_t n = f.length("functions.factors", 0);
        const std::int32_t* x = f.array<std::int32_t>("functions.factors", {n, 3});
        for (std::int64_t k = 0; k < n; ++k, x += 3) want("functions.factors", x[0], x[2], x[1]);
        return out;
    }
    const std::int64_t n1 = f.length("rank1", 0), n_a = f.length("a", 0);
    const std::int32_t* x = f.array<std::int32_t>("rank1", {n1, 2});
    for (std::int64_t k = 0; k < n1; ++k, x += 2) want("rank1", x[0], AceChannel::kBase, x[1]);
    x = f.array<std::int32_t>("a", {n_a, 4});
    for (std::int64_t k = 0; k < n_a; ++k, x += 4) want("a", x[0], x[2], x[1]);
    return out;
}

// Terms of rank 1 are sums over neighbors of one function for each density: where that is fewer than there are g,
// these functions are the channels.
void AceModel::sum_rank1(Center& c, Wanted& all) const {
    c.sums.resize(all.size());
    if (c.fields.has("functions.rank")) return;
    const std::int64_t n1 = c.fields.length("rank1", 0), P = c.n_densities;
    const std::int32_t* rank1 = c.fields.array<std::int32_t>("rank1", {n1, 2});
    const double* c1 = c.fields.array<double>("rank1_c", {n1, P});
    const auto is_base = [](const std::pair<int, int>& x) { return x.first == AceChannel::kBase; };
    for (std::size_t g = 0; g < all.size(); ++g) {
        std::set<std::pair<int, int>>& wanted = all[g];
        if (std::count_if(wanted.begin(), wanted.end(), is_base) <= P) continue;
        std::vector<double>& sums = c.sums[g];
        sums.assign(std::size_t(P * n_base_), 0.0);
        for (std::int64_t k = 0; k < n1; ++k)
            for (int p = 0; rank1[2 * k] == int(g) && p < P; ++p)
                sums[std::size_t(p * n_base_ + rank1[2 * k + 1])] += c1[k * P + p];
        for (auto at = wanted.begin(); at != wanted.end();)
            at = is_base(*at) ? wanted.erase(at) : std::next(at);
        for (int p = 0; p < P; ++p) wanted.insert({AceChannel::kDensity, p});
    }
}

AceModel::Channels AceModel::channels_of(const std::set<std::pair<int, int>>& wanted, bool core) {
    Channels c;
    const auto add = [&](int l, int n) {
        c.number[{l, n}] = int(c.list.size());
        c.list.push_back({l, n});
    };
    for (int l = 0; l <= kAceMaxL; ++l) {
        c.first[l] = int(c.list.size());
        for (const auto& at : wanted)
            if (at.first == l) add(l, at.second);
        if (l > 0) continue;
        for (const auto& at : wanted)
            if (at.first == AceChannel::kBase || at.first == AceChannel::kDensity)
                add(at.first, at.second);
        if (core) add(AceChannel::kCore, 0);
    }
    c.first[kAceMaxL + 1] = int(c.list.size());
    return c;
}

void AceModel::place_values(Center& c, AceCenter& view) const {
    const bool real = params_.real;
    for (const Channels& ch : c.channels) {
        AceGroup g;
        std::copy_n(ch.first, kAceMaxL + 2, g.first);
        g.vector = view.n_vectors;
        g.weight = view.n_weights;
        if (const auto core = ch.number.find({AceChannel::kCore, 0}); core != ch.number.end())
            g.core = core->second;
        c.first_value.push_back(c.n_values);
        for (int l = 0; l <= kAceMaxL; ++l) {
            const int n = ch.first[l + 1] - ch.first[l], width = int(value_width(real, l));
            view.n_weights += n * (2 * l + 1);
            view.n_vectors += n * width * (real ? 1 : 2);
            c.n_values += n * width;
            for (int k = 0; k < n * width; ++k) c.real.push_back(real || k % width == 0);
        }
        c.groups.push_back(g);
        if (c.n_values > 1 << 24)
            throw std::invalid_argument(c.fields.prefix() +
                                        "a: more than 2^24 sums over neighbors");
    }
    view.n_groups = int(c.groups.size());
}

void AceModel::make_tables() {
    const int n = params_.n_species;
    std::size_t bytes = 0;
    if (!params_.one_group) {
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j) {
                Center& c = memory_[std::size_t(i)];
                tables_.push_back(std::make_unique<AceTableMemory>());
                make_ace_table(radial_[std::size_t(i * n + j)], bin_,
                               c.channels[std::size_t(j)].list, c.sums[std::size_t(j)].data(),
                               *tables_.back());
                c.tables.push_back(tables_.back()->view);
                bytes += tables_.back()->rows.capacity() * sizeof(double);
                if (bytes > kMostBytes)
                    throw UnusableModel("radial functions: tables of more than " +
                                        std::to_string(kMostBytes >> 20) +
                                        " MB; expected fewer elements or smoother functions");
            }
        return;
    }
    // One table for all, and factors of the channels for each element of the neighbor.
    const Channels& ch = memory_[0].channels[0];
    tables_.push_back(std::make_unique<AceTableMemory>());
    make_ace_table(radial_[0], bin_, ch.list, nullptr, *tables_[0]);
    const double* z = fields_.array<double>("species_weights", {n, n_max_});
    for (int j = 0; j < n; ++j) {
        AceTable table = tables_[0]->view;
        std::vector<double> scale(std::size_t(table.n_blocks) * kAceLine, 0.0);
        for (std::size_t k = 0; k < ch.list.size(); ++k) scale[k] = z[j * n_max_ + ch.list[k].n];
        scales_.push_back(std::move(scale));
        table.scale = scales_.back().data();
        for (Center& c : memory_) c.tables.push_back(table);
    }
}

// Of A with (mu, n, l, m); l = AceChannel::kBase: of rank 1.
AceModel::Value AceModel::value_of(const Center& c, const std::int32_t* x, const char* name) const {
    const int mu = x[0], n = x[1], m = x[3], l = std::max(0, x[2]);
    check(m >= -l && m <= l, c.fields, name, m, l + 1);
    const Channels& ch = c.channels[std::size_t(mu)];
    int value = c.first_value[std::size_t(mu)];
    for (int k = 0; k < l; ++k)
        value += (ch.first[k + 1] - ch.first[k]) * int(value_width(params_.real, k));
    const int width = int(value_width(params_.real, l));
    value += (ch.number.at({x[2], n}) - ch.first[l]) * width;
    if (params_.real) {
        value += m > 0 ? 2 * m - 1 : -2 * m;
        return {value, value << 1, 1.0};
    }
    value += std::abs(m);
    return {value, value << 1 | (m < 0), m < 0 && m % 2 != 0 ? -1.0 : 1.0};
}

void AceModel::make_program(Center& c, AceCenter& view) const {
    const Fields& f = c.fields;
    const std::int64_t P = c.n_densities, n1 = f.length("rank1", 0), n_a = f.length("a", 0);
    const std::int32_t *rank1 = f.array<std::int32_t>("rank1", {n1, 2}),
                       *a = f.array<std::int32_t>("a", {n_a, 4});
    struct Product {
        std::vector<AceFactor> factors;
        std::size_t c;
    };
    std::vector<Product> products;
    const auto add = [&](Product p, double sign, const double* from, const char* name) {
        p.c = c.coefficients.size();
        for (int d = 0; d < P; ++d) {
            if (!std::isfinite(from[d]))
                throw std::invalid_argument(f.prefix() + name + ": not finite; expected numbers");
            c.coefficients.push_back(sign * from[d]);
        }
        products.push_back(std::move(p));
    };
    const double* c1 = f.array<double>("rank1_c", {n1, P});
    for (std::int64_t k = 0; k < n1; ++k) {
        const std::int32_t of[4] = {rank1[2 * k], rank1[2 * k + 1], AceChannel::kBase, 0};
        if (c.sums[std::size_t(of[0])].empty())
            add({{value_of(c, of, "rank1").factor}, 0}, 1.0, c1 + k * P, "rank1_c");
    }
    for (std::size_t g = 0; g < c.sums.size(); ++g)
        for (int p = 0; !c.sums[g].empty() && p < P; ++p) {
            const std::int32_t of[4] = {std::int32_t(g), p, AceChannel::kDensity, 0};
            double own[kAceMaxDensities] = {};
            own[p] = 1.0;
            add({{value_of(c, of, "rank1").factor}, 0}, 1.0, own, "rank1_c");
        }
    std::vector<Value> values;
    for (std::int64_t k = 0; k < n_a; ++k) values.push_back(value_of(c, a + 4 * k, "a"));
    for (const Fields& g : f.groups("terms")) {
        const std::int64_t n = g.length("index", 0), rank = g.length("index", 1, 1, kAceMostRank);
        const std::int32_t* index = g.array<std::int32_t>("index", {n, rank});
        const double* cs = g.array<double>("c", {n, P});
        for (std::int64_t t = 0; t < n; ++t) {
            Product p;
            double sign = 1.0;
            for (std::int64_t k = 0; k < rank; ++k) {
                const std::int64_t at = index[t * rank + k];
                check(at >= 0 && at < n_a, g, "index", at, n_a);
                p.factors.push_back(values[std::size_t(at)].factor);
                sign *= values[std::size_t(at)].sign;
            }
            add(std::move(p), sign, cs + t * P, "terms");
        }
    }
    AceGraphMaker graph(c.n_values, c.real);
    for (const Product& p : products) graph.count(p.factors);
    AceProgramMaker maker;
    for (const Product& p : products)
        maker.add(graph.split(p.factors), c.coefficients.data() + p.c, int(P));
    maker.finish(graph.nodes(), int(P), c.program);
    const AceProgramMemory& m = c.program;
    view.program.graph = {c.n_values, int(m.nodes.size()), m.nodes.data()};
    view.program.forward = {int(m.forward.size()), m.forward.data(), m.forward_entry.data(),
                            m.forward_c.data()};
    view.program.backward = {int(m.backward.size()), m.backward.data(), m.backward_entry.data(),
                             m.backward_c.data()};
}

void AceModel::make_functions(Center& c, AceCenter& view) {
    const Fields f = c.fields.group("functions");
    const std::int64_t n = f.length("rank", 0), n_factors = f.length("factors", 0),
                       n_ms = f.length("ms", 0), n_c = f.length("c", 0);
    const std::int32_t *rank = f.array<std::int32_t>("rank", {n}),
                       *terms = f.array<std::int32_t>("terms", {n}),
                       *factors = f.array<std::int32_t>("factors", {n_factors, 3}),
                       *ms = f.array<std::int32_t>("ms", {n_ms});
    const double* cs = f.array<double>("c", {n_c});
    struct Product {
        std::vector<AceFactor> factors;
        double c;
    };
    std::vector<Product> products;
    std::vector<std::int32_t>& first = c.functions.first;
    std::int64_t factor = 0, m = 0;
    for (std::int64_t k = 0; k < n; ++k) {
        first.push_back(std::int32_t(products.size()));
        const std::int64_t r = rank[k], t = terms[k];
        check(r >= 1 && r <= kAceMostRank && factor + r <= n_factors, f, "rank", r,
              std::min<std::int64_t>(kAceMostRank, n_factors - factor) + 1);
        check(t >= 0 && m + t * r <= n_ms && std::int64_t(products.size()) + t <= n_c, f, "terms",
              t, (n_ms - m) / r + 1);
        for (std::int64_t q = 0; q < t; ++q, m += r) {
            Product p{{}, cs[products.size()]};
            for (std::int64_t x = 0; x < r; ++x) {
                const std::int32_t* at = factors + 3 * (factor + x);
                const std::int32_t of[4] = {at[0], at[1], at[2], ms[m + x]};
                const Value v = value_of(c, of, "functions.ms");
                p.factors.push_back(v.factor);
                p.c *= v.sign;
            }
            products.push_back(std::move(p));
        }
        factor += r;
    }
    first.push_back(std::int32_t(products.size()));
    AceGraphMaker graph(c.n_values, c.real);
    for (const Product& p : products) graph.count(p.factors);
    for (const Product& p : products) {
        const AceGraphMaker::Split s = graph.split(p.factors);
        c.functions.leaves.push_back({s.a, s.b, s.conjugate, p.c});
    }
    c.functions.nodes = graph.nodes();
    AceFunctions& view_f = view.functions;
    view_f.graph = {c.n_values, int(c.functions.nodes.size()), c.functions.nodes.data()};
    view_f.n = int(n);
    view_f.feature = params_.n_features;
    view_f.first = first.data();
    view_f.leaf = c.functions.leaves.data();
    params_.n_features += int(n);
}

void AceModel::make_norms() {
    for (int l = 0; l <= params_.l_max; ++l)
        for (int m = 0; m <= l; ++m) {
            double x = 2.0 * l + 1.0;
            for (int k = l - m + 1; k <= l + m; ++k) x /= k;
            // Complex harmonics have the phase of Condon and Shortley.
            if (params_.real)
                norms_.push_back(std::sqrt(m == 0 ? x : 2.0 * x));
            else
                norms_.push_back(m % 2 ? -std::sqrt(x) : std::sqrt(x));
        }
    params_.norms = norms_.data();
}

}  // namespace mdkern
