#include "descriptors/bispectrum_scratch.hpp"

namespace mdkern {

std::size_t bispectrum_scratch_bytes(const BispectrumParams& p, std::int64_t longest) {
    BispectrumWork work;
    constexpr int kWidest = 8;  // lanes of any instruction set
    return (work.take(nullptr, p, longest, kWidest) + 4095) / 4096 * 4096;
}

}  // namespace mdkern
