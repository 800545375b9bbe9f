/* fuzz_profile_symbols.c - any bytes as what pprof asks for at /debug/pprof/symbol: an answer begins as
 * the protocol says and has no more lines than there were addresses; a refusal has a message and adds
 * nothing. */
#include <sextant/profile.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sx_str HEAD = SX_STR_INIT("num_symbols: 1\n");
    sx_str request = sx_str_of(data, size), line, rest;
    sx_error err = {0};
    sx_buf out;
    size_t asked = 1, answered = 0;
    sx_buf_init(&out, 0);
    for (size_t i = 0; i < size; i++)
        asked += data[i] == '+';
    if (sx_profile_symbols(request, &out, &err) == SX_OK) {
        sx_assert(sx_str_starts(sx_buf_view(&out), HEAD));
        for (rest = sx_str_from(sx_buf_view(&out), HEAD.len); rest.len > 0; answered++) {
            sx_assert(sx_str_cut(rest, '\n', &line, &rest));
            sx_assert(sx_str_starts(line, SX_STR("0x")) &&
                      sx_str_find(line, SX_STR("\t")) < line.len);
        }
        sx_assert(answered <= asked);
    } else {
        sx_assert(err.message[0] != '\0' && out.len == 0);
    }
    sx_buf_done(&out);
    return 0;
}
