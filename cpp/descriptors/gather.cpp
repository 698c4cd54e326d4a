#include "descriptors/environments.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

void descriptor_gather(const System& s, const Neighbors& list, const Centers& centers,
                       const PairGradients& in, int n_threads, double* gradient) {
    parallel_for(n_threads, n_threads, 1, [&](std::int64_t part) {
        const std::int64_t low = s.n_real * part / n_threads;
        const std::int64_t high = s.n_real * (part + 1) / n_threads;
        for (std::int64_t k = 3 * low; k < 3 * high; ++k) gradient[k] = 0.0;
        for (std::int64_t c = 0; c < centers.n; ++c) {
            const std::int64_t row = centers.row[c], first = list.first[row];
            for (std::int32_t k = 0; k < list.count[row]; ++k) {
                const std::int64_t to = s.home[list.index[first + k]];
                if (to < low || to >= high) continue;
                const double* g = in.pairs + 3 * (first + k);
                for (int x = 0; x < 3; ++x) gradient[3 * to + x] += g[x];
            }
            if (row >= low && row < high)
                for (int x = 0; x < 3; ++x) gradient[3 * row + x] -= in.sums[3 * c + x];
        }
    });
}

}  // namespace mdkern
