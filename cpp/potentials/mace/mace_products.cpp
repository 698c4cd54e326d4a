// The polynomials of a model's layers: which monomials there are, and their coefficients for one element.
#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "potentials/mace/mace_checks.hpp"
#include "potentials/mace/mace_model.hpp"

namespace mdkern {

template <class T>
void MaceWeights<T>::read_products(const Fields& f, int t, MaceLayer<T>& l) {
    std::vector<MaceComponent> components;
    std::vector<MaceLinear<T>> prod;
    std::int64_t n_coefficients = 0;
    auto& weights = product_w_[std::size_t(t)];
    const std::vector<Fields> groups = f.groups("product");
    if (int(groups.size()) != l.out.n_slots)
        refuse(f.prefix() + "product", std::int64_t(groups.size()), std::to_string(l.out.n_slots));
    for (int o = 0; o < l.out.n_slots; ++o) {
        const Fields& g = groups[std::size_t(o)];
        prod.push_back(linear(g, "lin", l.channels, l.channels));
        // By component and monomial (a, b, c), -1 behind the last factor.
        using Key = std::array<int, 3>;
        std::vector<std::map<Key, std::map<std::pair<int, int>, double>>> terms(
            std::size_t(l.out.n[o]));
        weights.emplace_back();
        for (int nu = 1; nu <= 3; ++nu) {
            weights.back().emplace_back();
            const std::string at = std::to_string(nu) + ".";
            if (!g.has(at + "w")) continue;
            ProductWeights& w = weights.back().back();
            w.n_species = g.length(at + "w", 0, 1, kMaxSpecies);
            if (w.n_species != 1 && w.n_species != n_species_)
                refuse(g.prefix() + at + "w", w.n_species, "1 or " + std::to_string(n_species_));
            w.n_terms = g.length(at + "w", 1, 1, 1 << 15);
            w.w = g.array<double>(at + "w", {w.n_species, w.n_terms, l.channels});
            const std::int64_t n = g.length(at + "value", 0);
            const std::int32_t* index = g.array<std::int32_t>(at + "index", {n, nu + 2});
            const double* value = g.array<double>(at + "value", {n});
            for (std::int64_t k = 0; k < n; ++k) {
                const std::int32_t* c = index + k * (nu + 2);
                const std::string name = g.prefix() + at + "index";
                check(name, c[0], 0, l.out.n[o]);
                check(name, c[nu + 1], 0, w.n_terms);
                Key key{-1, -1, -1};
                for (int d = 0; d < nu; ++d) {
                    check(name, c[1 + d], 0, l.n_x);
                    key[std::size_t(d)] = c[1 + d];
                }
                std::sort(key.begin(), key.begin() + nu);
                terms[std::size_t(c[0])][key][{nu, c[nu + 1]}] += value[k];
            }
        }
        for (const auto& of : terms) {
            MaceComponent c;
            c.first = n_coefficients;
            std::vector<std::int16_t> code;
            Product product;
            product.slot = o;
            const auto add = [&](const std::map<std::pair<int, int>, double>& from) {
                product.coefficients.emplace_back();
                for (const auto& [at, factor] : from)
                    product.coefficients.back().push_back({at.first, at.second, factor});
            };
            for (auto a = of.begin(); a != of.end();) {
                const int first = a->first[0];
                const auto head = code.size();
                code.insert(code.end(), {std::int16_t(first), 0, 0});
                ++c.n_a;
                while (a != of.end() && a->first[0] == first) {
                    const int second = a->first[1];
                    if (second < 0) {
                        code[head + 1] = 1;
                    } else {
                        ++code[head + 2];
                        const auto node = code.size();
                        code.insert(code.end(), {std::int16_t(second), 0, 0});
                        auto b = a;
                        for (; b != of.end() && b->first[0] == first && b->first[1] == second;
                             ++b) {
                            if (b->first[2] < 0) {
                                code[node + 1] = 1;
                            } else {
                                ++code[node + 2];
                                code.push_back(std::int16_t(b->first[2]));
                            }
                            add(b->second);
                        }
                        a = b;
                        continue;
                    }
                    add(a->second);
                    ++a;
                }
            }
            n_coefficients += std::int64_t(product.coefficients.size());
            codes_.push_back(std::move(code));
            c.code = codes_.back().data();
            components.push_back(c);
            products_[std::size_t(t)].push_back(std::move(product));
        }
    }
    l.n_b = int(components.size());
    components_.push_back(std::move(components));
    l.components = components_.back().data();
    linears_.push_back(std::move(prod));
    l.prod = linears_.back().data();
}

template <class T>
std::shared_ptr<const Buffer<T>> MaceWeights<T>::polynomial(int t, int species) const {
    const MaceLayer<T>& l = layers_[std::size_t(t)];
    std::size_t n = 0;
    for (const Product& p : products_[std::size_t(t)]) n += p.coefficients.size();
    auto out = std::make_shared<Buffer<T>>();
    const std::size_t k = std::size_t(l.k);
    T* to = out->reserve(n * k + k);
    std::fill_n(to, n * k + k, T(0));
    std::vector<double> sum(static_cast<std::size_t>(l.channels));
    for (const Product& p : products_[std::size_t(t)])
        for (const auto& terms : p.coefficients) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (const Term& term : terms) {
                const ProductWeights& w =
                    product_w_[std::size_t(t)][std::size_t(p.slot)][std::size_t(term.degree - 1)];
                const double* row =
                    w.w + ((w.n_species > 1 ? species : 0) * std::int64_t(w.n_terms) + term.term) *
                              l.channels;
                for (int c = 0; c < l.channels; ++c) sum[std::size_t(c)] += term.factor * row[c];
            }
            for (int c = 0; c < l.channels; ++c) to[c] = T(sum[std::size_t(c)]);
            to += k;
        }
    return out;
}

// Of the members those above.
template class MaceWeights<double>;
template class MaceWeights<float>;

}  // namespace mdkern
