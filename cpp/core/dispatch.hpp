// Which instruction set runs: detected once, at import, from the CPU and the operating system;
// overridden by MDKERN_ISA or set_isa(). Compiled for the baseline, never guarded by the compiler's
// own ISA macros.
#pragma once

#include <string>
#include <vector>

namespace mdkern {

enum class Isa : int { scalar = 0, avx2 = 1, avx512 = 2, neon = 3 };
// From the narrowest to the widest of each architecture.
inline constexpr Isa kIsas[] = {Isa::scalar, Isa::avx2, Isa::avx512, Isa::neon};

const char* isa_name(Isa isa);
bool isa_compiled(Isa isa);
bool isa_supported(Isa isa);  // compiled, and this CPU and OS run it
Isa active_isa();
// "auto", or the name of one; throws std::invalid_argument for others.
void set_isa(const std::string& name);
// Reads MDKERN_ISA; throws std::runtime_error with the variable and its value where it is none.
void init_isa();
std::string supported_names();  // "auto, scalar, avx2, ..." for messages
std::string cpu_name();

// One entry per ISA. Calling it runs the kernel of the active ISA.
template <class F> struct Kernel;
template <class R, class... A> struct Kernel<R(A...)> {
    R (*variant[4])(A...);
    R operator()(A... a) const { return variant[int(active_isa())](a...); }
};

}  // namespace mdkern

// MDKERN_KERNEL(what_compute, (arguments)) declares a function of this name for each instruction
// set, in the namespaces scalar, avx2, avx512 and neon, and the callable mdkern::what_compute, which runs
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
#if defined(MDKERN_HAVE_NEON)
#define MDKERN_DECLARE_NEON(name, arguments) \
    namespace neon {                         \
    void name arguments;                     \
    }
#define MDKERN_NEON(name) &neon::name
#else
#define MDKERN_DECLARE_NEON(name, arguments)
#define MDKERN_NEON(name) nullptr
#endif
#define MDKERN_KERNEL(name, arguments)            \
    namespace scalar {                            \
    void name arguments;                          \
    }                                             \
    MDKERN_DECLARE_AVX2(name, arguments)          \
    MDKERN_DECLARE_AVX512(name, arguments)        \
    MDKERN_DECLARE_NEON(name, arguments)          \
    inline constexpr Kernel<void arguments> name{ \
        {&scalar::name, MDKERN_AVX2(name), MDKERN_AVX512(name), MDKERN_NEON(name)}};
#endif
