/* fuzz_trace_log.c - any bytes as a log of the traces: what is read lies within them, is whole by its
 * checksum, and is read the same from the good part alone. */
#include <sextant/base.h>

#include "observe/traces/tracelog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tr_log_file first, again;
    sx_error err = {0};
    sx_status status = tr_log_file_parse(sx_str_of(data, size), &first, &err);
    if (status != SX_OK) {
        sx_assert(err.message[0] != '\0');
        tr_log_file_close(&first);
        return 0;
    }
    sx_assert(first.good_bytes + first.torn_bytes == size);
    for (size_t i = 0; i < first.count; i++) {
        const char *at = first.records[i].otlp.data;
        sx_assert(at >= (const char *)data + 2 * TR_LOG_HEAD &&
                  at + first.records[i].otlp.len <= (const char *)data + first.good_bytes);
    }
    status = tr_log_file_parse(sx_str_of(data, first.good_bytes), &again, &err);
    sx_assert(status == SX_OK && again.count == first.count && again.torn_bytes == 0);
    tr_log_file_close(&again);
    tr_log_file_close(&first);
    return 0;
}
