#include "potentials/behler_parrinello/behler_parrinello.hpp"

#include "potentials/behler_parrinello/symmetry_scratch.hpp"

namespace mdkern {

std::size_t behler_parrinello_scratch(const BehlerParrinelloParams& p, std::int64_t largest) {
    SymmetryScratch scratch;
    return (scratch.layout(p, largest, nullptr) + 4095) / 4096 * 4096;
}

}  // namespace mdkern
