// Morse: phi(r) = D [exp(-2 alpha (r - r0)) - 2 exp(-alpha (r - r0))] for r < r_cut, shifted or
// switched off smoothly on request.
#pragma once

#include "core/dispatch.hpp"
#include "core/types.hpp"

namespace mdkern {

// r_on < r_cut: phi times the quintic 6 s^5 - 15 s^4 + 10 s^3, s = 1 - (r - r_on) / (r_cut - r_on)
// (ASE's MorsePotential).
struct MorseParams {
    double D = 0.0, alpha = 0.0, r0 = 0.0, r_cut = 0.0, e0 = 0.0, r_on = 0.0;
    bool smooth = false;
};
MDKERN_KERNEL(morse_compute,
              (const MorseParams&, const System&, const Neighbors&, int, const Outputs&))

}  // namespace mdkern
