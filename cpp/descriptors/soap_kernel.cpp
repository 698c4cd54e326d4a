// Values of SOAP: densities and power spectra.
#include "descriptors/soap_tile.hpp"

namespace mdkern {
namespace MDKERN_ISA {

using namespace soap;

void soap_values_compute(const SoapParams& p, const System& s, const Neighbors& list,
                         const SoapTask& task, int n_threads, double* out, float* single) {
    each_center(p, s, list, task, n_threads, [&](std::int64_t c, const Work& k) {
        const std::int64_t at = task.centers.output[c] * p.n_features;
        power(p, k.c, k.present, single ? k.features : out + at);
        if (single) convert(k.features, p.n_features, single + at);
    });
}

void soap_density_compute(const SoapParams& p, const System& s, const Neighbors& list,
                          const SoapTask& task, int n_threads, double* sums) {
    const std::int64_t size = soap_coefficients(p), per_channel = soap_lm(p) * p.n_stride;
    parallel_for_thread(n_blocks(task.centers.n), n_threads, 1, [&](std::int64_t b, int thread) {
        Work batch[kSoapBatch];
        take_work(p, task.scratch + thread * task.scratch_stride, task.centers.longest, batch);
        Work& k = batch[0];
        double* sum = sums + b * size;
        for (std::int64_t i = 0; i < size; ++i) sum[i] = 0.0;
        const std::int64_t end =
            (b + 1) * kPairBlock < task.centers.n ? (b + 1) * kPairBlock : task.centers.n;
        for (std::int64_t c = b * kPairBlock; c < end; ++c) {
            gather(p, s, list, task.centers.row[c], k);
            density(p, &k, 1);
            for (int ch = 0; ch < p.n_channels; ++ch)
                if (k.present[ch])
                    for (std::int64_t i = ch * per_channel; i < (ch + 1) * per_channel; ++i)
                        sum[i] += k.c[i];
        }
    });
}

void soap_power_compute(const SoapParams& p, const double* coefficients, double* out) {
    power(p, coefficients, nullptr, out);
}

}  // namespace MDKERN_ISA
}  // namespace mdkern
