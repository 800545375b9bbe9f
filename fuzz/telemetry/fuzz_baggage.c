/* fuzz_baggage.c - checked baggage is within its limits, plain text, and written again from the
 * members that a walk gives it is right again and walks the same; tracestate that is right is plain
 * text within its limits. */
#include <sextant/buf.h>
#include <sextant/trace.h>

static void check_plain(sx_str text, size_t most)
{
    sx_assert(text.len <= most);
    for (size_t i = 0; i < text.len; i++)
        sx_assert(text.data[i] == '\t' || (text.data[i] >= ' ' && text.data[i] <= '~'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str input = sx_str_of(data, size), rest = input, key, value, key2, value2;
    check_plain(sx_tracestate_check(input), SX_TRACESTATE_MAX);
    while (sx_baggage_next(&rest, &key, &value)) /* ends even on what was not checked */
        sx_assert(key.data >= input.data && value.data <= input.data + input.len);
    sx_str checked = sx_baggage_check(input);
    check_plain(checked, SX_BAGGAGE_MAX);
    if (checked.len == 0)
        return 0;
    sx_buf again;
    sx_buf_init(&again, 0);
    size_t members = 0;
    rest = checked;
    while (sx_baggage_next(&rest, &key, &value)) {
        sx_assert(key.len > 0);
        if (members++ > 0)
            sx_buf_byte(&again, ',');
        sx_buf_str(&again, key);
        sx_buf_byte(&again, '=');
        sx_buf_str(&again, value);
    }
    sx_assert(members > 0 && members <= SX_BAGGAGE_MEMBERS);
    sx_str rest2 = sx_baggage_check(sx_buf_view(&again));
    sx_assert(rest2.len > 0);
    rest = checked;
    while (sx_baggage_next(&rest, &key, &value)) {
        sx_assert(sx_baggage_next(&rest2, &key2, &value2));
        sx_assert(sx_str_eq(key, key2) && sx_str_eq(value, value2));
    }
    sx_assert(!sx_baggage_next(&rest2, &key2, &value2));
    sx_buf_done(&again);
    return 0;
}
