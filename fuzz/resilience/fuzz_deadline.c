/* fuzz_deadline.c - a time that is accepted, written again, reads back as the same; one that is
 * refused has a reason. The input is split at its newlines into the fields of a request. */
#include <sextant/deadline.h>

#include <sextant/retry.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str rest = sx_str_of(data, size), after;
    sx_deadline_fields f;
    int64_t ms = -7, again;
    sx_error err = {0};
    sx_str_cut(rest, '\n', &f.request_timeout, &rest);
    sx_str_cut(rest, '\n', &f.envoy_ms, &rest);
    sx_str_cut(rest, '\n', &f.grpc_timeout, &after);
    sx_retry_after_parse(after, 1700000000000);
    if (sx_timeout_parse(f.request_timeout, &ms, &err) != SX_OK)
        sx_assert(err.message[0] != '\0' && ms == -7);
    ms = -7;
    if (sx_deadline_read(&f, 0, &ms, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0' && ms == -7);
        return 0;
    }
    sx_assert(ms >= -1);
    sx_deadline_field fields[SX_DEADLINE_FIELDS];
    char room[SX_DEADLINE_BYTES];
    unsigned kinds = SX_DEADLINE_REQUEST | SX_DEADLINE_ENVOY | SX_DEADLINE_GRPC;
    size_t n = sx_deadline_write(ms, kinds, fields, room);
    sx_assert(n == (ms < 0 ? 0 : 3));
    if (ms < 0)
        return 0;
    f = (sx_deadline_fields){.request_timeout = fields[0].value, .envoy_ms = fields[1].value};
    sx_assert(sx_deadline_read(&f, 0, &again, &err) == SX_OK &&
              again == (ms < 315360000000 ? ms : 315360000000));
    f = (sx_deadline_fields){.grpc_timeout = fields[2].value};
    sx_assert(sx_deadline_read(&f, 0, &again, &err) == SX_OK);
    return 0;
}
