/* fuzz_utf8.c - the quick check agrees with decoding one by one, and decoding with encoding. */
#include <sextant/utf8.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str all = sx_str_of(data, size);
    size_t at = 0, count = 0;
    for (;;) {
        uint32_t code;
        char back[4];
        sx_str rest = sx_str_from(all, at);
        size_t len = sx_utf8_decode(rest, &code);
        if (len == 0)
            break;
        sx_assert(sx_utf8_encode(code, back) == len);
        sx_assert(memcmp(back, rest.data, len) == 0);
        at += len;
        count++;
    }
    sx_assert(sx_utf8_valid_len(all) == at);
    sx_assert(sx_utf8_valid(all) == (at == size));
    sx_str valid = sx_str_first(all, at);
    sx_assert(sx_utf8_count(valid) == count);
    for (size_t max = at > 8 ? at - 8 : 0; max <= at; max++) {
        sx_str cut = sx_utf8_first(valid, max);
        sx_assert(cut.len <= max && max - cut.len < 4 && sx_utf8_valid(cut));
    }
    return 0;
}
