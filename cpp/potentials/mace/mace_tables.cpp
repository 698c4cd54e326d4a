// What depends on elements: tables of those that are there, or the nets of each pair.
#include <algorithm>

#include "potentials/mace/mace_model.hpp"

namespace mdkern {

template <class T>
std::shared_ptr<const MaceSet<T>> MaceWeights<T>::tables(const std::vector<bool>& present) const {
    const std::size_t n_layers = layers_.size(), n = std::size_t(n_species_);
    Cache& cache = *cache_;
    const std::lock_guard<std::mutex> guard(cache.lock);
    ++cache.clock;
    auto set = std::make_shared<MaceSet<T>>();
    set->species = present;
    set->radial.resize(n_layers * n * n);
    set->product.resize(n_layers * n);
    for (std::size_t t = 0; t < n_layers; ++t) {
        const MaceLayer<T>& l = layers_[t];
        for (std::size_t i = 0; i < n; ++i) {
            if (!present[i]) continue;
            auto& made = cache.product[t * n + i];
            if (!made.table) {
                made.table = polynomial(int(t), int(i));
                made.bytes = made.table->capacity() * sizeof(T);
            }
            made.used = cache.clock;
            set->held.push_back(made.table);
            set->product[t * n + i] = made.table->data();
            for (std::size_t j = 0; j < n && !model_.exact; ++j) {
                if (!present[j]) continue;
                std::size_t a = i, b = j;
                if (!radial_->of_species(int(t)))
                    a = b = 0;
                else if (!radial_->ordered(int(t)) && a > b)
                    std::swap(a, b);
                auto& kept = cache.radial[(t * n + a) * n + b];
                if (!kept.table) {
                    kept.table = std::make_shared<const MaceTable<T>>(make_mace_table<T>(
                        *radial_, int(t), int(a), int(b), l.n_paths, l.k_up, bound_));
                    kept.bytes = kept.table->rows.capacity() * sizeof(T);
                }
                kept.used = cache.clock;
                set->held.push_back(kept.table);
                set->radial[(t * n + i) * n + j] = kept.table->view;
            }
        }
    }
    trim(cache);
    return set;
}

// Forgets what no set holds and was asked for the longest time ago, beyond kMaceCacheBytes.
template <class T> void MaceWeights<T>::trim(Cache& cache) {
    for (;;) {
        std::size_t bytes = 0;
        std::int64_t oldest = cache.clock;
        const auto look = [&](const auto& all) {
            for (const auto& x : all) {
                if (!x.table) continue;
                bytes += x.bytes;
                if (x.table.use_count() == 1) oldest = std::min(oldest, x.used);
            }
        };
        look(cache.radial);
        look(cache.product);
        if (bytes <= kMaceCacheBytes || oldest == cache.clock) return;
        const auto drop = [&](auto& all) {
            for (auto& x : all)
                if (x.table && x.used == oldest && x.table.use_count() == 1) x = {};
        };
        drop(cache.radial);
        drop(cache.product);
    }
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
