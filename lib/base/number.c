/* number.c - doubles from and to decimal text.
 *
 * Most numbers that we meet are short: coordinates, counts, seconds. Reading: up to 19 digits give
 * an exact integer; if it is at most 2^53 and the power of ten is one of those that a double holds
 * exactly (10^0 to 10^22), a single multiplication or division rounds once and so correctly
 * (Clinger, "How to Read Floating Point Numbers Accurately", 1990). Writing: a value that is n / 10^6
 * with n below 10^15 needs no search for the shortest digits: decimals of at most 15 digits are all
 * different as doubles, so n without its trailing zeros is the shortest. All else goes to the shim. */
#include <sextant/number.h>

#include <math.h>

#include "base/number_shim.h"

static const double POWER_OF_TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum { EXACT_POWER_MAX = 22, DIGITS_MAX = 19 };

bool sx_double_of_decimal(uint64_t mantissa, int exp10, bool negative, double *out)
{
    if (mantissa > (uint64_t)1 << 53)
        return false;
    double value = (double)mantissa;
    if (exp10 != 0 && mantissa != 0) {
        if (exp10 < -EXACT_POWER_MAX || exp10 > EXACT_POWER_MAX)
            return false;
        if (exp10 < 0)
            value /= POWER_OF_TEN[-exp10];
        else
            value *= POWER_OF_TEN[exp10];
    }
    *out = negative ? -value : value;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number as it was met. */
typedef struct decimal {
    uint64_t mantissa;  /* of all digits; has wrapped if more than DIGITS_MAX are significant */
    int64_t exp10;      /* of the mantissa's last digit */
    const char *digits; /* where they begin */
    size_t count;       /* how many there are, leading zeros too */
} decimal;

static const char *read_digits(decimal *d, const char *at, const char *end)
{
    const char *from = at;
    uint64_t mantissa = d->mantissa;
    for (; at < end && is_digit(*at); at++)
        mantissa = mantissa * 10 + (uint64_t)(*at - '0');
    d->mantissa = mantissa;
    d->count += (size_t)(at - from);
    return at;
}

/* Whether the mantissa is whole: at most DIGITS_MAX digits behind the leading zeros. */
static bool fits_mantissa(const decimal *d)
{
    if (sx_likely(d->count <= DIGITS_MAX))
        return true;
    size_t zeros = 0;
    for (const char *at = d->digits; zeros < d->count && (*at == '0' || *at == '.'); at++)
        zeros += *at == '0';
    return d->count - zeros <= DIGITS_MAX;
}

/* Reads e[+-]digits if it is all there; else returns `at`: the number ended before the e. */
static const char *read_exponent(decimal *d, const char *at, const char *end)
{
    const char *p = at + 1;
    bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !is_digit(*p))
        return at;
    int64_t exponent = 0;
    for (; p < end && is_digit(*p); p++) {
        if (exponent < 100000000)
            exponent = exponent * 10 + (*p - '0');
    }
    d->exp10 += minus ? -exponent : exponent;
    return p;
}

size_t sx_double_scan(sx_str s, double *out)
{
    if (s.len == 0)
        return 0;
    const char *at = s.data, *end = s.data + s.len;
    bool negative = *at == '-';
    at += negative;
    if (at == end || !is_digit(*at))
        return 0;
    decimal d = {.digits = at};
    at = *at == '0' ? read_digits(&d, at, at + 1) : read_digits(&d, at, end);
    if (end - at >= 2 && *at == '.' && is_digit(at[1])) {
        const char *fraction = at + 1;
        at = read_digits(&d, fraction, end);
        d.exp10 = -(int64_t)(at - fraction);
    }
    if (at < end && (*at == 'e' || *at == 'E'))
        at = read_exponent(&d, at, end);
    size_t used = (size_t)(at - s.data);
    bool is_whole = fits_mantissa(&d);
    if (is_whole && d.exp10 >= -EXACT_POWER_MAX && d.exp10 <= EXACT_POWER_MAX &&
        sx_likely(sx_double_of_decimal(d.mantissa, (int)d.exp10, negative, out)))
        return used;
    if (is_whole && d.mantissa == 0)
        *out = negative ? -0.0 : 0.0;
    else
        *out = sx_shim_double_of_text(s.data, used);
    return used;
}

/* The shortest digits: value = 0.d1d2d3... * 10^point. */
typedef struct shortest {
    char digits[20];
    int count;
    int point;
} shortest;

/* All pairs of digits: halves the divisions. */
static const char PAIRS[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static char *put_u64(char *at, uint64_t value)
{
    char text[20];
    size_t i = sizeof(text);
    while (value >= 100) {
        i -= 2;
        memcpy(text + i, PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        i -= 2;
        memcpy(text + i, PAIRS + value * 2, 2);
    } else {
        text[--i] = (char)('0' + value);
    }
    memcpy(at, text + i, sizeof(text) - i);
    return at + (sizeof(text) - i);
}

/* Digits of a value (finite, above 0) that has at most 6 after the point; false if it has more. */
static bool short_digits(double value, shortest *s)
{
    if (!(value < 1e9) || value < 1e-3)
        return false;
    double scaled = value * 1e6;
    uint64_t n = (uint64_t)(scaled + 0.5);
    if ((double)n / 1e6 != value) /* both exact, so the quotient is what reading would give */
        return false;
    int zeros = 0;
    while (n % 10 == 0) {
        n /= 10;
        zeros++;
    }
    s->count = (int)(put_u64(s->digits, n) - s->digits);
    s->point = s->count + zeros - 6;
    return true;
}

static void find_digits(double value, shortest *s)
{
    if (short_digits(value, s))
        return;
    char text[32];
    size_t len = sx_shim_shortest(value, text, sizeof(text));
    size_t at = 0;
    s->count = 0;
    for (; at < len && text[at] != 'e'; at++) {
        if (text[at] != '.')
            s->digits[s->count++] = text[at];
    }
    int exponent = 0;
    for (size_t i = at + 2; i < len; i++)
        exponent = exponent * 10 + (text[i] - '0');
    s->point = 1 + (text[at + 1] == '-' ? -exponent : exponent);
}

/* What the styles differ in. */
static const struct layout {
    int exponent_below; /* an exponent is written if point - 1 is below this ... */
    int exponent_from;  /* ... or from this on */
    int exponent_digits;
    const char *whole_tail; /* after a number without a point */
    const char *nan, *inf, *minus_inf, *zero, *minus_zero;
} LAYOUTS[] = {
    [SX_DOUBLE_JS] = {-6, 21, 1, "", "NaN", "Infinity", "-Infinity", "0", "0"},
    [SX_DOUBLE_PYTHON] = {-4, 16, 2, ".0", "nan", "inf", "-inf", "0.0", "-0.0"},
    [SX_DOUBLE_GO] = {-4, 6, 2, "", "NaN", "+Inf", "-Inf", "0", "-0"},
};

static char *put_text(char *at, const char *text)
{
    size_t len = strlen(text);
    memcpy(at, text, len);
    return at + len;
}

static char *put_zeros(char *at, int count)
{
    if (count > 0)
        memset(at, '0', (size_t)count);
    return count > 0 ? at + count : at;
}

static char *put_bytes(char *at, const char *from, int count)
{
    memcpy(at, from, (size_t)count);
    return at + count;
}

/* 123, 123000, 12.3, 0.00123 */
static char *put_plain(char *at, const shortest *s, const char *whole_tail)
{
    if (s->point <= 0) {
        at = put_text(at, "0.");
        at = put_zeros(at, -s->point);
        return put_bytes(at, s->digits, s->count);
    }
    if (s->point >= s->count) {
        at = put_bytes(at, s->digits, s->count);
        at = put_zeros(at, s->point - s->count);
        return put_text(at, whole_tail);
    }
    at = put_bytes(at, s->digits, s->point);
    *at++ = '.';
    return put_bytes(at, s->digits + s->point, s->count - s->point);
}

/* 1.23e+45 */
static char *put_scientific(char *at, const shortest *s, int exponent_digits)
{
    *at++ = s->digits[0];
    if (s->count > 1) {
        *at++ = '.';
        at = put_bytes(at, s->digits + 1, s->count - 1);
    }
    int exponent = s->point - 1;
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    exponent = exponent < 0 ? -exponent : exponent;
    if (exponent < 10 && exponent_digits > 1)
        *at++ = '0';
    return put_u64(at, (uint64_t)exponent);
}

/* The names of what is no ordinary number, or NULL. */
static const char *special(double value, const struct layout *l)
{
    if (isnan(value))
        return l->nan;
    if (isinf(value))
        return value > 0 ? l->inf : l->minus_inf;
    if (value == 0)
        return signbit(value) ? l->minus_zero : l->zero;
    return NULL;
}

static size_t finish(char *out, char *end)
{
    *end = '\0';
    return (size_t)(end - out);
}

size_t sx_double_format(double value, sx_double_style style, char out[SX_DOUBLE_BYTES])
{
    const struct layout *l = &LAYOUTS[style];
    const char *name = special(value, l);
    if (sx_unlikely(name != NULL))
        return finish(out, put_text(out, name));
    char *at = out;
    if (value < 0)
        *at++ = '-';
    shortest s;
    find_digits(fabs(value), &s);
    if (s.point - 1 < l->exponent_below || s.point - 1 >= l->exponent_from)
        at = put_scientific(at, &s, l->exponent_digits);
    else
        at = put_plain(at, &s, l->whole_tail);
    return finish(out, at);
}

size_t sx_double_plain(double value, char out[SX_DOUBLE_FIXED_BYTES])
{
    const char *name = special(value, &LAYOUTS[SX_DOUBLE_GO]);
    if (name)
        return finish(out, put_text(out, name));
    char *at = out;
    if (value < 0)
        *at++ = '-';
    shortest s;
    find_digits(fabs(value), &s);
    return finish(out, put_plain(at, &s, ""));
}

size_t sx_double_fixed(double value, int digits, char out[SX_DOUBLE_FIXED_BYTES])
{
    sx_assert(digits >= 0 && digits <= 100);
    if (isnan(value) || isinf(value))
        return finish(out, put_text(out, special(value, &LAYOUTS[SX_DOUBLE_GO])));
    size_t len = sx_shim_fixed(value, digits, out, SX_DOUBLE_FIXED_BYTES - 1);
    return finish(out, out + len);
}
