// Tables of functions of one number, in place of embedding nets.
#pragma once

namespace mdkern {

// A function of one number with many outputs: quintic polynomials on steps of equal length from
// `lower` on. Coefficients [step][block of kLine outputs][6][kLine], of (x - lower) / step - k.
template <class T> struct QuinticTable {
    double lower = 0.0, inverse_step = 0.0;
    int n_steps = 0, n_blocks = 0;
    const T* c = nullptr;
};

}  // namespace mdkern
