#include "potentials/deepmd/deep.hpp"

namespace mdkern {

template <class T> std::size_t deep_scratch_bytes(const DeepModel<T>& model, std::int64_t largest) {
    DeepScratch<T> scratch;
    return (scratch.take(model, largest, nullptr) + 4095) / 4096 * 4096;
}
template std::size_t deep_scratch_bytes(const DeepModel<double>&, std::int64_t);
template std::size_t deep_scratch_bytes(const DeepModel<float>&, std::int64_t);

}  // namespace mdkern
