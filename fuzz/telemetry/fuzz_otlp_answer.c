/* fuzz_otlp_answer.c - whatever a receiver answers, what is made of it is bounded, can be printed, and
 * agrees with the status. Input: kind|status|type or message|Retry-After or details|body. */
#include <sextant/grpc.h>

#include "telemetry/otlp_answer.h"
#include "codec/base64.h"

static void check(const sx_otlp_answer *a)
{
    sx_str text = sx_str_z(a->text);
    sx_assert(text.len < sizeof(a->text));
    for (size_t i = 0; i < text.len; i++)
        sx_assert((unsigned char)text.data[i] >= 0x20 && text.data[i] != 0x7f);
    sx_assert(a->wait_ms >= 0 && a->wait_ms <= 86400000);
    sx_assert(a->verdict == SX_OTLP_LATER || a->wait_ms == 0);
    sx_assert(a->verdict == SX_OTLP_TAKEN || (a->rejected == 0 && text.len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_otlp_answer a;
    sx_str input = sx_str_of(data, size), kind, status, middle, other, body;
    uint64_t number = 0;
    sx_str_cut(input, '|', &kind, &input);
    sx_str_cut(input, '|', &status, &input);
    sx_str_cut(input, '|', &middle, &input);
    sx_str_cut(input, '|', &other, &body);
    if (!sx_str_to_u64(status, &number) || number > 999)
        number = 200;
    if (sx_str_eq(kind, SX_STR("g"))) {
        sx_otlp_grpc_answer in = {
            .status = (int)number, .message = middle, .details = other, .body = body};
        sx_otlp_answer_grpc(&in, &a);
        sx_assert((a.verdict == SX_OTLP_TAKEN) == (number == SX_GRPC_OK));
    } else {
        sx_otlp_http_answer in = {.status = (int)number,
                                  .content_type = middle,
                                  .retry_after = other,
                                  .body = body,
                                  .now_wall_ns = 1705314600000000000};
        sx_otlp_answer_http(&in, &a);
        sx_assert((a.verdict == SX_OTLP_TAKEN) == (number / 100 == 2));
    }
    check(&a);

    sx_buf coded, plain; /* what we encode we decode */
    sx_buf_init(&coded, 0);
    sx_buf_init(&plain, 0);
    sx_base64_encode(body, &coded);
    sx_assert(sx_base64_decode(sx_buf_view(&coded), &plain));
    sx_assert(sx_str_eq(sx_buf_view(&plain), body));
    sx_buf_done(&coded);
    sx_buf_done(&plain);
    return 0;
}
