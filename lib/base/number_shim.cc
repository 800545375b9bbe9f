/* number_shim.cc - std::from_chars and std::to_chars for C. Neither allocates nor throws. */
#include "base/number_shim.h"

#include <charconv>
#include <cmath>
#include <cstring>

/* from_chars leaves the value alone when it is out of range, and does not say on which side. What
 * is too small has an exponent far below zero; only its sign has to be found. */
static double out_of_range(const char *text, size_t len)
{
    bool negative = len > 0 && text[0] == '-';
    long exponent = 0;
    long leading = 0; /* decimal exponent of the first digit that is not 0 */
    bool seen_point = false, seen_digit = false;
    size_t at = negative ? 1 : 0;
    for (; at < len && text[at] != 'e' && text[at] != 'E'; at++) {
        if (text[at] == '.') {
            seen_point = true;
        } else if (!seen_digit) {
            leading -= seen_point;
            seen_digit = text[at] != '0';
            leading += seen_digit && !seen_point;
        } else if (!seen_point) {
            leading++;
        }
    }
    if (at < len) {
        bool minus = text[at + 1] == '-';
        at += text[at + 1] == '-' || text[at + 1] == '+' ? 2 : 1;
        for (; at < len && exponent < 1000000000000L; at++)
            exponent = exponent * 10 + (text[at] - '0');
        exponent = minus ? -exponent : exponent;
    }
    double size = leading + exponent > 0 ? HUGE_VAL : 0.0;
    return negative ? -size : size;
}

double sx_shim_double_of_text(const char *text, size_t len)
{
    double value = 0;
    std::from_chars_result result = std::from_chars(text, text + len, value);
    if (result.ec == std::errc::result_out_of_range)
        return out_of_range(text, len);
    return value;
}

size_t sx_shim_shortest(double value, char *out, size_t cap)
{
    std::to_chars_result result =
        std::to_chars(out, out + cap, value, std::chars_format::scientific);
    return result.ec == std::errc() ? (size_t)(result.ptr - out) : 0;
}

size_t sx_shim_fixed(double value, int digits, char *out, size_t cap)
{
    std::to_chars_result result =
        std::to_chars(out, out + cap, value, std::chars_format::fixed, digits);
    return result.ec == std::errc() ? (size_t)(result.ptr - out) : 0;
}
