#include "potentials/nep/nep.hpp"

#include <algorithm>

#include "potentials/nep/nep_scratch.hpp"

namespace mdkern {

std::size_t nep_scratch_bytes(const NepParams& p, std::int64_t largest, std::size_t real_bytes) {
    NepScratch<double> wide;
    NepScratch<float> narrow;
    const std::size_t bytes = real_bytes == sizeof(double)
                                  ? NepScratch<double>::layout(p, largest, nullptr, wide)
                                  : NepScratch<float>::layout(p, largest, nullptr, narrow);
    return (bytes + 4095) / 4096 * 4096;
}

}  // namespace mdkern
