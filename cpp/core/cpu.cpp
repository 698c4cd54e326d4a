#include "core/cpu.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mdkern {

#if defined(__x86_64__)

namespace {

struct Features {
    unsigned leaf1, leaf7;  // ECX of leaf 1 and EBX of leaf 7 of CPUID
    unsigned saved;         // registers that the operating system saves: XCR0
};

// Not __builtin_cpu_supports: it reads what the compiler's runtime library has found out, and the one
// of Zig finds nothing.
Features read_features() {
    Features f{};
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
    f.leaf1 = c;
    if (c & bit_OSXSAVE) __asm__ volatile("xgetbv" : "=a"(f.saved), "=d"(d) : "c"(0));
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) f.leaf7 = b;
    return f;
}

// Read once: under a hypervisor CPUID is slow.
const Features& features() {
    static const Features f = read_features();
    return f;
}

bool all(unsigned word, unsigned bits) { return (word & bits) == bits; }

constexpr unsigned kYmm = 0x06;  // of XCR0: registers of 16 and of 32 bytes
// Masks, and the registers of 64 bytes. macOS sets these bits for a thread when it first uses them.
#if defined(__APPLE__)
constexpr unsigned kZmm = 0;
#else
constexpr unsigned kZmm = 0xe0;
#endif

}  // namespace

bool cpu_has_avx2() {
    const Features& f = features();
    return all(f.saved, kYmm) && all(f.leaf1, bit_AVX | bit_FMA | bit_POPCNT) &&
           all(f.leaf7, bit_AVX2 | bit_BMI | bit_BMI2);
}

bool cpu_has_avx512() {
    const Features& f = features();
    return cpu_has_avx2() && all(f.saved, kZmm) &&
           all(f.leaf7, bit_AVX512F | bit_AVX512DQ | bit_AVX512VL | bit_AVX512BW);
}

#else

bool cpu_has_avx2() { return false; }
bool cpu_has_avx512() { return false; }

#endif

}  // namespace mdkern
