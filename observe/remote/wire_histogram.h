/* wire_histogram.h - the native histogram message of remote write 1.0 and 2.0, which is one and the
 * same but for the start timestamp of the second. Deltas become absolute counts as they are read;
 * the arrays are used again for the next message.
 * Source: prometheus, prompb/types.proto; write/v2/types.proto. */
#ifndef OBSERVE_REMOTE_WIRE_HISTOGRAM_H
#define OBSERVE_REMOTE_WIRE_HISTOGRAM_H

#include <sextant/protobuf.h>

#include "observe/tsdb/histogram.h"

typedef struct wire_numbers {
    double *items;
    size_t count, cap;
} wire_numbers;

typedef struct wire_histogram {
    struct {
        tsdb_span *spans;
        size_t span_count, span_cap;
        wire_numbers whole, fractions; /* of deltas; as given */
        int64_t sum;                   /* of the deltas so far */
    } side[2];                         /* negative, positive */
    wire_numbers bounds;
    int64_t t, start_t; /* start_t 0: not told */
    bool failed;        /* an array could not grow */
} wire_histogram;

void wire_histogram_done(wire_histogram *w);

/* Reads the message that the reader's current field is. *out points into `w`, or into `arena` if its
 * schema was above 8 and has been reduced. Its fields may contradict each other:
 * tsdb_histogram_check tells. SX_ENOMEM; faults of the bytes stick to the reader.
 * SX_EINVAL for one that would have to be reduced and cannot. */
sx_status wire_histogram_read(wire_histogram *w, sx_pb_reader *r, sx_arena *arena,
                              tsdb_histogram *out, sx_error *err);

/* Writes it as field `field`, integer or float; start_t only for 2.0, where 0 is left out. */
void wire_histogram_write(sx_buf *out, uint32_t field, const tsdb_histogram *h, int64_t t,
                          int64_t start_t);

#endif
