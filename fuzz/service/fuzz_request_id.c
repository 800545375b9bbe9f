/* fuzz_request_id.c - an id that is taken can be written into a header, a log line and a label
 * without an escape, and is never empty or long. */
#include "service/service_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool sane = sx_request_id_is_sane(sx_str_of(data, size));
    bool want = size >= 1 && size <= 128;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80;
        want = want && c && (letter || (c >= '0' && c <= '9') || strchr("._~:/+=-", c));
    }
    sx_assert(sane == want);
    return 0;
}
