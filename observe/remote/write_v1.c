/* write_v1.c - remote write 1.0: prometheus.WriteRequest.
 *
 * HOT, 150 ns a sample with everything below it. A series is one sample in nearly every request, so
 * what counts is the way from its labels' bytes to its reference: see series_cache.h.
 * Source: Prometheus remote write 1.0 specification; prompb/remote.proto, types.proto. */
#include "observe/remote/writer.h"

enum { TAG_LABEL = SX_PB_TAG(1, SX_PB_BYTES), TAG_SAMPLE = SX_PB_TAG(2, SX_PB_BYTES) };

/* Reads a Label message, the reader's current field. */
static void read_label(sx_pb_reader *r, sx_str *name, sx_str *value)
{
    *name = *value = sx_str_of(NULL, 0);
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            *name = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            *value = sx_pb_bytes(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

/* Takes the labels out of a TimeSeries message, or out of the part of it that holds them. */
static sx_status read_labels(remote_writer *w, sx_str raw, sx_error *err)
{
    sx_pb_reader r;
    sx_pb_init(&r, raw);
    while (sx_pb_next(&r)) {
        sx_str name, value;
        if (r.tag != TAG_LABEL) {
            sx_pb_skip(&r);
            continue;
        }
        read_label(&r, &name, &value);
        if (!remote_label(w, name, value))
            return sx_fail_memory(err, "a series' labels");
    }
    return sx_pb_status(&r, "labels", err);
}

/* Where the labels at the beginning of the message end. */
static const uint8_t *labels_end(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 2 && at[0] == TAG_LABEL) {
        size_t len = at[1], head = 2;
        if (sx_unlikely(len >= 0x80)) {
            sx_pb_reader r;
            sx_pb_init(&r, sx_str_of(at, (size_t)(end - at)));
            sx_pb_next(&r);
            sx_pb_skip(&r);
            if (r.fault)
                return at;
            at = r.at;
            continue;
        }
        if (len > (size_t)(end - at) - head)
            return at;
        at += head + len;
    }
    return at;
}

/* Whether there are labels behind the samples: allowed, and sent by nobody. */
static bool labels_follow(const uint8_t *at, const uint8_t *end)
{
    if (sx_likely(end - at >= 2 && at[0] == TAG_SAMPLE && at[1] == end - at - 2))
        return false;
    sx_pb_reader r;
    sx_pb_init(&r, sx_str_of(at, (size_t)(end - at)));
    while (sx_pb_next(&r)) {
        if (r.tag == TAG_LABEL)
            return true;
        sx_pb_skip(&r);
    }
    return false;
}

/* The usual case: the series that came next in the request before. */
static inline bool is_guess(const remote_writer *w, const series_entry *e, const uint8_t *at,
                            const uint8_t *end)
{
    if (!e || e->key_bytes > (size_t)(end - at) ||
        sx_hash_bytes(at, e->key_bytes, w->seed) != e->hash)
        return false;
    /* A longer set of labels may begin with the one that we know. */
    return at + e->key_bytes == end || at[e->key_bytes] != TAG_LABEL;
}

/* Finds the series of the message at r, and moves behind its labels. */
static sx_status find_series(remote_writer *w, sx_pb_reader *r, bool *known, sx_error *err)
{
    const uint8_t *begin = r->at;
    series_entry *e = series_cache_guess(&w->cache);
    remote_series *s = &w->series;
    s->read_labels = read_labels;
    if (sx_likely(is_guess(w, e, begin, r->end))) {
        s->raw = sx_str_of(begin, e->key_bytes);
    } else {
        const uint8_t *end = labels_end(begin, r->end);
        s->raw = sx_str_of(begin, (size_t)(end - begin));
        e = series_cache_find(&w->cache, sx_hash(s->raw, w->seed), (uint32_t)s->raw.len);
    }
    const uint8_t *behind = begin + s->raw.len;
    bool late = sx_unlikely(labels_follow(behind, r->end));
    if (sx_likely(e && !late)) {
        s->hash = e->hash;
        s->key_bytes = e->key_bytes;
        s->ref = e->ref;
        series_cache_use(&w->cache, e);
        r->at = behind;
        *known = true;
        return SX_OK;
    }
    if (late)
        s->raw = sx_str_of(begin, (size_t)(r->end - begin));
    w->label_count = 0;
    sx_status status = read_labels(w, s->raw, err);
    if (status != SX_OK)
        return status;
    s->hash = sx_hash(s->raw, w->seed);
    s->key_bytes = late ? 0 : (uint32_t)s->raw.len; /* 0: not remembered */
    status = remote_resolve(w, known, err);
    if (status == SX_OK && *known && s->key_bytes)
        remote_remember(w);
    if (!late)
        r->at = behind;
    return status;
}

static sx_status read_exemplar(remote_writer *w, sx_pb_reader *r, bool known, sx_error *err)
{
    tsdb_exemplar e = {.has_t = true};
    tsdb_label *labels = NULL;
    size_t count = 0, cap = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            if (!sx_arena_grow(&w->arena, &labels, &cap, count + 1, sizeof *labels))
                return sx_fail_memory(err, "an exemplar");
            read_label(r, &labels[count].name, &labels[count].value);
            count++;
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            e.value = sx_pb_double(r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            e.t = sx_pb_i64(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (!known || r->fault || tsdb_labels_sort(labels, count, &e.labels, NULL) != SX_OK) {
        w->out->refused++;
        return SX_OK;
    }
    return remote_exemplar(w, &e, err);
}

static sx_status read_series(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    bool known;
    sx_pb_outer outer = sx_pb_enter(r);
    sx_status status = r->fault ? SX_OK : find_series(w, r, &known, err);
    while (status == SX_OK && sx_pb_next(r)) {
        switch (r->tag) {
        case TAG_SAMPLE:
            status = remote_read_sample(w, r, known, err);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            status = read_exemplar(w, r, known, err);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            status = remote_read_histogram(w, r, known, err);
            break;
        default: /* labels behind samples have been read */
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    return status;
}

/* Metadata names a metric family: it goes to a series of that name, or of a name that the family's
 * series have. A family that nobody has sent samples of yet is passed over; senders repeat it. */
static sx_status put_metadata(remote_writer *w, sx_str family, const tsdb_metadata *m,
                              sx_error *err)
{
    static const sx_str SUFFIXES[] = {SX_STR_INIT(""), SX_STR_INIT("_total"), SX_STR_INIT("_count"),
                                      SX_STR_INIT("_sum"), SX_STR_INIT("_bucket")};
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        sx_buf_clear(&w->text);
        sx_buf_str(&w->text, family);
        sx_buf_str(&w->text, SUFFIXES[i]);
        const sx_map_entry *e =
            w->text.failed ? NULL : sx_map_find(&w->metrics, sx_buf_view(&w->text));
        if (!e)
            continue;
        sx_status status = w->app->ops->metadata(w->app, e->u64, m, err);
        if (status != SX_OK && status != SX_ENOTFOUND)
            return status;
    }
    return SX_OK;
}

static sx_status read_metadata(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    sx_str family = sx_str_of(NULL, 0);
    tsdb_metadata m = {.type = remote_metric_type(0), .help = SX_STR(""), .unit = SX_STR("")};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            m.type = remote_metric_type(sx_pb_varint(r));
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            family = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            m.help = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            m.unit = sx_pb_bytes(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    return r->fault ? SX_OK : put_metadata(w, family, &m, err);
}

static sx_status read_request(remote_writer *w, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = SX_OK;
    sx_pb_init(&r, sx_buf_view(&w->plain));
    while (status == SX_OK && sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            status = read_series(w, &r, err);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            status = read_metadata(w, &r, err);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    return status == SX_OK ? sx_pb_status(&r, "remote write request", err) : status;
}

sx_status remote_write_v1(remote_writer *w, sx_str body, remote_written *out, sx_error *err)
{
    return remote_take(w, body, read_request, out, err);
}
