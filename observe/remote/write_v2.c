/* write_v2.c - remote write 2.0: io.prometheus.write.v2.Request.
 *
 * HOT. Labels are numbers of symbols, and the numbers differ from request to request: each symbol is
 * hashed once a request, and a series is known by the hash of its symbols' hashes.
 * Source: Prometheus remote write 2.0 specification; prompb/io/prometheus/write/v2/types.proto. */
#include "observe/remote/writer.h"

enum {
    TAG_LABELS = SX_PB_TAG(1, SX_PB_BYTES),
    TAG_LABEL_ALONE = SX_PB_TAG(1, SX_PB_VARINT), /* a list that is not packed */
    SYMBOL_SEED = 0x5ec0,
};

/* --- Symbols. */

static sx_status read_symbols(remote_writer *w, sx_error *err)
{
    sx_pb_reader r;
    sx_pb_init(&r, sx_buf_view(&w->plain));
    w->symbol_count = 0;
    while (sx_pb_next(&r)) {
        if (r.tag != SX_PB_TAG(4, SX_PB_BYTES)) {
            sx_pb_skip(&r);
            continue;
        }
        size_t n = w->symbol_count;
        if (!sx_grow(&w->symbols, &w->symbols_cap, n + 1, sizeof *w->symbols) ||
            !sx_grow(&w->symbol_hashes, &w->hashes_cap, n + 1, sizeof *w->symbol_hashes))
            return sx_fail_memory(err, "symbols");
        w->symbols[n] = sx_pb_bytes(&r);
        w->symbol_hashes[n] = sx_hash(w->symbols[n], w->seed ^ SYMBOL_SEED);
        w->symbol_count++;
    }
    return sx_pb_status(&r, "remote write request", err);
}

/* Adds a reference to a list of names and values. */
static inline bool push_ref(remote_writer *w, uint64_t ref)
{
    if (sx_unlikely(w->ref_count == w->refs_cap) &&
        !sx_grow(&w->refs, &w->refs_cap, w->ref_count + 1, sizeof *w->refs))
        return false;
    w->refs[w->ref_count++] = (uint32_t)ref;
    return true;
}

/* The references of the field at r, packed or alone. */
static inline bool read_refs(remote_writer *w, sx_pb_reader *r)
{
    if (sx_unlikely(sx_pb_wire_of(r) == SX_PB_VARINT))
        return push_ref(w, sx_pb_varint(r));
    bool room = true;
    sx_pb_outer outer = sx_pb_enter(r);
    while (room && sx_pb_more(r))
        room = push_ref(w, sx_pb_varint(r));
    sx_pb_leave(r, outer);
    return room;
}

/* Whether w->refs are pairs of symbols that there are. */
static sx_status check_refs(const remote_writer *w, sx_error *err)
{
    if (w->ref_count % 2)
        return sx_fail(err, SX_EINVAL, "invalid labelRefs length %zu", w->ref_count);
    for (size_t i = 0; i < w->ref_count; i += 2)
        if (w->refs[i] >= w->symbol_count || w->refs[i + 1] >= w->symbol_count)
            return sx_fail(err, SX_EINVAL,
                           "labelRefs %u (name) = %u (value) outside of symbols table (size %zu)",
                           w->refs[i], w->refs[i + 1], w->symbol_count);
    return SX_OK;
}

/* The labels that checked references stand for. */
static sx_status labels_of_refs(remote_writer *w, sx_error *err)
{
    for (size_t i = 0; i < w->ref_count; i += 2)
        if (!remote_label(w, w->symbols[w->refs[i]], w->symbols[w->refs[i + 1]]))
            return sx_fail_memory(err, "a series' labels");
    return SX_OK;
}

/* From a TimeSeries message, again. */
static sx_status read_labels(remote_writer *w, sx_str raw, sx_error *err)
{
    sx_pb_reader r;
    sx_pb_init(&r, raw);
    w->ref_count = 0;
    while (sx_pb_next(&r)) {
        if (r.tag != TAG_LABELS && r.tag != TAG_LABEL_ALONE)
            sx_pb_skip(&r);
        else if (!read_refs(w, &r))
            return sx_fail_memory(err, "a series' labels");
    }
    sx_status status = check_refs(w, err);
    return status == SX_OK ? labels_of_refs(w, err) : status;
}

/* --- Series. */

/* What a TimeSeries says apart from its samples. */
typedef struct series_head {
    bool known, any; /* samples, histograms or exemplars */
    bool has_metadata;
    uint32_t type, help, unit; /* help and unit are checked references */
} series_head;

static sx_status complain_about_labels(remote_writer *w, const sx_error *bad)
{
    sx_buf_clear(&w->text);
    sx_buf_byte(&w->text, '[');
    for (size_t i = 0; i < w->ref_count; i++)
        sx_buf_printf(&w->text, "%s%u", i ? " " : "", w->refs[i]);
    sx_buf_byte(&w->text, ']');
    remote_complain(w, "parsing labels for series %.*s: %s", SX_ARG(sx_buf_view(&w->text)),
                    bad->message);
    return SX_OK;
}

static SX_COLD sx_status resolve(remote_writer *w, bool *known, sx_error *err)
{
    w->label_count = 0;
    sx_status status = labels_of_refs(w, err);
    if (status == SX_OK)
        status = remote_resolve(w, known, err);
    if (status == SX_OK && *known)
        remote_remember(w);
    return status;
}

/* Finds the series of w->refs. */
static sx_status find_series(remote_writer *w, bool *known, sx_error *err)
{
    sx_error bad;
    *known = false;
    w->series.invalid = true;
    if (sx_unlikely(check_refs(w, &bad) != SX_OK))
        return complain_about_labels(w, &bad);
    if (sx_unlikely(w->key_cap < w->ref_count) &&
        !sx_grow(&w->key, &w->key_cap, w->ref_count, sizeof *w->key))
        return sx_fail_memory(err, "a series' key");
    for (size_t i = 0; i < w->ref_count; i++)
        w->key[i] = w->symbol_hashes[w->refs[i]];
    remote_series *s = &w->series;
    s->read_labels = read_labels;
    s->key_bytes = (uint32_t)(w->ref_count * sizeof *w->key);
    s->hash = sx_hash_bytes(w->key, s->key_bytes, w->seed ^ SYMBOL_SEED);
    series_entry *e = series_cache_guess(&w->cache);
    if (sx_unlikely(!e || e->hash != s->hash || e->key_bytes != s->key_bytes))
        e = series_cache_find(&w->cache, s->hash, s->key_bytes);
    if (sx_unlikely(!e))
        return resolve(w, known, err);
    s->ref = e->ref;
    series_cache_use(&w->cache, e);
    *known = true;
    return SX_OK;
}

/* Prometheus sends an empty one where it knows nothing: that is no news. */
static void read_metadata(sx_pb_reader *r, series_head *head)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            head->type = (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            head->help = (uint32_t)sx_pb_varint(r);
            break;
        case SX_PB_TAG(4, SX_PB_VARINT):
            head->unit = (uint32_t)sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    head->has_metadata = head->type || head->help || head->unit;
}

/* Labels and metadata, wherever in the message they are, and whether there is any sample. */
static sx_status read_head(remote_writer *w, sx_pb_reader r, series_head *head, sx_error *err)
{
    w->ref_count = 0;
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case TAG_LABELS:
        case TAG_LABEL_ALONE:
            if (!read_refs(w, &r))
                return sx_fail_memory(err, "a series' labels");
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            read_metadata(&r, head);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
        case SX_PB_TAG(3, SX_PB_BYTES):
        case SX_PB_TAG(4, SX_PB_BYTES):
            head->any = true;
            sx_pb_skip(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    return sx_pb_status(&r, "time series", err);
}

/* Its references go to w->refs, which the series no longer needs. */
static sx_status read_exemplar(remote_writer *w, sx_pb_reader *r, bool known, sx_error *err)
{
    tsdb_exemplar e = {.has_t = true};
    sx_error bad;
    w->ref_count = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case TAG_LABELS:
        case TAG_LABEL_ALONE:
            if (!read_refs(w, r))
                return sx_fail_memory(err, "an exemplar");
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
    if (!known || r->fault) {
        w->out->refused++;
        return SX_OK;
    }
    if (check_refs(w, &bad) != SX_OK) {
        w->out->refused++;
        remote_complain(w, "parsing exemplar: %s", bad.message);
        return SX_OK;
    }
    w->label_count = 0;
    sx_status status = labels_of_refs(w, err);
    if (status != SX_OK)
        return status;
    if (tsdb_labels_sort(w->labels, w->label_count, &e.labels, NULL) != SX_OK) {
        w->out->refused++;
        return SX_OK;
    }
    return remote_exemplar(w, &e, err);
}

/* Appends metadata that differs from what the series had last. */
static sx_status put_metadata(remote_writer *w, const series_head *head, sx_error *err)
{
    if (head->help >= w->symbol_count || head->unit >= w->symbol_count) {
        remote_complain(w, "metadata %s %u outside of symbols table (size %zu)",
                        head->help >= w->symbol_count ? "help_ref" : "unit_ref",
                        head->help >= w->symbol_count ? head->help : head->unit, w->symbol_count);
        return SX_OK;
    }
    tsdb_metadata m = {remote_metric_type(head->type), w->symbols[head->help],
                       w->symbols[head->unit]};
    if (head->type == 0 && m.help.len == 0 && m.unit.len == 0)
        return SX_OK;
    series_entry *e = w->cache.count ? &w->cache.entries[w->cache.last] : NULL;
    uint32_t told = (uint32_t)sx_hash_u64(w->symbol_hashes[head->help],
                                          w->symbol_hashes[head->unit] + head->type) |
                    1;
    if (e && e->ref != w->series.ref)
        e = NULL; /* there was no memory to remember it */
    if (e && e->metadata == told)
        return SX_OK;
    sx_status status = w->app->ops->metadata(w->app, w->series.ref, &m, err);
    if (status == SX_OK && e)
        e->metadata = told;
    return status == SX_ENOTFOUND ? SX_OK : status;
}

static sx_status read_series(remote_writer *w, sx_pb_reader *r, sx_error *err)
{
    series_head head = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    sx_status status = read_head(w, *r, &head, err);
    w->series.raw = sx_str_of(r->at, (size_t)(r->end - r->at));
    if (status == SX_OK)
        status = find_series(w, &head.known, err);
    /* Prometheus sends exemplars by themselves, and refuses them so: here they are taken. */
    if (status == SX_OK && head.known && !head.any)
        remote_complain(w,
                        "TimeSeries must contain at least one sample or histogram for series %.*s",
                        SX_ARG(remote_series_text(w)));
    while (status == SX_OK && sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(2, SX_PB_BYTES):
            status = remote_read_sample(w, r, head.known, err);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            status = remote_read_histogram(w, r, head.known, err);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            status = read_exemplar(w, r, head.known, err);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    if (status == SX_OK && head.known && head.any && head.has_metadata)
        status = put_metadata(w, &head, err);
    sx_pb_leave(r, outer);
    return status;
}

static sx_status read_request(remote_writer *w, sx_error *err)
{
    sx_pb_reader r;
    sx_status status = read_symbols(w, err);
    sx_pb_init(&r, sx_buf_view(&w->plain));
    while (status == SX_OK && sx_pb_next(&r)) {
        if (r.tag == SX_PB_TAG(5, SX_PB_BYTES))
            status = read_series(w, &r, err);
        else
            sx_pb_skip(&r);
    }
    return status == SX_OK ? sx_pb_status(&r, "remote write request", err) : status;
}

sx_status remote_write_v2(remote_writer *w, sx_str body, remote_written *out, sx_error *err)
{
    return remote_take(w, body, read_request, out, err);
}
