/* fuzz_remote_write.c - any bytes as a request of remote write 1.0 or 2.0, by the first byte: what a
 * writer that has seen it before makes of it is what a new one makes. */
#include <stdlib.h>

#include <sextant/compress.h>

#include "fuzz/observe/remote/null_store.h"
#include "observe/remote/remote.h"

typedef sx_status write_function(remote_writer *w, sx_str body, remote_written *out, sx_error *err);

static sx_status write_to(write_function *write, remote_writer *w, null_store *s, sx_str body,
                          remote_written *out)
{
    sx_error err = {0};
    s->sum = 0;
    sx_status status = write(w, body, out, &err);
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
    if (size == 0)
        return 0;
    write_function *write = data[0] & 1 ? remote_write_v2 : remote_write_v1;
    sx_str plain = sx_str_of(data + 1, size - 1);
    null_store_init(&store);
    sx_buf_init(&body, 0);
    if (sx_compress(SX_CODEC_SNAPPY, plain, SX_LEVEL_DEFAULT, &body, &err) != SX_OK ||
        remote_writer_new(&store.base, NULL, &w, &err) != SX_OK)
        abort();
    sx_status status = write_to(write, w, &store, sx_buf_view(&body), &first);
    uint64_t sum = store.sum;
    sx_assert(write_to(write, w, &store, sx_buf_view(&body), &again) == status);
    sx_assert(store.sum == sum && again.samples == first.samples && again.bad == first.bad);
    write_to(write, w, &store, plain, &again);
    remote_writer_free(w);
    sx_buf_done(&body);
    return 0;
}
