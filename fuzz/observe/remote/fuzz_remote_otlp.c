/* fuzz_remote_otlp.c - any bytes as an OTLP metrics request in JSON or protobuf, under each naming
 * strategy: what a receiver that has seen it before makes of it is what a new one makes. Deltas that
 * are added up are the exception: a second time they are late. */
#include <stdlib.h>

#include "fuzz/observe/remote/null_store.h"
#include "observe/remote/remote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    null_store store;
    remote_writer *w;
    sx_error err = {0};
    remote_otlp_result first = {0}, again = {0};
    if (size < 2)
        return 0;
    prom_otlp_config config = {.strategy = (prom_otlp_strategy)(data[0] & 3),
                               .promote_all = data[0] & 4,
                               .to_nhcb = data[0] & 8,
                               .promote_scope = data[0] & 16,
                               .name_sanitization = data[0] & 32,
                               .keep_underscores = data[0] & 64};
    bool json = data[1] & 1, adds_up = data[1] & 2;
    remote_limits limits = {.otlp_native_delta = data[0] & 128,
                            .otlp_type_unit_labels = data[1] & 4};
    sx_str body = sx_str_of(data + 2, size - 2);
    null_store_init(&store);
    if (adds_up && remote_deltas_new(NULL, &limits.deltas, &err) != SX_OK)
        abort();
    if (remote_writer_new(&store.base, &limits, &w, &err) != SX_OK)
        abort();
    sx_status status = remote_otlp_metrics(w, &config, body, json, &first, &err);
    sx_assert(status == SX_OK || err.message[0] != '\0');
    uint64_t sum = store.sum;
    store.sum = 0;
    sx_assert(remote_otlp_metrics(w, &config, body, json, &again, &err) == status);
    sx_assert(adds_up || (store.sum == sum && again.rejected == first.rejected));
    remote_writer_free(w);
    remote_deltas_free(limits.deltas);
    return 0;
}
