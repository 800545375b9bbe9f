/* fuzz_remote_write_v2.c - any bytes as a request of remote write 2.0: what a writer that has seen it
 * before makes of it is what a new one makes. */
#include <stdlib.h>

#include <sextant/compress.h>

#include "fuzz/observe/remote/null_store.h"
#include "observe/remote/remote.h"

static sx_status write_to(remote_writer *w, null_store *s, sx_str body, remote_written *out)
{
    sx_error err = {0};
    s->sum = 0;
    sx_status status = remote_write_v2(w, body, out, &err);
    sx_assert(status == SX_OK || err.message[0] != '\0');
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    null_store store;
    remote_writer *w;
    sx_buf body;
    sx_error err;
    remote_written first = {0}, again = {0};
    null_store_init(&store);
    sx_buf_init(&body, 0);
    if (sx_compress(SX_CODEC_SNAPPY, sx_str_of(data, size), SX_LEVEL_DEFAULT, &body, &err) !=
            SX_OK ||
        remote_writer_new(&store.base, NULL, &w, &err) != SX_OK)
        abort();
    sx_status status = write_to(w, &store, sx_buf_view(&body), &first);
    uint64_t sum = store.sum;
    sx_assert(write_to(w, &store, sx_buf_view(&body), &again) == status);
    sx_assert(store.sum == sum && again.samples == first.samples && again.bad == first.bad);
    write_to(w, &store, sx_str_of(data, size), &again);
    remote_writer_free(w);
    sx_buf_done(&body);
    return 0;
}
