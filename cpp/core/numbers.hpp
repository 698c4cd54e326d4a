// Decimal numbers in texts, rounded as Python's float() rounds them.
#pragma once

#include <cstdint>

namespace mdkern {

enum class Word {
    number,
    hard,  // a number whose rounding takes more than one operation: somebody else's float() says
    other,
};

// [sign] digits [. digits] [e [sign] digits], with digits before or behind the point, and nothing else.
inline Word read_number(const char* at, const char* end, double& value) {
    // All powers of ten that are doubles.
    static constexpr double kPowers[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                           1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                           1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const bool minus = at < end && *at == '-';
    if (minus || (at < end && *at == '+')) ++at;
    std::uint64_t digits = 0;  // all of them as one integer
    int n_digits = 0, n_behind = 0;
    bool point = false, too_many = false;
    for (; at < end; ++at) {
        const unsigned digit = unsigned(*at) - unsigned('0');
        if (digit <= 9) {
            if (digits > 900'000'000'000'000'000U) too_many = true;
            if (!too_many) digits = 10 * digits + digit;
            ++n_digits;
            n_behind += point;
        } else if (*at == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (n_digits == 0) return Word::other;
    int exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        ++at;
        const bool below = at < end && *at == '-';
        if (below || (at < end && *at == '+')) ++at;
        if (at == end) return Word::other;
        for (; at < end; ++at) {
            const unsigned digit = unsigned(*at) - unsigned('0');
            if (digit > 9) return Word::other;
            exponent = exponent < 100'000 ? 10 * exponent + int(digit) : exponent;
        }
        if (below) exponent = -exponent;
    }
    if (at != end) return Word::other;
    exponent -= n_behind;
    // Both operands are exact, so that the one operation rounds as the decimal number is to be rounded
    // (W. D. Clinger, PLDI 1990).
    if (too_many || digits > (std::uint64_t(1) << 53) || exponent < -22 || exponent > 22)
        return Word::hard;
    const double size = double(digits);
    const double x = exponent < 0 ? size / kPowers[-exponent] : size * kPowers[exponent];
    value = minus ? -x : x;
    return Word::number;
}

}  // namespace mdkern
