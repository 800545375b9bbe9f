/* fuzz_number.c - what is read as a number is what strtod reads, and prints back to the same. */
#include <sextant/number.h>

#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double value, again;
    size_t used = sx_double_scan(sx_str_of(data, size), &value);
    sx_assert(used <= size);
    if (used == 0)
        return 0;
    char *z = sx_alloc(used + 1);
    if (!z)
        return 0;
    memcpy(z, data, used);
    z[used] = '\0';
    char *end;
    double slow = strtod(z, &end);
    sx_assert(end == z + used); /* ours is a part of C's grammar */
    sx_assert(memcmp(&slow, &value, sizeof(slow)) == 0);
    sx_free(z);
    if (isinf(value))
        return 0;
    for (int style = SX_DOUBLE_JS; style <= SX_DOUBLE_GO; style++) {
        char text[SX_DOUBLE_BYTES];
        size_t len = sx_double_format(value, (sx_double_style)style, text);
        sx_assert(len < sizeof(text) && strlen(text) == len);
        sx_assert(sx_double_parse(sx_str_of(text, len), &again) && again == value);
    }
    char text[SX_DOUBLE_FIXED_BYTES];
    size_t len = sx_double_plain(value, text);
    sx_assert(sx_double_parse(sx_str_of(text, len), &again) && again == value);
    return 0;
}
