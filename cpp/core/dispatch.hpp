// Which instruction set runs: detected once, at import, from the CPU and the operating system;
// overridden by MDKERN_ISA or set_isa(). Compiled for the baseline, never guarded by the compiler's
// own ISA macros.
#pragma once

#include <string>
#include <vector>

namespace mdkern {

enum class Isa : int { scalar = 0, avx2 = 1, avx512 = 2 };

const char* isa_name(Isa isa);
bool isa_compiled(Isa isa);
bool isa_supported(Isa isa);  // compiled, and this CPU and OS run it
Isa active_isa();
// "auto", "scalar", "avx2" or "avx512"; throws std::invalid_argument for others.
void set_isa(const std::string& name);
// Reads MDKERN_ISA; throws std::runtime_error with the variable and its value where it is none.
void init_isa();
std::string supported_names();  // "auto, scalar, avx2, ..." for messages
std::string cpu_name();

// One entry per ISA. Calling it runs the kernel of the active ISA.
template <class F> struct Kernel;
template <class R, class... A> struct Kernel<R(A...)> {
    R (*variant[3])(A...);
    R operator()(A... a) const { return variant[int(active_isa())](a...); }
};

}  // namespace mdkern

// MDKERN_KERNEL(what_compute, (arguments)) declares a function of this name for each instruction
// set, in the namespaces scalar, avx2 and avx512, and the callable mdkern::what_compute, which runs
// the one of the active set. Kernel sources include the declaration and define the function in
// namespace MDKERN_ISA.
#if defined(MDKERN_ISA)
#define MDKERN_KERNEL(name, arguments) \
    namespace MDKERN_ISA {             \
    void name arguments;               \
    }
#else
#if defined(MDKERN_HAVE_AVX2)
#define MDKERN_DECLARE_AVX2(name, arguments) \
    namespace avx2 {                         \
    void name arguments;                     \
    }
#define MDKERN_AVX2(name) &avx2::name
#else
#define MDKERN_DECLARE_AVX2(name, arguments)
#define MDKERN_AVX2(name) nullptr
#endif
#if defined(MDKERN_HAVE_AVX512)
#define MDKERN_DECLARE_AVX512(name, arguments) \
    namespace avx512 {                         \
    void name arguments;                       \
    }
#define MDKERN_AVX512(name) &avx512::name
#else
#define MDKERN_DECLARE_AVX512(name, arguments)
#define MDKERN_AVX512(name) nullptr
#endif
#define MDKERN_KERNEL(name, arguments)            \
    namespace scalar {                            \
    void name arguments;                          \
    }                                             \
    MDKERN_DECLARE_AVX2(name, arguments)          \
    MDKERN_DECLARE_AVX512(name, arguments)        \
    inline constexpr Kernel<void arguments> name{ \
        {&scalar::name, MDKERN_AVX2(name), MDKERN_AVX512(name)}};
#endif
