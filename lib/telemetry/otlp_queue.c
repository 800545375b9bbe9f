/* otlp_queue.c - records in line: see otlp_queue.h. */
#include "telemetry/otlp_queue.h"

#include <sextant/protobuf.h>

void sx_otlp_queue_init(sx_otlp_queue *q, uint32_t count_max, size_t bytes_max)
{
    *q = (sx_otlp_queue){.count_max = count_max, .bytes_max = bytes_max};
    sx_buf_init(&q->bytes, 0);
}

void sx_otlp_queue_done(sx_otlp_queue *q)
{
    sx_buf_done(&q->bytes);
}

bool sx_otlp_queue_put(sx_otlp_queue *q, sx_str record)
{
    size_t used = q->bytes.len - q->begin;
    if (q->count >= q->count_max || used + record.len > q->bytes_max)
        return false;
    size_t before = q->bytes.len;
    sx_pb_put_str(&q->bytes, SX_OTLP_RECORD_FIELD, record);
    if (q->bytes.failed) { /* no memory for this one; the others stay */
        q->bytes.len = before;
        q->bytes.failed = false;
        return false;
    }
    q->count++;
    return true;
}

sx_str sx_otlp_queue_first(const sx_otlp_queue *q, uint64_t count_max, size_t bytes_max,
                           uint64_t *count)
{
    sx_str all = sx_str_from(sx_buf_view(&q->bytes), q->begin);
    sx_pb_reader r;
    size_t end = 0;
    *count = 0;
    sx_pb_init(&r, all);
    while (*count < count_max && sx_pb_next(&r)) {
        sx_pb_skip(&r);
        size_t here = (size_t)(r.at - r.begin);
        if (*count > 0 && here > bytes_max)
            break;
        end = here;
        ++*count;
    }
    sx_assert(r.fault == SX_PB_FINE); /* we wrote it */
    return sx_str_first(all, end);
}

void sx_otlp_queue_remove(sx_otlp_queue *q, sx_str first, uint64_t count)
{
    sx_assert(count <= q->count && first.len <= q->bytes.len - q->begin);
    q->count -= count;
    q->begin += first.len;
    if (q->count == 0) {
        sx_buf_clear(&q->bytes);
        q->begin = 0;
    } else if (q->begin > q->bytes.len / 2) { /* each byte is moved once at most, on average */
        sx_buf_consume(&q->bytes, q->begin);
        q->begin = 0;
    }
}
