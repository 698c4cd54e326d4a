// What the CPU has and the operating system saves when it changes threads.
#pragma once

namespace mdkern {

// The sets of instructions that CMakeLists.txt lets the compiler use for avx2 and for avx512.
bool cpu_has_avx2();
bool cpu_has_avx512();

}  // namespace mdkern
