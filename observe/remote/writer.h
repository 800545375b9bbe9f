/* writer.h - what the decoders of remote write and OTLP share: the batch of one request, the series
 * under way, appending with the store's refusals counted and put into words. */
#ifndef OBSERVE_REMOTE_WRITER_H
#define OBSERVE_REMOTE_WRITER_H

#include <sextant/arena.h>
#include <sextant/hash.h>
#include <sextant/map.h>
#include <sextant/mem.h>

#include "observe/remote/remote.h"
#include "observe/remote/series_cache.h"
#include "observe/remote/wire_histogram.h"

/* The series whose samples are being appended. Its labels are only taken apart when they are needed:
 * for a new series, or for a message. */
typedef struct remote_series {
    tsdb_ref ref;
    uint64_t hash; /* of the bytes that name it */
    uint32_t key_bytes;
    sx_str raw;   /* those bytes; remote write only */
    bool invalid; /* its labels are bad */
    /* Fills w->labels and w->label_count from `raw`. SX_EINVAL if they make no sense: a message is
     * in err. */
    sx_status (*read_labels)(remote_writer *w, sx_str raw, sx_error *err);
} remote_series;

struct remote_writer {
    tsdb_appendable *store;
    tsdb_appender *app; /* NULL before the first request */
    remote_limits limits;
    uint64_t seed; /* of key hashes */
    series_cache cache;
    sx_map metrics;      /* metric name -> a reference, for metadata of 1.0; keys in metric_names */
    sx_arena names;      /* of `metrics` */
    sx_arena arena;      /* of one request */
    sx_arena late_arena; /* of one message of ours */

    remote_written *out; /* of the request */
    unsigned told;       /* messages so far */
    int64_t latest_t;    /* later samples are refused */

    remote_series series;
    tsdb_label *labels; /* as read, then sorted */
    size_t label_count, labels_cap;
    wire_histogram histogram;

    sx_buf plain;
    sx_buf text;
    /* 2.0: */
    sx_str *symbols;
    uint64_t *symbol_hashes;
    size_t symbol_count, symbols_cap, hashes_cap;
    uint32_t *refs; /* of the series under way */
    uint64_t *key;
    size_t ref_count, refs_cap, key_cap;

    struct otlp_state *otlp; /* made with the first OTLP request */
};

/* --- One request. */
sx_status remote_begin(remote_writer *w, remote_written *out, sx_error *err);
/* Commits if `status` is SX_OK, else forgets the batch; returns what is to be returned. */
sx_status remote_end(remote_writer *w, sx_status status, sx_error *err);
/* A whole request of remote write: unpacks the body into w->plain, where `read` takes it from. */
sx_status remote_take(remote_writer *w, sx_str body,
                      sx_status (*read)(remote_writer *w, sx_error *err), remote_written *out,
                      sx_error *err);

/* Adds a line to the messages: the request was partly bad. */
void remote_complain(remote_writer *w, const char *fmt, ...) SX_PRINTF(2, 3) SX_COLD;

/* --- One series: labels in w->labels are checked, sorted and asked for. *known false: they are bad
 * or the series may not be made; a message was added. */
sx_status remote_resolve(remote_writer *w, bool *known, sx_error *err);

/* The series under way as text, cut if very long, for a message about its samples. Good until the next;
 * changes w->labels. */
sx_str remote_series_text(remote_writer *w);

/* Adds a label to w->labels; false without memory. */
static inline bool remote_label(remote_writer *w, sx_str name, sx_str value)
{
    if (sx_unlikely(w->label_count == w->labels_cap) &&
        !sx_grow(&w->labels, &w->labels_cap, w->label_count + 1, sizeof *w->labels))
        return false;
    w->labels[w->label_count++] = (tsdb_label){name, value};
    return true;
}

/* --- Its samples. A series that has left the store is asked for again. */
sx_status remote_sample(remote_writer *w, int64_t t, int64_t start_t, double v, sx_error *err);
sx_status remote_histogram(remote_writer *w, int64_t t, int64_t start_t, const tsdb_histogram *h,
                           sx_error *err);
sx_status remote_exemplar(remote_writer *w, const tsdb_exemplar *e, sx_error *err);

/* Reads a Sample or a Histogram message of remote write, the reader's current field, and appends it. One
 * reader serves both versions: what 2.0 added has numbers that 1.0 leaves free. `known` false, a
 * broken message, or a bad histogram: it is counted as refused. */
static inline sx_status remote_read_sample(remote_writer *w, sx_pb_reader *r, bool known,
                                           sx_error *err)
{
    int64_t t = 0, start_t = 0;
    double v = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            v = sx_pb_double(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            t = sx_pb_i64(r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            start_t = sx_pb_i64(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (sx_unlikely(!known || r->fault)) {
        w->out->refused++;
        w->out->invalid_labels += w->series.invalid;
        return SX_OK;
    }
    return remote_sample(w, t, start_t, v, err);
}
sx_status remote_read_histogram(remote_writer *w, sx_pb_reader *r, bool known, sx_error *err);

void otlp_state_free(struct otlp_state *s);

/* Remembers w->series under its key. */
void remote_remember(remote_writer *w);

/* The types of remote write and of OTLP by number; "unknown" for others. */
sx_str remote_metric_type(uint64_t number);

#endif
