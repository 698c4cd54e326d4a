// Radial functions of ACE as files define them, and the tables that kernels read instead.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffers.hpp"
#include "core/fields.hpp"
#include "potentials/ace/ace.hpp"

namespace mdkern {

enum class AceBasis : int {
    cheb_exp_cos = 0,
    cheb_pow = 1,
    cheb_linear = 2,
    sbessel = 3,
    zero = 4
};
enum class AceInner : int { density = 0, distance = 1, zbl = 2 };

// One channel: R_nl; g_n (l = -1); the core repulsion (l = -2); what density n has of the g (l = -3).
struct AceChannel {
    int l = 0, n = 0;
    static constexpr int kBase = -1, kCore = -2, kDensity = -3;
};

// Radial functions of one ordered pair of elements.
class AceRadial {
public:
    // Fields of the pair; `charges`: atomic numbers of center and neighbor. Throws std::invalid_argument.
    AceRadial(const Fields& pair, int n_max, int l_max, int n_base, AceInner inner,
              const double charges[2]);
    double cutoff() const { return cutoff_; }
    double inner_radius() const { return r_in_; }
    double inner_width() const { return d_in_; }
    bool core() const { return prehc_ != 0.0; }
    // Where a higher derivative jumps, or may change within a short way.
    std::vector<double> edges() const;

    // Values and derivatives of the channels at r > 0, without the bin before the cutoff. sums: coefficients of the g
    // for each density, (n_densities, n_base); may be null where no channel is of this kind.
    void evaluate(double r, const std::vector<AceChannel>& channels, const double* sums, double* f,
                  double* df) const;

private:
    void basis(double r, double* g, double* dg) const;
    void core(double r, double& h, double& dh) const;

    AceBasis basis_ = AceBasis::zero;
    AceInner inner_ = AceInner::density;
    int l_max_ = 0, n_base_ = 0;
    double parameter_ = 0.0, cutoff_ = 0.0, dcut_ = 0.0, prehc_ = 0.0, lambdahc_ = 0.0, r_in_ = 0.0,
           d_in_ = 0.0, charge_ = 0.0, screening_ = 0.0, zbl_[3] = {};
    const double* c_ = nullptr;  // (n_max, l_max + 1, n_base)
};

// A table and its memory.
struct AceTableMemory {
    AceTable view;
    std::vector<std::int32_t> map;
    std::vector<double> place;
    Buffer<double> rows, scale;
};

// The definition is a table of the file: cubic polynomials through values and slopes at the ends of bins of equal
// width near `bin`, zero at the cutoff, and nothing below the first one's end. Intervals of this table are as long as a
// polynomial of degree five stays within kAceBound of it, relative to the larger of the channel's value and
// its largest beyond a quarter of the cutoff; where no two bins do, an interval is one bin and the same to
// rounding. Throws UnusableModel where functions are not finite, or the table would take too much memory.
constexpr double kAceBound = 2e-13, kAceBinBound = 1e-11;
void make_ace_table(const AceRadial& radial, double bin, const std::vector<AceChannel>& channels,
                    const double* sums, AceTableMemory& to);

}  // namespace mdkern
