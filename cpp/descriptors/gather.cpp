#include <memory>
#include <vector>

#include "core/pool.hpp"
#include "descriptors/environments.hpp"
#include "simd/parallel.hpp"

namespace mdkern {

namespace {

// Where the gradients of pairs and centers go, and who adds them.
class Gather {
public:
    Gather(const System& system, const Neighbors& neighbors, const Centers& all,
           const PairGradients& gradients, double* to)
        : s(system), list(neighbors), centers(all), in(gradients), out(to) {}

    void run(int n_threads) const {
        // To sort the terms costs twice what it costs to add them: not worth it for two threads.
        if (n_threads <= 2 || s.n_homes == 0) {
            clear(0, s.n_homes);
            for_terms(0, centers.n, [&](std::int64_t atom, std::int64_t term) { add(atom, term); });
            return;
        }
        // Each block of centers sorts its terms, stably, by the parts of the atoms: those of part p
        // end at end_of_part[block n_threads + p]. Then whoever has a part adds its terms of all blocks.
        const std::int64_t blocks = n_blocks(centers.n);
        std::vector<std::int64_t> bounds(std::size_t(blocks * (n_threads + 1)));
        std::int64_t *end_of_part = bounds.data(), *begin = end_of_part + blocks * n_threads, n = 0;
        for (std::int64_t b = 0; b < blocks; ++b) {
            begin[b] = n;
            for (std::int64_t c = b * kPairBlock; c < end_of(b); ++c)
                n += list.count[centers.row[c]] + 1;
        }
        // Of the pool, as a call is mostly like the one before: mapping new pages would take as long
        // as adding the terms.
        const std::unique_ptr<void, void (*)(void*)> memory(
            pool_take(std::size_t(n) * sizeof(std::int64_t)), [](void* p) { pool_give(p); });
        auto* terms = static_cast<std::int64_t*>(memory.get());
        // Without divisions, one of which would cost more than all else of a term.
        const std::int64_t per_atom = (std::int64_t(n_threads) << 32) / s.n_homes;
        const auto part_of = [&](std::int64_t atom) { return atom * per_atom >> 32; };
        const auto begin_of = [&](std::int64_t part) {
            const std::int64_t atom = ((part << 32) + per_atom - 1) / per_atom;
            return part < n_threads && atom < s.n_homes ? atom : s.n_homes;
        };
        parallel_for(blocks, n_threads, 0, [&](std::int64_t b) {
            std::int64_t* at = end_of_part + b * n_threads;
            for (int p = 0; p < n_threads; ++p) at[p] = 0;
            for_terms(b * kPairBlock, end_of(b),
                      [&](std::int64_t atom, std::int64_t) { ++at[part_of(atom)]; });
            std::int64_t end = begin[b];
            for (int p = 0; p < n_threads; ++p) {
                const std::int64_t size = at[p];
                at[p] = end;
                end += size;
            }
            for_terms(b * kPairBlock, end_of(b), [&](std::int64_t atom, std::int64_t term) {
                terms[at[part_of(atom)]++] = term;
            });
        });
        parallel_for(n_threads, n_threads, 1, [&](std::int64_t part) {
            clear(begin_of(part), begin_of(part + 1));
            for (std::int64_t b = 0; b < blocks; ++b) {
                const std::int64_t* end = end_of_part + b * n_threads + part;
                for (std::int64_t k = part ? end[-1] : begin[b]; k < *end; ++k)
                    add(atom_of(terms[k]), terms[k]);
            }
        });
    }

private:
    std::int64_t end_of(std::int64_t block) const {
        const std::int64_t end = (block + 1) * kPairBlock;
        return end < centers.n ? end : centers.n;
    }
    // body(atom, term) for the terms of the centers [begin, end): places of pairs in the list, and
    // behind those of center c, on its own atom, -1 - c.
    template <class Body>
    void for_terms(std::int64_t begin, std::int64_t end, const Body& body) const {
        for (std::int64_t c = begin; c < end; ++c) {
            const std::int64_t row = centers.row[c], first = list.first[row];
            for (std::int64_t k = first; k < first + list.count[row]; ++k)
                body(s.home[list.index[k]], k);
            if (row < s.n_real) body(row, -1 - c);
        }
    }
    std::int64_t atom_of(std::int64_t term) const {
        return term >= 0 ? s.home[list.index[term]] : centers.row[-1 - term];
    }
    void clear(std::int64_t begin, std::int64_t end) const {
        for (std::int64_t k = 3 * begin; k < 3 * end; ++k) out[k] = 0.0;
    }
    void add(std::int64_t atom, std::int64_t term) const {
        if (term >= 0)
            for (int x = 0; x < 3; ++x) out[3 * atom + x] += in.pairs[3 * term + x];
        else
            for (int x = 0; x < 3; ++x) out[3 * atom + x] -= in.sums[3 * (-1 - term) + x];
    }

    const System& s;
    const Neighbors& list;
    const Centers& centers;
    const PairGradients& in;
    double* out;
};

}  // namespace

void descriptor_gather(const System& s, const Neighbors& list, const Centers& centers,
                       const PairGradients& in, int n_threads, double* gradient) {
    Gather(s, list, centers, in, gradient).run(n_threads);
}

}  // namespace mdkern
