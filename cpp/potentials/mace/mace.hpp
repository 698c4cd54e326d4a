// MACE: I. Batatia, D. P. Kovacs, G. N. C. Simm, C. Ortner, G. Csanyi, NeurIPS 35 (2022),
// arXiv:2206.07697. Formulas in readable form: src/mdkern/reference/mace.py.
//
// Layer t of an atom i with features h_i, u = h W_up, and neighbors j at r_ij:
//
//   A_i[q, m3] = sum_j R_q(r_ij) sum_m1 T_q[m1, m3](r_ij / |r_ij|) u_j[a, m1]     paths q = (a, l2, l3)
//   T_q[m1, m3] = sum_m2 C_q[m1, m2, m3] Y_l2m2,   x_i[l] = A_i[l] W_lin
//   B_i[L, M] = polynomial of degree three in the components of x_i, with coefficients of the species
//   h_i' = B_i W_prod + sc_i(h_i);   E_i = E0 + shift + scale (ZBL_i + sum_t readout_t(h_i'))
//
// everything for each channel, but the products with W. Channels lie side by side in memory, padded
// to whole vectors with zeros: all inner loops run over channels.
//
// A potential evaluates layer after layer, forward and then backward, each on blocks of rows. What
// neighbors need of each other between two layers is u, forward, and dE/du, backward: rows of other
// processes get and give them by Table::forward and Table::reverse.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dispatch.hpp"
#include "core/types.hpp"
#include "nn/dense.hpp"

namespace mdkern {

constexpr int kMaceMaxL = 6;        // of harmonics and features
constexpr int kMaceMaxLayers = 16;  // of a model
constexpr int kMaceMaxRows = 64;    // of a block

// Rows per block: at least some sixteen blocks, so that threads have work, in small systems; it follows
// from the system alone, and the bits from it.
static inline constexpr std::int64_t mace_block_rows(std::int64_t n_real) {
    const std::int64_t rows = (n_real / 16 + 7) / 8 * 8;
    return rows < 16 ? 16 : rows > kMaceMaxRows ? kMaceMaxRows : rows;
}

// A matrix of weights, packed for products from the left and, transposed, for their gradients. Of
// `n_sets` matrices, one behind the other: for each species one, or one for all.
template <class T> struct MaceLinear {
    int n_in = 0, n_out = 0;  // padded
    std::int64_t n_sets = 0, stride = 0, stride_transposed = 0;
    const T *w = nullptr, *transposed = nullptr;
    const T* of(int species) const { return w + (n_sets > 1 ? species * stride : 0); }
    const T* back_of(int species) const {
        return transposed + (n_sets > 1 ? species * stride_transposed : 0);
    }
};

struct MacePath {
    int up = 0;          // first component of u
    int n1 = 1, n3 = 1;  // components of u and of A
    int target = 0;      // irreps of x that it contributes to
    int place = 0;       // among the paths of that target
    int entry = 0;       // first of its n1 n3 numbers T, m3 fastest
    double factor = 0;   // where T is this number times the identity, as l2 = 0; else 0
};

// T[entry] += value Y[lm].
struct MaceTerm {
    std::int32_t entry, lm;
    double value;
};

// Irreps of x: components [first, first + n), of n_paths paths; `at`: where its part of A begins, in
// units of rows times padded channels.
struct MaceTarget {
    int first = 0, n = 1, n_paths = 0, at = 0;
};

// One component of B as a polynomial, read as
//   sum_a x_a (c_a + sum_b x_b (c_ab + sum_c c_abc x_c))
// `code`: for each a: a, 1 or 0 (whether there is c_a), number of b; for each b: b, 1 or 0, number of
// c; for each c: c. Coefficients of all channels stand in the order in which they are met.
struct MaceComponent {
    int n_a = 0;
    const std::int16_t* code = nullptr;
    std::int64_t first = 0;  // its first coefficient
};

// How u, h or x are made of irreps with components [first, first + n).
struct MaceIrreps {
    int n_slots = 0, n_components = 0;
    int first[kMaceMaxL + 2] = {}, n[kMaceMaxL + 2] = {};
};

template <class T> struct MaceLayer {
    int k_up = 0, k = 0;  // padded channels of u and A; of x and h'
    int channels = 0;     // of h', not padded
    bool first = false;   // u and the self connection follow from the species alone
    bool density = false, nonlinear = false;
    int l_max = 0, n_paths = 0, n_entries = 0, n_terms = 0, n_targets = 0;
    int n_x = 0;             // components of x
    std::int64_t a_row = 0;  // numbers of A per atom
    MaceIrreps up, in, out;
    const MacePath* paths = nullptr;
    const MaceTerm* terms = nullptr;  // by entry
    const MaceTarget* targets = nullptr;
    const MaceLinear<T>* up_w = nullptr;  // (up.n_slots)
    const T* species_up = nullptr;        // (S, k_up), first
    const MaceLinear<T>* lin = nullptr;   // (n_targets)
    const MaceLinear<T>* prod = nullptr;  // (out.n_slots)
    // Self connection of each slot of the output; n_in 0: none. From a table where first.
    const MaceLinear<T>* skip = nullptr;  // (out.n_slots)
    int skip_from[kMaceMaxL + 2] = {};    // its irreps of the input
    const T* species_skip = nullptr;      // (S, out.n_slots, k) where first; null: none
    // Of non-linear blocks: y = A lin / (beta rho + alpha) + u res; its scalars have 1 + n_gates parts of k.
    const MaceLinear<T>* res = nullptr;   // (n_targets), n_in 0: none
    int res_from[kMaceMaxL + 2] = {};     // its irreps of u
    const MaceLinear<T>* lin2 = nullptr;  // (n_targets)
    int n_gates = 0;
    double alpha = 1.0, beta = 1.0, gate_silu = 1.0, gate_sigmoid = 1.0;
    int n_b = 0;  // components of B, in the order of the output's slots
    const MaceComponent* components = nullptr;
};

// E = w2 . f act(f act(h w1) mid + mid_bias) + bias, with the part that is in the middle where `mid` is
// there; w2 . h where hidden = 0. `hidden` is padded.
template <class T> struct MaceReadout {
    int layer = 0, hidden = 0;
    Activation activation = Activation::silu;
    double factor = 1.0;
    const T *w1 = nullptr, *w1_transposed = nullptr;    // (k, hidden), (hidden, k)
    const T *mid = nullptr, *mid_transposed = nullptr;  // (hidden, hidden)
    const T *mid_bias = nullptr, *w2 = nullptr;         // (hidden); w2 (k) of a linear one
    double bias = 0.0;
};
constexpr int kMaceMaxHidden = 1024;  // numbers of a readout's layers

// R of all paths and their derivatives as polynomials of the distance. The distances up to the cutoff are
// cut into kMaceSegments, and segment s, as R is smoother farther out, into intervals first[s] to
// first[s + 1], of equal length; the argument of a polynomial is the fraction of its interval.
// Coefficients (path, chunk of channels, interval, channels / kLine, kMaceTerms, kLine), so that those of
// a path and a chunk stay in the L2 cache while many pairs read them. Single precision has one less, of
// shorter intervals: its loops wait for what they read.
template <class T> constexpr int kMaceTerms = sizeof(T) == 4 ? 5 : 6;
constexpr int kMaceSegments = 32;
template <class T> struct MaceRadialTable {
    int n = 0;
    double scale = 0.0;  // kMaceSegments / cutoff
    std::int32_t first[kMaceSegments + 1] = {};
    const T* rows = nullptr;
    const double* density = nullptr;  // (n, 6), or null

    // The interval of a distance; `x` the fraction, `slope` its derivative.
    int find(double r, double& x, double& slope) const {
        x = r * scale;
        int s = int(x);
        if (s >= kMaceSegments) s = kMaceSegments - 1;
        const int count = first[s + 1] - first[s];
        x = (x - s) * count;
        slope = scale * count;
        int k = int(x);
        if (k >= count) k = count - 1;
        x -= k;
        return first[s] + k;
    }
};

// Channels of a chunk, of k_up: as equal as can be, and no more than twelve lines.
template <class T> inline constexpr int mace_chunk(int k_up) {
    const int parts = (k_up + 12 * kLine<T> - 1) / (12 * kLine<T>);
    return padded((k_up + parts - 1) / parts);
}
// Place of the first coefficient of a channel; the next ones follow at distances of kLine.
template <class T> inline std::int64_t mace_table_place(int k_up, std::int64_t n, std::int64_t path,
                                                        std::int64_t interval, int channel) {
    const int chunk = mace_chunk<T>(k_up), first = channel / chunk * chunk;
    const int width = k_up - first < chunk ? k_up - first : chunk, c = channel - first;
    const std::int64_t before = path * n * k_up + first * n + interval * width;
    return kMaceTerms<T> * (before + c / kLine<T> * kLine<T>)+c % kLine<T>;
}

struct MaceZbl {
    bool on = false;
    double c[4] = {}, p = 6.0;
    const double* charge = nullptr;   // (S, S) 14.3996 Z_i Z_j / 2
    const double* inverse = nullptr;  // (S, S) 1 / a
    const double* range = nullptr;    // (S, S)
};

template <class T> struct MaceModel {
    int n_species = 1, n_layers = 0, n_readouts = 0;
    double cutoff = 0.0, scale = 1.0;
    const double* energy = nullptr;  // (S) of a lone atom of the head, with the shift
    const MaceLayer<T>* layers = nullptr;
    const MaceReadout<T>* readouts = nullptr;
    MaceZbl zbl;
    const T* zeros = nullptr;       // as many as any row
    const double* norms = nullptr;  // of harmonics, at l (l + 1) / 2 + m
    // Evaluates R and the density directly: six coefficients for each path and channel of one pair into
    // `rows`, as a table has them, of interval `pair` of n. Null: there are tables.
    void (*exact)(const void* radial, int layer, int si, int sj, double r, std::int64_t n,
                  std::int64_t pair, T* rows, double* density) = nullptr;
    const void* radial = nullptr;
};

// What was made for the species that are there; never changes.
template <class T> struct MaceTables {
    const MaceRadialTable<T>* radial = nullptr;  // (n_layers, S, S)
    const T* const* product = nullptr;           // (n_layers, S): coefficients (n, k)
};

// Blocks of rows, the entries of each for the rows that it touches, and the neighbors by place. The
// places of real rows are those of their block, by species; others are their own.
struct MacePlan {
    std::int64_t n_blocks = 0, n_entries = 0;
    const std::int64_t* first_entry = nullptr;  // (n_blocks + 1)
    const std::int64_t* start = nullptr;        // (n_homes + 1) entries of each home
    const std::int32_t* entry = nullptr;        // (n_entries)
    const std::int32_t* row = nullptr;          // (n_real) row of each place
    const std::int32_t* own_slot = nullptr;     // (n_real) by place
    const std::int32_t* place = nullptr;        // as list.index: place of each neighbor's home
    const std::int32_t* slot = nullptr;         // as list.index: entry in the block
    Neighbors list;                             // by species
    std::int64_t largest = 0;                   // neighbors of one row
};

// Arrays of the evaluation by place, padded channels; of each layer.
template <class T> struct MaceState {
    T* u[kMaceMaxLayers] = {};         // (n_homes, up.n_components, k_up), not of the first
    T* x[kMaceMaxLayers] = {};         // (n_real, n_x, k)
    T* y[kMaceMaxLayers] = {};         // (n_real, scalars and gated, k), of non-linear blocks
    T* h[kMaceMaxLayers] = {};         // (n_real, out.n_components, k)
    T* dh[kMaceMaxLayers] = {};        // the same: dE/dh
    double* rho[kMaceMaxLayers] = {};  // (n_real) density
    // (n_homes, up.n_components, k_up) dE/du but for messages, or null; and these, (n_entries, the same).
    T *du[kMaceMaxLayers] = {}, *messages[kMaceMaxLayers] = {};
    double* entries = nullptr;         // (n_entries, 4) forces
    double* virial_entries = nullptr;  // (n_entries, virial_stride_of(virial_width)) or null
    int virial_width = 0;              // 6 or 9
    double* virials = nullptr;         // (n_blocks, 6)
    double* energies = nullptr;        // (n_real) by place
    char* scratch = nullptr;
    std::size_t scratch_bytes = 0;
};

// What is asked: energies and gradients; features into Outputs::features; gradients with
// Outputs::feature_weights in place of the readouts'.
enum class MaceTask : int { energy = 0, features, weighted };

template <class T> struct MaceJob {
    MaceTask task = MaceTask::energy;
    const MaceModel<T>* model = nullptr;
    MaceTables<T> tables;
    System s;
    MacePlan plan;
    MaceState<T> state;
    Outputs out;
};

// Layer t from u to h', readouts, and u of the next layer.
MDKERN_KERNEL(mace_forward_double_compute, (const MaceJob<double>&, int t, int n_threads))
MDKERN_KERNEL(mace_forward_single_compute, (const MaceJob<float>&, int t, int n_threads))
// From dE/dh' of layer t, and the messages of layer t + 1, to forces and messages.
MDKERN_KERNEL(mace_backward_double_compute, (const MaceJob<double>&, int t, int n_threads))
MDKERN_KERNEL(mace_backward_single_compute, (const MaceJob<float>&, int t, int n_threads))
// Sums of the messages of rows behind the real ones, for other processes: state.du of these.
MDKERN_KERNEL(mace_collect_double_compute, (const MaceJob<double>&, int t, int n_threads))
MDKERN_KERNEL(mace_collect_single_compute, (const MaceJob<float>&, int t, int n_threads))

}  // namespace mdkern
