// The radial functions of MACE as the model defines them, by nets of each distance; and the tables that
// kernels read instead.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffers.hpp"
#include "core/fields.hpp"
#include "potentials/mace/mace.hpp"
#include "potentials/mace/mace_net.hpp"

namespace mdkern {

// Layers h <- silu(norm(h w + b)), the last one h w + b. norm: of each row to mean 0 and variance 1,
// times gain, plus offset; where there is a gain.
class MaceNet {
public:
    MaceNet() = default;
    // Fields w, and perhaps b, gain, offset, of the groups 0, 1, ...
    MaceNet(const Fields& f, std::int64_t n_in);
    int n_out() const { return layers_.empty() ? 0 : layers_.back().n_out; }
    int widest() const { return widest_; }
    // Values and derivatives of the output from those of the input, which are overwritten; room for
    // widest() numbers in each of four arrays. Returns which of the pairs has the result.
    struct Jet {
        double *value, *slope;
    };
    Jet operator()(Jet input, Jet other) const;

private:
    struct Layer {
        int n_in = 0, n_out = 0;
        const double *w = nullptr, *b = nullptr, *gain = nullptr, *offset = nullptr;
    };
    std::vector<Layer> layers_;
    int widest_ = 1;
};

class MaceRadial {
public:
    // Fields of the group `radial` of the model and of those of its layers. Throws
    // std::invalid_argument.
    MaceRadial(const Fields& model, int n_species, const std::vector<int>& n_paths,
               const std::vector<int>& channels);
    bool of_species(int layer) const {
        return transform_ != 0 || layers_[std::size_t(layer)].n_embed > 0;
    }
    // Whether R_ij differs from R_ji.
    bool ordered(int layer) const { return layers_[std::size_t(layer)].n_embed > 0; }
    bool density(int layer) const { return layers_[std::size_t(layer)].density.n_out() > 0; }
    std::size_t room() const { return room_; }

    // (n_paths channels) values and derivatives for a pair of the species of centre and neighbor into r and
    // dr; density and derivative into rho (2). scratch: room() numbers.
    void evaluate(int layer, int si, int sj, double distance, double* r, double* dr, double* rho,
                  double* scratch) const;
    int n_functions(int layer) const { return layers_[std::size_t(layer)].net.n_out(); }
    int channels(int layer) const { return layers_[std::size_t(layer)].channels; }
    double cutoff() const { return cutoff_; }

private:
    struct Layer {
        MaceNet net, density;
        int n_embed = 0, channels = 0;
        const double *source = nullptr, *target = nullptr;
    };
    void basis(int si, int sj, double r, double* b, double* db, double& f, double& df) const;

    int n_basis_ = 0, kind_ = 0, transform_ = 0;
    bool cutoff_inside_ = true;
    double cutoff_ = 0.0, p_ = 0.0, prefactor_ = 0.0, transform_p_[3] = {};
    const double *basis_ = nullptr, *radii_ = nullptr;
    std::vector<Layer> layers_;
    std::size_t room_ = 0;
};

// A table of one pair of species in one layer and its memory.
template <class T> struct MaceTable {
    MaceRadialTable<T> view;
    Buffer<T> rows;
    std::vector<double> density;
};

// Intervals are added until the table is within `bound` of the largest value at this distance and
// beyond, at the two places of each interval where a polynomial through its ends and middle deviates
// most; where that is less than kMaceLeastPart of the largest of all, of this. The density likewise, by
// itself. Throws UnusableModel where kMaceMostIntervals in a segment do not suffice, as the model has numbers
// that no table can hold.
constexpr int kMaceMostIntervals = 256;
constexpr double kMaceLeastPart = 1e-2;
template <class T> MaceTable<T> make_mace_table(const MaceRadial& radial, int layer, int si, int sj,
                                                int n_paths, int k, double bound);

}  // namespace mdkern
