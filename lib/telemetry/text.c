/* text.c - decimals. The digits are made two at a time from a table: an access log line has six
 * numbers and 300 ns. */
#include "telemetry/text.h"

#include <string.h>

static const char PAIRS[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

char *sx_text_u64(char *out, uint64_t value)
{
    char digits[SX_TEXT_U64_BYTES];
    char *at = digits + sizeof(digits);
    while (value >= 100) {
        at -= 2;
        memcpy(at, PAIRS + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(at, PAIRS + value * 2, 2);
    } else {
        *--at = (char)('0' + value);
    }
    size_t len = (size_t)(digits + sizeof(digits) - at);
    memcpy(out, at, len);
    return out + len;
}

char *sx_text_padded(char *out, uint64_t value, unsigned digits)
{
    for (char *at = out + digits; at > out; value /= 10)
        *--at = (char)('0' + value % 10);
    return out + digits;
}
