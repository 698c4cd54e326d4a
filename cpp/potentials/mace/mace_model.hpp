// A MACE model as kernels read it, made from fields; what depends on species is made for those that
// are there, once.
//
// Fields (lengths: S species of the file, N basis functions, K channels of h', U of u and A):
//   single, exact; cutoff, bound, scale; energy (S)
//   radial: basis (N), kind 0 Bessel, 1 Gaussian, 2 Chebyshev, prefactor, p, cutoff_inside, transform
//     0 none, 1 Agnesi, 2 Soft, transform_p (3), radii (S)
//   zbl: c (4), p, charge, inverse, range (S, S)
//   layers.T:
//     l_up, l_in, l_out, l_x (.) angular momenta of u, h, h' and x
//     paths (Q, 4): slot of u, l of the harmonic, l of A, slot of x; by slot of x
//     cg_index (., 4), cg (.): path, m1, m2, m3 and value
//     species_up (S, U) of the first layer, up.O (K, U) of others
//     radial.layers.I, density.layers.I: nets; source, target (S, .)
//     lin.O (1 or S, Q_O U, K); with gates, one set and (1 + gates) K columns for the scalars, res.O too
//     skip.O (1 or S, K, K) and skip_from (slots of the output), or species_skip (S, slots, K)
//     gates: n, res.O (U, .), res_from, lin2.O, alpha, beta, silu, sigmoid: of non-linear blocks
//     product.O: NU.index (., NU + 2), NU.value (.), NU.w (1 or S, P, K); lin (K, K)
//   readouts.R: layer, w2 (K); or w1 (K, H), w2 (H), activation, factor; mid (H, H), mid_bias (H); bias
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/buffers.hpp"
#include "core/fields.hpp"
#include "potentials/mace/mace.hpp"
#include "potentials/mace/mace_radial.hpp"

namespace mdkern {

// Tables of some species, and what keeps them alive.
template <class T> struct MaceSet {
    std::vector<bool> species;
    std::vector<MaceRadialTable<T>> radial;
    std::vector<const T*> product;
    std::vector<std::shared_ptr<const void>> held;
};

constexpr std::size_t kMaceCacheBytes = std::size_t(1) << 30;

template <class T> class MaceWeights {
public:
    // Throws std::invalid_argument.
    MaceWeights(const Fields& fields, double bound, bool exact);
    const MaceModel<T>& model() const { return model_; }
    // Tables for the species of which present[s] is set. What one call made, all others share: it is
    // made under a lock, and never changes. Up to kMaceCacheBytes are kept beyond those in use.
    std::shared_ptr<const MaceSet<T>> tables(const std::vector<bool>& present) const;

private:
    // A coefficient of a polynomial is the sum of factor times a term of the weights of its degree.
    struct Term {
        int degree, term;
        double factor;
    };
    struct Product {
        int slot = 0;
        std::vector<std::vector<Term>> coefficients;
    };
    struct ProductWeights {
        int n_terms = 0;
        std::int64_t n_species = 1;
        const double* w = nullptr;
    };
    template <class X> struct Kept {
        std::shared_ptr<const X> table;
        std::size_t bytes = 0;
        std::int64_t used = 0;  // `clock` when it was asked for last
    };
    struct Cache {
        std::mutex lock;
        std::int64_t clock = 0;
        std::vector<Kept<MaceTable<T>>> radial;  // (n_layers, S, S)
        std::vector<Kept<Buffer<T>>> product;    // (n_layers, S)
    };

    void read_layer(const Fields& f, int t, MaceLayer<T>& l);
    void read_paths(const Fields& f, MaceLayer<T>& l);
    void read_products(const Fields& f, int t, MaceLayer<T>& l);
    void read_readout(const Fields& f, MaceReadout<T>& r);
    void read_zbl(const Fields& f);
    MaceIrreps irreps(const Fields& f, const char* name) const;
    MaceLinear<T> linear(const double* w, std::int64_t n_sets, int in_parts, int in, int out_parts,
                         int out);
    MaceLinear<T> linear(const Fields& f, const std::string& name, int in, int out);
    const T* copy(const double* from, int rows, int columns, int padded_rows, int padded_columns,
                  bool transposed = false);
    std::shared_ptr<const Buffer<T>> polynomial(int t, int species) const;
    static void trim(Cache& cache);
    static void exact(const void* radial, int layer, int si, int sj, double r, std::int64_t n,
                      std::int64_t pair, T* rows, double* density);

    Fields fields_;
    int n_species_ = 1;
    double bound_ = 1e-9;
    MaceModel<T> model_;
    std::unique_ptr<const MaceRadial> radial_;
    std::vector<MaceLayer<T>> layers_;
    std::vector<MaceReadout<T>> readouts_;
    double packed_bytes_ = 0.0, weight_bytes_ = 0.0;
    std::vector<int> channels_up_;  // not padded
    std::vector<double> norms_;
    std::deque<Buffer<T>> memory_;
    std::deque<std::vector<MaceLinear<T>>> linears_;
    std::deque<std::vector<MacePath>> paths_;
    std::deque<std::vector<MaceTerm>> terms_;
    std::deque<std::vector<MaceTarget>> targets_;
    std::deque<std::vector<MaceComponent>> components_;
    std::deque<std::vector<std::int16_t>> codes_;
    std::vector<std::vector<Product>> products_;  // of each layer and component
    std::vector<std::vector<std::vector<ProductWeights>>> product_w_;  // layer, slot, degree
    std::unique_ptr<Cache> cache_;
};

}  // namespace mdkern
