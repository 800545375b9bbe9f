/* sender_read.c - the logs read: what becomes of each record, and how far all has been sent.
 *
 * Late samples are in a log of their own, whose series are in the first one: a record of it waits until
 * the first log has been read up. Before the place where sending begins only series and metadata are
 * taken.
 * The place up to which all was answered is in sextant/remote-write.ID, ID being the hash of the
 * entry's name or URL: one line of decimal numbers, the version 1, segment and offset in wal/, segment
 * and offset in wbl/. It is replaced once a second at most: what was answered since then is sent again
 * after a kill. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <sextant/mem.h>

#include "observe/remote/sender_internal.h"
#include "observe/tsdb/record.h"

enum {
    IDLE_MS = 50,
    SAVE_MS = 1000,
    RECORDS_A_TURN = 64,
    PATH_BYTES = 4096,
    FAMILIES_MAX = 100000
};

static const char *const LOGS[SEND_LOGS] = {"wal", "wbl"};

static bool before(send_place a, send_place b)
{
    return a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset;
}

static send_place place_of(const tsdb_wal_tail *t)
{
    return (send_place){t->segment, t->offset};
}

/* --- Series. */

void send_series_unref(send_series *s)
{
    if (--s->refs)
        return;
    sx_free(s->meta);
    sx_free(s);
}

/* One block: the series, its labels, their bytes. */
static send_series *series_new(tsdb_labels labels)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < labels.count; i++)
        bytes += labels.items[i].name.len + labels.items[i].value.len;
    send_series *s = sx_calloc(1, sizeof *s + labels.count * sizeof(tsdb_label) + bytes);
    if (!s)
        return NULL;
    tsdb_label *items = (tsdb_label *)(void *)(s + 1);
    char *at = (char *)(items + labels.count);
    for (uint32_t i = 0; i < labels.count; i++) {
        const sx_str from[2] = {labels.items[i].name, labels.items[i].value};
        sx_str *to[2] = {&items[i].name, &items[i].value};
        for (unsigned k = 0; k < 2; k++) {
            memcpy(at, from[k].data, from[k].len);
            *to[k] = sx_str_of(at, from[k].len);
            at += from[k].len;
        }
    }
    s->refs = 1;
    s->labels = (tsdb_labels){items, labels.count};
    return s;
}

/* External labels where the series has none of the name, then the entry's rules. */
static sx_status relabel(send_queue *q, tsdb_labels labels, bool *keep, sx_error *err)
{
    tsdb_labels external = q->config->external_labels;
    sx_status status = tsdb_labels_builder_reset(&q->builder, labels, err);
    for (uint32_t i = 0; i < external.count && status == SX_OK; i++)
        if (!tsdb_labels_get(labels, external.items[i].name).len)
            status = tsdb_labels_builder_set(&q->builder, external.items[i].name,
                                             external.items[i].value, err);
    *keep = true;
    if (status == SX_OK)
        status = prom_relabel_apply(q->entry->relabel, q->entry->relabel_count, &q->builder,
                                    &q->scratch, keep, err);
    return status;
}

static sx_status add_series(send_queue *q, uint64_t ref, tsdb_labels labels, uint32_t segment,
                            sx_error *err)
{
    bool keep;
    sx_status status = relabel(q, labels, &keep, err);
    if (status != SX_OK)
        return status;
    tsdb_labels own = keep ? tsdb_labels_builder_take(&q->builder) : (tsdb_labels){0};
    sx_map64_entry *e = sx_map64_put(&q->series, ref, NULL);
    send_series *old = e ? e->ptr : NULL;
    if (old && old->dropped == !keep && tsdb_labels_equal(old->labels, own)) {
        old->segment = segment;
        return SX_OK;
    }
    send_series *s = e ? series_new(own) : NULL;
    if (!s) {
        if (e && !old)
            sx_map64_remove(&q->series, ref);
        return sx_fail_memory(err, "a series of remote write");
    }
    s->dropped = !keep;
    s->segment = segment;
    if (old)
        send_series_unref(old);
    e->ptr = s;
    return SX_OK;
}

static sx_status read_series(send_queue *q, tsdb_record_reader *r, uint32_t segment, sx_error *err)
{
    uint64_t ref;
    tsdb_labels labels;
    sx_status status;
    while ((status = tsdb_record_next_series(r, &q->scratch, &ref, &labels, err)) == SX_OK) {
        status = add_series(q, ref, labels, segment, err);
        sx_arena_reset(&q->scratch);
        if (status != SX_OK)
            return status;
    }
    return status;
}

/* --- Metadata. */

static send_meta *meta_new(const tsdb_metadata *m)
{
    send_meta *meta = sx_alloc(sizeof *meta + m->help.len + m->unit.len);
    if (!meta)
        return NULL;
    char *at = (char *)(meta + 1);
    memcpy(at, m->help.data, m->help.len);
    memcpy(at + m->help.len, m->unit.data, m->unit.len);
    *meta = (send_meta){send_meta_type(m->type), sx_str_of(at, m->help.len),
                        sx_str_of(at + m->help.len, m->unit.len)};
    return meta;
}

/* What the metric family of a series is called: without the suffixes of its parts. */
static sx_str family_of(sx_str name, sx_str type)
{
    static const char *const SUFFIXES[] = {"_bucket", "_gsum", "_gcount", "_sum", "_count"};
    bool parts = sx_str_eq(type, SX_STR("histogram")) || sx_str_eq(type, SX_STR("summary")) ||
                 sx_str_eq(type, SX_STR("gaugehistogram"));
    for (unsigned i = 0; parts && i < SX_COUNT_OF(SUFFIXES); i++)
        if (sx_str_ends(name, sx_str_z(SUFFIXES[i])))
            return sx_str_of(name.data, name.len - strlen(SUFFIXES[i]));
    return name;
}

static sx_status note_family(send_queue *q, sx_str name, const tsdb_metadata *m, sx_error *err)
{
    sx_str family = family_of(name, m->type);
    const send_meta *known = sx_map_get(&q->families, family);
    uint8_t type = send_meta_type(m->type);
    if (!family.len || (known && known->type == type && sx_str_eq(known->help, m->help) &&
                        sx_str_eq(known->unit, m->unit)))
        return SX_OK;
    if (!known && sx_map_count(&q->families) >= FAMILIES_MAX)
        return SX_OK;
    send_meta *meta = sx_arena_alloc(&q->family_arena, sizeof *meta);
    sx_map_entry *e =
        meta ? sx_map_put(&q->families, sx_arena_copy(&q->family_arena, family), NULL) : NULL;
    if (!e)
        return sx_fail_memory(err, "metadata");
    *meta = (send_meta){type, sx_arena_copy(&q->family_arena, m->help),
                        sx_arena_copy(&q->family_arena, m->unit)};
    e->ptr = meta;
    return SX_OK;
}

static sx_status read_metadata(send_queue *q, tsdb_record_reader *r, sx_error *err)
{
    uint64_t ref;
    tsdb_metadata m;
    sx_status status;
    while ((status = tsdb_record_next_metadata(r, &ref, &m, err)) == SX_OK) {
        send_series *s = sx_map64_get(&q->series, ref);
        if (!s || s->dropped)
            continue;
        if (!q->entry->v2) {
            status = note_family(q, tsdb_labels_get(s->labels, TSDB_METRIC_NAME), &m, err);
            if (status != SX_OK)
                return status;
            continue;
        }
        send_meta *meta = meta_new(&m);
        if (!meta)
            return sx_fail_memory(err, "metadata");
        sx_free(s->meta);
        s->meta = meta;
    }
    return status;
}

static void on_metadata(sx_timer *timer, void *queue)
{
    send_queue *q = queue;
    size_t cursor = 0, count = 0;
    sx_buf body;
    sx_error err;
    sx_status status = SX_OK;
    sx_timer_start(sx_loop_timers(q->s->loop), timer, q->entry->metadata.interval_ms);
    if (q->meta.flying || q->meta.first)
        return; /* the round before has not arrived yet */
    sx_buf_init(&body, 0);
    for (sx_map_entry *e; status == SX_OK && (e = sx_map_next(&q->families, &cursor));) {
        send_encode_family(&body, e->key, e->ptr);
        if (++count < q->entry->metadata.max_samples_per_send)
            continue;
        status = send_metadata(q, &body, count, &err);
        sx_buf_clear(&body);
        count = 0;
    }
    if (status == SX_OK && count)
        status = send_metadata(q, &body, count, &err);
    if (status != SX_OK && q->s->log)
        SX_LOG_WARN(q->s->log, NULL, "metadata is not sent", sx_field_error(&err));
    sx_buf_done(&body);
}

/* --- Samples. */

/* Where the record lies that is being taken. */
typedef struct taking {
    send_queue *q;
    send_places at;
    uint32_t segment;
    bool resent;
} taking;

/* The series of an item that is to be sent; NULL: it is not, and counted. */
static send_series *wanted_series(const taking *k, uint64_t ref, int64_t t, send_kind kind)
{
    send_queue *q = k->q;
    int64_t limit = q->entry->queue.sample_age_limit_ms;
    send_series *s = sx_map64_get(&q->series, ref);
    q->in.events++;
    send_reason reason = SEND_REASONS;
    if (limit > 0 && t < sx_clock_ms(q->s->clock) - limit)
        reason = SEND_TOO_OLD;
    else if (!s)
        reason = SEND_UNKNOWN_SERIES;
    else if (s->dropped)
        reason = SEND_DROPPED_SERIES;
    if (reason == SEND_REASONS)
        return s;
    q->dropped.events++;
    send_count(q->metrics.dropped[kind][reason], 1);
    return NULL;
}

/* The shard of a series and, in *b, room for one item. */
static send_shard *room_for(const taking *k, uint64_t ref, send_batch **b)
{
    send_shard *sh = &k->q->shards[ref % k->q->shard_count];
    *b = send_shard_room(sh);
    if (!*b)
        return NULL;
    if ((*b)->count == 0)
        (*b)->from = k->at;
    (*b)->resent = (*b)->resent || k->resent;
    return sh;
}

static void add_item(send_queue *q, send_shard *sh, const send_item *item)
{
    item->series->refs++;
    if (item->t > q->highest_in)
        q->highest_in = item->t;
    sh->filling->items[sh->filling->count] = *item;
    send_shard_added(sh);
}

static sx_status read_samples(const taking *k, tsdb_record_reader *r, sx_error *err)
{
    uint64_t ref;
    send_item item = {.kind = SEND_SAMPLE};
    send_batch *b;
    sx_status status;
    while ((status = tsdb_record_next_sample(r, &ref, &item.t, &item.start, &item.v, err)) ==
           SX_OK) {
        item.series = wanted_series(k, ref, item.t, item.kind);
        if (!item.series)
            continue;
        send_shard *sh = room_for(k, ref, &b);
        if (!sh)
            return sx_fail_memory(err, "samples to be sent");
        add_item(k->q, sh, &item);
    }
    return status;
}

static sx_status read_histograms(const taking *k, tsdb_record_reader *r, sx_error *err)
{
    uint64_t ref;
    bool integer;
    sx_str encoded;
    send_item item = {.kind = SEND_HISTOGRAM};
    send_batch *b;
    sx_status status;
    while ((status = tsdb_record_next_histogram(r, &ref, &item.t, &item.start, &integer, &encoded,
                                                err)) == SX_OK) {
        item.series = wanted_series(k, ref, item.t, item.kind);
        if (!item.series)
            continue;
        send_shard *sh = room_for(k, ref, &b);
        tsdb_histogram *h = sh ? sx_arena_alloc(&b->arena, sizeof *h) : NULL;
        if (!h)
            return sx_fail_memory(err, "histograms to be sent");
        status = tsdb_record_get_histogram(encoded, integer, &b->arena, h, err);
        if (status == SX_ENOMEM)
            return status;
        if (status == SX_OK && h->schema == TSDB_SCHEMA_CUSTOM && !k->q->entry->v2) {
            k->q->dropped.events++;
            send_count(k->q->metrics.dropped[SEND_HISTOGRAM][SEND_CUSTOM_BUCKETS], 1);
        } else if (status == SX_OK) {
            item.h = h;
            add_item(k->q, sh, &item);
        }
    }
    return status;
}

static sx_status read_exemplars(const taking *k, tsdb_record_reader *r, sx_error *err)
{
    uint64_t ref;
    tsdb_labels labels;
    send_item item = {.kind = SEND_EXEMPLAR};
    send_batch *b;
    sx_status status;
    while ((status = tsdb_record_next_exemplar(r, &k->q->scratch, &ref, &item.t, &item.v, &labels,
                                               err)) == SX_OK) {
        item.series = wanted_series(k, ref, item.t, item.kind);
        send_shard *sh = item.series ? room_for(k, ref, &b) : NULL;
        if (item.series && !sh)
            return sx_fail_memory(err, "exemplars to be sent");
        if (item.series) {
            status = tsdb_labels_copy(labels, &b->arena, &item.exemplar, err);
            if (status != SX_OK)
                return status;
            add_item(k->q, sh, &item);
        }
        sx_arena_reset(&k->q->scratch);
    }
    return status;
}

/* SX_ENOMEM; damage within a record is passed over, as the store counts it. */
static sx_status take_record(const taking *k, bool only_series, sx_str record, sx_error *err)
{
    send_queue *q = k->q;
    tsdb_record_reader r;
    sx_status status = tsdb_record_open(&r, record, err);
    if (status != SX_OK)
        return status == SX_ENOMEM ? status : SX_OK;
    if (r.kind == TSDB_RECORD_SERIES)
        status = read_series(q, &r, k->segment, err);
    else if (r.kind == TSDB_RECORD_METADATA)
        status = read_metadata(q, &r, err);
    else if (only_series || r.kind == TSDB_RECORD_TOMBSTONES || r.kind == TSDB_RECORD_MMAP_MARKERS)
        return SX_OK;
    else if (r.kind == TSDB_RECORD_SAMPLES || r.kind == TSDB_RECORD_SAMPLES_V2)
        status = read_samples(k, &r, err);
    else if (r.kind == TSDB_RECORD_EXEMPLARS)
        status = q->entry->send_exemplars ? read_exemplars(k, &r, err) : SX_OK;
    else if (q->entry->send_native_histograms || q->entry->v2)
        status = read_histograms(k, &r, err);
    sx_arena_reset(&q->scratch);
    return status == SX_ENOMEM ? status : SX_OK;
}

/* --- The checkpoint: series of segments that are there no longer. */

static sx_status read_checkpoint(send_queue *q, uint32_t number, sx_error *err)
{
    char path[PATH_BYTES];
    tsdb_wal_range range;
    tsdb_wal_reader reader;
    sx_str record;
    taking k = {.q = q, .segment = number};
    int n = snprintf(path, sizeof path, "%s/wal/checkpoint.%08u", q->s->dir, number);
    if (n < 0 || (size_t)n >= sizeof path)
        return sx_fail(err, SX_ELIMIT, "path too long: %s", q->s->dir);
    sx_status status = tsdb_wal_list(path, &range, err);
    if (status != SX_OK || range.first > range.last)
        return status;
    status = tsdb_wal_reader_open(&reader, path, range.first, range.last, err);
    while (status == SX_OK) {
        status = tsdb_wal_next(&reader, &record, err);
        if (status == SX_OK)
            status = take_record(&k, true, record, err);
    }
    tsdb_wal_reader_close(&reader);
    return status == SX_END ? SX_OK : status;
}

/* Once all before a new checkpoint has been read: series that it does not know have gone. */
static sx_status look_at_checkpoint(send_queue *q, sx_error *err)
{
    char path[PATH_BYTES];
    tsdb_wal_range range;
    snprintf(path, sizeof path, "%s/wal", q->s->dir);
    sx_status status = tsdb_wal_list(path, &range, err);
    if (status != SX_OK || !range.has_checkpoint || range.checkpoint >= q->tails[0].segment ||
        (q->has_checkpoint && range.checkpoint <= q->checkpoint))
        return status;
    status = read_checkpoint(q, range.checkpoint, err);
    if (status != SX_OK)
        return status;
    q->has_checkpoint = true;
    q->checkpoint = range.checkpoint;
    size_t cursor = 0;
    for (sx_map64_entry *e; (e = sx_map64_next(&q->series, &cursor));) {
        send_series *s = e->ptr;
        if (s->segment >= range.checkpoint)
            continue;
        sx_map64_remove(&q->series, e->key);
        send_series_unref(s);
    }
    return SX_OK;
}

/* --- The place on disk. */

static sx_status place_path(const send_queue *q, char path[PATH_BYTES], sx_error *err)
{
    int n = snprintf(path, PATH_BYTES, "%s/sextant/remote-write.%016" PRIx64, q->s->dir, q->id);
    return n > 0 && n < PATH_BYTES ? SX_OK
                                   : sx_fail(err, SX_ELIMIT, "path too long: %s", q->s->dir);
}

static send_places answered_place(const send_queue *q)
{
    send_places p = {
        {place_of(&q->tails[0]), q->has_late ? q->late_from.at[1] : place_of(&q->tails[1])}};
    for (uint32_t i = 0; i < q->shard_count; i++) {
        const send_shard *sh = &q->shards[i];
        const send_batch *oldest = sh->flying ? sh->flying : sh->first ? sh->first : sh->filling;
        for (unsigned k = 0; oldest && oldest->count && k < SEND_LOGS; k++)
            if (before(oldest->from.at[k], p.at[k]))
                p.at[k] = oldest->from.at[k];
    }
    for (unsigned k = 0; k < SEND_LOGS; k++) /* not yet there */
        if (before(p.at[k], q->from.at[k]))
            p.at[k] = q->from.at[k];
    return p;
}

void send_read_save(send_queue *q)
{
    send_places p = answered_place(q);
    char path[PATH_BYTES], text[128];
    sx_error err;
    if (memcmp(&p, &q->saved, sizeof p) == 0)
        return;
    int n = snprintf(text, sizeof text, "1 %u %" PRIu64 " %u %" PRIu64 "\n", p.at[0].segment,
                     p.at[0].offset, p.at[1].segment, p.at[1].offset);
    sx_status status = place_path(q, path, &err);
    if (status == SX_OK)
        status = sx_file_replace(path, sx_str_of(text, (size_t)n), &err);
    if (status == SX_OK)
        q->saved = p;
    else if (q->s->log)
        SX_LOG_WARN(q->s->log, NULL, "how far the log has been sent could not be written down",
                    sx_field_error(&err));
}

/* SX_ENOTFOUND: none, or none that can be understood. */
static sx_status load_places(const send_queue *q, send_places *out, sx_error *err)
{
    char path[PATH_BYTES];
    sx_buf text;
    uint64_t n[5] = {0};
    sx_buf_init(&text, 0);
    sx_status status = place_path(q, path, err);
    if (status == SX_OK)
        status = sx_file_read(path, 4096, &text, err);
    sx_str rest = sx_buf_view(&text), word;
    if (rest.len && rest.data[rest.len - 1] == '\n')
        rest.len--;
    for (unsigned i = 0; i < 5 && status == SX_OK; i++) {
        sx_str after = SX_STR("");
        if (!sx_str_cut(rest, ' ', &word, &after))
            word = rest;
        if (!sx_str_to_u64(word, &n[i]))
            status = SX_ENOTFOUND;
        rest = after;
    }
    if (status == SX_OK && (n[0] != 1 || n[1] > UINT32_MAX || n[3] > UINT32_MAX))
        status = SX_ENOTFOUND;
    *out = (send_places){{{(uint32_t)n[1], n[2]}, {(uint32_t)n[3], n[4]}}};
    sx_buf_done(&text);
    return status;
}

static void on_save(sx_timer *timer, void *queue)
{
    send_queue *q = queue;
    sx_error err;
    send_read_save(q);
    if (look_at_checkpoint(q, &err) != SX_OK && q->s->log)
        SX_LOG_WARN(q->s->log, NULL, "series that have gone could not be forgotten",
                    sx_field_error(&err));
    send_show(&q->metrics, SEND_QUEUE_HIGHEST, (double)q->highest_in / 1000);
    sx_timer_start(sx_loop_timers(q->s->loop), timer, SAVE_MS);
}

/* --- Reading. */

static void note_lost(send_queue *q)
{
    uint64_t lost = q->tails[0].lost + q->tails[1].lost;
    if (lost == q->lost)
        return;
    send_count(q->metrics.lost_segments, lost - q->lost);
    if (q->s->log)
        SX_LOG_ERROR(q->s->log, NULL, "the log was cut before all of it was sent",
                     sx_field_str("url", q->entry->url), sx_field_u64("segments", lost - q->lost));
    q->lost = lost;
}

/* The next record of either log. SX_END: none now. */
static sx_status read_one(send_queue *q, sx_error *err)
{
    sx_str record;
    taking k = {.q = q};
    for (unsigned i = 0; i < SEND_LOGS; i++)
        k.at.at[i] = place_of(&q->tails[i]);
    if (q->has_late)
        k.at.at[1] = q->late_from.at[1];
    sx_status status = tsdb_wal_tail_next(&q->tails[0], &record, err);
    if (status == SX_OK) {
        bool old = before(k.at.at[0], q->from.at[0]);
        k.segment = q->tails[0].segment;
        k.resent = before(k.at.at[0], q->resend.at[0]);
        return take_record(&k, old, record, err);
    }
    if (status != SX_END)
        return status;
    if (q->has_late) {
        q->has_late = false;
        k.resent = before(k.at.at[1], q->resend.at[1]);
        return take_record(&k, false, q->late, err);
    }
    status = tsdb_wal_tail_next(&q->tails[1], &q->late, err);
    q->has_late = status == SX_OK;
    q->late_from = k.at;
    return status;
}

/* False: no reading now; a batch that ends will start it again. */
static bool may_read(send_queue *q)
{
    bool full, empty;
    sx_error err;
    send_shards_full(q, &full, &empty);
    if (q->wanted != q->shard_count) {
        if (!empty)
            return false;
        if (send_shards_make(q, q->wanted, &err) != SX_OK)
            q->wanted = q->shard_count;
    }
    if (full && !q->full_told)
        send_count(q->metrics.enqueue_retries, 1);
    q->full_told = full;
    return !full;
}

void send_read_on(sx_timer *timer, void *queue)
{
    send_queue *q = queue;
    sx_error err;
    sx_status status = SX_OK;
    int64_t wait_ms = 0;
    for (int i = 0; i < RECORDS_A_TURN && status == SX_OK; i++) {
        if (!may_read(q))
            return;
        status = read_one(q, &err);
    }
    q->at_end = status == SX_END;
    note_lost(q);
    if (status != SX_OK)
        wait_ms = IDLE_MS;
    if (status != SX_OK && status != SX_END) {
        wait_ms = SAVE_MS;
        if (q->s->log)
            SX_LOG_ERROR(q->s->log, NULL, "the log could not be read; trying again",
                         sx_field_error(&err));
    }
    sx_timer_start(sx_loop_timers(q->s->loop), timer, wait_ms);
}

/* The end of a log. */
static sx_status end_of(const send_queue *q, unsigned log, send_place *out, tsdb_wal_range *range,
                        sx_error *err)
{
    char path[PATH_BYTES];
    sx_file_info info;
    *out = (send_place){0};
    snprintf(path, sizeof path, "%s/%s", q->s->dir, LOGS[log]);
    sx_status status = tsdb_wal_list(path, range, err);
    if (status != SX_OK || range->first > range->last)
        return status;
    snprintf(path, sizeof path, "%s/%s/%08u", q->s->dir, LOGS[log], range->last);
    status = sx_file_stat(path, &info, err);
    *out = (send_place){range->last, info.bytes};
    return status;
}

sx_status send_read_open(send_queue *q, sx_error *err)
{
    char path[PATH_BYTES];
    send_places ends;
    tsdb_wal_range ranges[SEND_LOGS];
    sx_status status = SX_OK;
    snprintf(path, sizeof path, "%s/sextant", q->s->dir);
    status = sx_folder_make(path, err);
    for (unsigned i = 0; i < SEND_LOGS && status == SX_OK; i++)
        status = end_of(q, i, &ends.at[i], &ranges[i], err);
    if (status != SX_OK)
        return status;
    q->from = ends;
    if (load_places(q, &q->saved, err) == SX_OK) {
        q->from = q->saved;
        q->resend = ends;
        for (unsigned i = 0; i < SEND_LOGS; i++)
            if (before(ends.at[i], q->from.at[i])) /* another log than it was: it begins here */
                q->from.at[i] = ends.at[i];
    } else {
        q->saved = (send_places){{{UINT32_MAX, 0}}}; /* the first look writes one down */
    }
    if (ranges[0].has_checkpoint) {
        status = read_checkpoint(q, ranges[0].checkpoint, err);
        q->has_checkpoint = true;
        q->checkpoint = ranges[0].checkpoint;
    }
    for (unsigned i = 0; i < SEND_LOGS && status == SX_OK; i++) {
        send_place at = i == 0 ? (send_place){0} : q->from.at[i];
        snprintf(path, sizeof path, "%s/%s", q->s->dir, LOGS[i]);
        status = tsdb_wal_tail_open(&q->tails[i], path, at.segment, at.offset, err);
    }
    if (status != SX_OK)
        return status;
    if (ranges[0].first <= ranges[0].last && q->from.at[0].segment < ranges[0].first)
        q->tails[0].lost += ranges[0].first - q->from.at[0].segment;
    sx_timers *timers = sx_loop_timers(q->s->loop);
    q->read = (sx_timer){.fn = send_read_on, .arg = q};
    q->save = (sx_timer){.fn = on_save, .arg = q};
    q->metadata = (sx_timer){.fn = on_metadata, .arg = q};
    sx_timer_start(timers, &q->read, 0);
    sx_timer_start(timers, &q->save, 0);
    if (q->entry->metadata.send && !q->entry->v2 && q->entry->metadata.interval_ms > 0)
        sx_timer_start(timers, &q->metadata, q->entry->metadata.interval_ms);
    return SX_OK;
}

void send_read_close(send_queue *q)
{
    sx_timers *timers = sx_loop_timers(q->s->loop);
    size_t cursor = 0;
    sx_timer_stop(timers, &q->read);
    sx_timer_stop(timers, &q->save);
    sx_timer_stop(timers, &q->metadata);
    for (unsigned i = 0; i < SEND_LOGS; i++)
        tsdb_wal_tail_close(&q->tails[i]);
    for (sx_map64_entry *e; (e = sx_map64_next(&q->series, &cursor));)
        if (e->ptr)
            send_series_unref(e->ptr);
    sx_map64_done(&q->series);
}
