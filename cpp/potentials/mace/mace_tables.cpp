// What depends on elements: tables of those that are there, or the nets of each pair.
#include <algorithm>

#include "potentials/mace/mace_model.hpp"

namespace mdkern {

template <class T>
std::shared_ptr<const MaceSet<T>> MaceWeights<T>::tables(const std::vector<bool>& present) const {
    const std::size_t n_layers = layers_.size(), n = std::size_t(n_species_);
    const std::lock_guard<std::mutex> guard(cache_->lock);
    std::vector<bool> wanted = cache_->all ? cache_->all->species : std::vector<bool>(n, false);
    bool more = !cache_->all;
    for (std::size_t s = 0; s < n; ++s)
        if (present[s] && !wanted[s]) more = wanted[s] = true;
    if (!more) return cache_->all;
    auto set = std::make_shared<MaceSet<T>>();
    set->species = wanted;
    set->radial.resize(n_layers * n * n);
    set->product.resize(n_layers * n);
    for (std::size_t t = 0; t < n_layers; ++t) {
        const MaceLayer<T>& l = layers_[t];
        for (std::size_t i = 0; i < n; ++i) {
            if (!wanted[i]) continue;
            auto& made = cache_->product[t * n + i];
            if (!made) made = polynomial(int(t), int(i));
            set->held.push_back(made);
            set->product[t * n + i] = made->data();
            for (std::size_t j = 0; j < n && !model_.exact; ++j) {
                if (!wanted[j]) continue;
                std::size_t a = i, b = j;
                if (!radial_->of_species(int(t)))
                    a = b = 0;
                else if (!radial_->ordered(int(t)) && a > b)
                    std::swap(a, b);
                auto& table = cache_->radial[(t * n + a) * n + b];
                if (!table)
                    table = std::make_shared<const MaceTable<T>>(make_mace_table<T>(
                        *radial_, int(t), int(a), int(b), l.n_paths, l.k_up, bound_));
                set->held.push_back(table);
                set->radial[(t * n + i) * n + j] = table->view;
            }
        }
    }
    cache_->all = set;
    return set;
}

template <class T>
void MaceWeights<T>::exact(const void* radial, int layer, int si, int sj, double r, std::int64_t n,
                           std::int64_t pair, T* rows, double* density) {
    const MaceRadial& all = *static_cast<const MaceRadial*>(radial);
    static thread_local std::vector<double> value, slope, scratch;
    const std::size_t size = std::size_t(all.n_functions(layer));
    value.resize(size);
    slope.resize(size);
    scratch.resize(all.room());
    double rho[2] = {0, 0};
    all.evaluate(layer, si, sj, r, value.data(), slope.data(), rho, scratch.data());
    const int channels = all.channels(layer), k = padded(channels);
    for (std::int64_t path = 0, q = 0; path < std::int64_t(size) / channels; ++path)
        for (int c = 0; c < k; ++c) {
            T* to = rows + mace_table_place<T>(k, n, path, pair, c);
            for (int d = 0; d < kMaceTerms<T>; ++d) to[d * kLine<T>] = T(0);
            if (c >= channels) continue;
            to[0] = T(value[std::size_t(q)]);
            to[kLine<T>] = T(slope[std::size_t(q++)]);
        }
    for (int d = 0; d < 6; ++d) density[6 * pair + d] = d < 2 ? rho[d] : 0.0;
}

// Of the members those above.
template class MaceWeights<double>;
template class MaceWeights<float>;

}  // namespace mdkern
