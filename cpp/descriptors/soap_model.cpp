#include "descriptors/soap_model.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace mdkern {

SoapModel::SoapModel(const Fields& f) : fields_(f) {
    SoapParams& p = params_;
    p.n_max = f.integer("n_max", 1, 1 << 10);
    p.l_max = f.integer("l_max", 0, kSoapMaxL);
    p.n_stride = (p.n_max + 7) / 8 * 8;
    p.weighting = SoapWeight(f.integer("weighting", 0, 3));
    p.cutoff = f.positive("cutoff");
    p.n_species = f.length("channel", 0, 1, kMaxSpecies);
    p.channel = f.array<std::int32_t>("channel", {p.n_species});
    p.species_weight = f.array<double>("species_weight", {p.n_species});
    for (int z = 0; z < p.n_species; ++z) {
        if (p.channel[z] < 0 || p.channel[z] >= kMaxSpecies)
            throw std::invalid_argument(f.prefix() + "channel: " + std::to_string(p.channel[z]) +
                                        "; expected 0 to " + std::to_string(kMaxSpecies - 1));
        p.n_channels = std::max(p.n_channels, p.channel[z] + 1);
    }
    p.total = f.integer("total", -1, kMaxSpecies);
    // The sum of the channels stands behind them.
    if (p.total >= 0 && p.total < p.n_channels)
        throw std::invalid_argument(f.prefix() + "total: " + std::to_string(p.total) +
                                    "; expected at least " + std::to_string(p.n_channels));
    if (p.total >= 0) p.n_channels = p.total + 1;
    p.n_cells = f.length("table", 0, 1, 1 << 24);
    p.table = f.array<double>("table", {p.n_cells, p.l_max + 1, kSoapOrder, p.n_stride});
    p.harmonics = f.array<double>("harmonics", {(p.l_max + 1) * (p.l_max + 2) / 2, 4});
    p.c = f.number("weight_c");
    p.d = f.number("weight_d");
    p.m = f.number("weight_m");
    p.r0 = f.number("weight_r0");
    p.has_w0 = f.has("weight_w0");
    if (p.has_w0) p.w0 = f.number("weight_w0");
    p.switch_width = f.number("switch_width");
    const std::int64_t n_blocks = f.length("blocks", 0);
    const std::int32_t* ends = f.array<std::int32_t>("blocks", {n_blocks, 2});
    std::int64_t offset = 0;
    for (std::int64_t q = 0; q < n_blocks; ++q) {
        const std::int32_t a = ends[2 * q], b = ends[2 * q + 1];
        if (a < 0 || b < 0 || a >= p.n_channels || b >= p.n_channels)
            throw std::invalid_argument(f.prefix() + "blocks: " + std::to_string(a) + ", " +
                                        std::to_string(b) + "; expected channels below " +
                                        std::to_string(p.n_channels));
        blocks_.push_back({a, b, a == b, std::int32_t(offset)});
        offset += block_features(blocks_.back());
        if (offset > std::numeric_limits<std::int32_t>::max())
            throw std::invalid_argument(f.prefix() + "blocks: of 2^31 features or more");
    }
    p.n_features = offset;
    p.n_blocks = int(blocks_.size());
    p.blocks = blocks_.data();
}

std::int64_t SoapModel::block_features(const SoapBlock& block) const {
    const std::int64_t n = params_.n_max;
    return (params_.l_max + 1) * (block.triangle ? n * (n + 1) / 2 : n * n);
}

void SoapModel::gradients(const System& s, const Neighbors& list, const Centers& centers,
                          const WeightedTask& task, int team) const {
    SoapTask own;
    own.centers = centers;
    own.scratch = task.scratch;
    own.scratch_stride = task.stride;
    SoapVjpTask job;
    job.weights = task.weights;
    job.weight_row = task.row;
    job.energies = task.energies;
    job.out = task.out;
    soap_vjp_compute(params_, s, list, own, job, team);
}

}  // namespace mdkern
