/* block_meta.c - a block's name, its meta.json and its tombstones. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/json.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>
#include <sextant/random.h>

#include "observe/tsdb/block.h"

enum { META_VERSION = 1, STONES_VERSION = 1, STONES_HEADER = 5, LIST_MOST = 1 << 20 };
static const uint32_t STONES_MAGIC = 0x0130BA30;
static const char DIGITS[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* --- ULIDs: 48 bits of time and 80 random ones, five to a character. Source: ulid/spec. */

sx_status tsdb_ulid_make(int64_t ms, char out[TSDB_ULID_BYTES], sx_error *err)
{
    uint8_t random[10];
    sx_status status = sx_random_bytes(random, sizeof random, err);
    if (status != SX_OK)
        return status;
    uint64_t time = ms < 0 ? 0 : (uint64_t)ms, high = 0, low = 0;
    for (unsigned i = 0; i < 5; i++) {
        high = high << 8 | random[i];
        low = low << 8 | random[i + 5];
    }
    for (unsigned i = 0; i < 10; i++)
        out[9 - i] = DIGITS[time >> (5 * i) & 31];
    for (unsigned i = 0; i < 8; i++) {
        out[17 - i] = DIGITS[high >> (5 * i) & 31];
        out[25 - i] = DIGITS[low >> (5 * i) & 31];
    }
    out[26] = '\0';
    return SX_OK;
}

bool tsdb_ulid_is(sx_str text)
{
    if (text.len != TSDB_ULID_BYTES - 1 || text.data[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !memchr(DIGITS, text.data[i], sizeof DIGITS - 1))
            return false;
    return true;
}

static void take_ulid(sx_json *r, char out[TSDB_ULID_BYTES])
{
    sx_str text;
    if (!sx_json_read_str(r, &text))
        return;
    if (!tsdb_ulid_is(text)) {
        sx_json_fail(r, SX_EFORMAT, "'%.*s' is no ULID", SX_ARG(text));
        return;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

/* --- meta.json. */

void tsdb_block_meta_done(tsdb_block_meta *m)
{
    sx_free(m->sources);
    sx_free(m->parents);
    *m = (tsdb_block_meta){0};
}

sx_status tsdb_block_meta_source(tsdb_block_meta *m, const char *ulid, sx_error *err)
{
    for (size_t i = 0; i < m->source_count; i++)
        if (memcmp(m->sources[i], ulid, TSDB_ULID_BYTES) == 0)
            return SX_OK;
    if (m->source_count >= LIST_MOST ||
        !sx_grow(&m->sources, &m->sources_cap, m->source_count + 1, sizeof *m->sources))
        return sx_fail_memory(err, "a block's sources");
    memcpy(m->sources[m->source_count++], ulid, TSDB_ULID_BYTES);
    return SX_OK;
}

sx_status tsdb_block_meta_parent(tsdb_block_meta *m, const tsdb_block_meta *of, sx_error *err)
{
    if (m->parent_count >= LIST_MOST ||
        !sx_grow(&m->parents, &m->parents_cap, m->parent_count + 1, sizeof *m->parents))
        return sx_fail_memory(err, "a block's parents");
    tsdb_block_parent *p = &m->parents[m->parent_count++];
    memcpy(p->ulid, of->ulid, TSDB_ULID_BYTES);
    p->min_t = of->min_t;
    p->max_t = of->max_t;
    return SX_OK;
}

static void read_stats(sx_json *r, tsdb_block_meta *m)
{
    const struct {
        sx_str key;
        uint64_t *to;
    } FIELDS[] = {
        {SX_STR("numSamples"), &m->samples},
        {SX_STR("numFloatSamples"), &m->float_samples},
        {SX_STR("numHistogramSamples"), &m->histogram_samples},
        {SX_STR("numSeries"), &m->series},
        {SX_STR("numChunks"), &m->chunks},
        {SX_STR("numTombstones"), &m->tombstones},
    };
    sx_str key;
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);)
        for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
            if (sx_str_eq(key, FIELDS[i].key))
                sx_json_read_u64(r, FIELDS[i].to);
}

static void read_parents(sx_json *r, tsdb_block_meta *m)
{
    for (sx_json_enter_array(r); sx_json_next_item(r);) {
        tsdb_block_meta of = {0};
        sx_str key;
        for (sx_json_enter_object(r); sx_json_next_key(r, &key);) {
            if (sx_str_eq(key, SX_STR("ulid")))
                take_ulid(r, of.ulid);
            else if (sx_str_eq(key, SX_STR("minTime")))
                sx_json_read_i64(r, &of.min_t);
            else if (sx_str_eq(key, SX_STR("maxTime")))
                sx_json_read_i64(r, &of.max_t);
        }
        if (of.ulid[0] && tsdb_block_meta_parent(m, &of, NULL) != SX_OK)
            sx_json_fail(r, SX_ENOMEM, "no memory for a block's parents");
    }
}

static void read_compaction(sx_json *r, tsdb_block_meta *m)
{
    sx_str key, hint;
    char ulid[TSDB_ULID_BYTES];
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);) {
        if (sx_str_eq(key, SX_STR("level"))) {
            uint64_t level = 0;
            sx_json_read_u64(r, &level);
            m->level = level > 1000 ? 1000 : (uint32_t)level;
        } else if (sx_str_eq(key, SX_STR("sources")) && !sx_json_take_null(r)) {
            for (sx_json_enter_array(r); sx_json_next_item(r);) {
                ulid[0] = '\0';
                take_ulid(r, ulid);
                if (ulid[0] && tsdb_block_meta_source(m, ulid, NULL) != SX_OK)
                    sx_json_fail(r, SX_ENOMEM, "no memory for a block's sources");
            }
        } else if (sx_str_eq(key, SX_STR("parents")) && !sx_json_take_null(r)) {
            read_parents(r, m);
        } else if (sx_str_eq(key, SX_STR("deletable"))) {
            sx_json_read_bool(r, &m->deletable);
        } else if (sx_str_eq(key, SX_STR("failed"))) {
            sx_json_read_bool(r, &m->failed);
        } else if (sx_str_eq(key, SX_STR("hints")) && !sx_json_take_null(r)) {
            for (sx_json_enter_array(r); sx_json_next_item(r);)
                if (sx_json_read_str(r, &hint) && sx_str_eq(hint, SX_STR("from-out-of-order")))
                    m->out_of_order = true;
        }
    }
}

sx_status tsdb_block_meta_read(tsdb_block_meta *m, sx_str text, sx_error *err)
{
    sx_arena arena;
    sx_json r;
    sx_str key;
    int64_t version = 0;
    *m = (tsdb_block_meta){0};
    sx_arena_init(&arena, 0, 0);
    sx_json_init(&r, text, &(sx_json_options){.arena = &arena});
    for (sx_json_enter_object(&r); sx_json_next_key(&r, &key);) {
        if (sx_str_eq(key, SX_STR("ulid")))
            take_ulid(&r, m->ulid);
        else if (sx_str_eq(key, SX_STR("minTime")))
            sx_json_read_i64(&r, &m->min_t);
        else if (sx_str_eq(key, SX_STR("maxTime")))
            sx_json_read_i64(&r, &m->max_t);
        else if (sx_str_eq(key, SX_STR("version")))
            sx_json_read_i64(&r, &version);
        else if (sx_str_eq(key, SX_STR("stats")))
            read_stats(&r, m);
        else if (sx_str_eq(key, SX_STR("compaction")))
            read_compaction(&r, m);
    }
    sx_status status = sx_json_finish(&r, err);
    sx_arena_done(&arena);
    if (status == SX_OK && version != META_VERSION)
        status = sx_fail(err, SX_EUNSUPPORTED, "version %lld; known is 1", (long long)version);
    if (status == SX_OK && (!m->ulid[0] || m->min_t > m->max_t))
        status = sx_fail(err, SX_ECORRUPT, "it has no ULID, or its end is before its beginning");
    if (status != SX_OK) {
        sx_error_prefix(err, status, "meta.json");
        tsdb_block_meta_done(m);
    }
    return status;
}

static void put_u64(sx_json_writer *w, const char *key, uint64_t value)
{
    if (value == 0)
        return;
    sx_json_key(w, sx_str_z(key));
    sx_json_u64(w, value);
}

static void put_range(sx_json_writer *w, const char *ulid, int64_t min_t, int64_t max_t)
{
    sx_json_key(w, SX_STR("ulid"));
    sx_json_str(w, sx_str_z(ulid));
    sx_json_key(w, SX_STR("minTime"));
    sx_json_i64(w, min_t);
    sx_json_key(w, SX_STR("maxTime"));
    sx_json_i64(w, max_t);
}

static void put_compaction(sx_json_writer *w, const tsdb_block_meta *m)
{
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("level"));
    sx_json_u64(w, m->level);
    if (m->source_count) {
        sx_json_key(w, SX_STR("sources"));
        sx_json_begin_array(w);
        for (size_t i = 0; i < m->source_count; i++)
            sx_json_str(w, sx_str_z(m->sources[i]));
        sx_json_end_array(w);
    }
    if (m->deletable) {
        sx_json_key(w, SX_STR("deletable"));
        sx_json_bool(w, true);
    }
    if (m->parent_count) {
        sx_json_key(w, SX_STR("parents"));
        sx_json_begin_array(w);
        for (size_t i = 0; i < m->parent_count; i++) {
            sx_json_begin_object(w);
            put_range(w, m->parents[i].ulid, m->parents[i].min_t, m->parents[i].max_t);
            sx_json_end_object(w);
        }
        sx_json_end_array(w);
    }
    if (m->failed) {
        sx_json_key(w, SX_STR("failed"));
        sx_json_bool(w, true);
    }
    if (m->out_of_order) {
        sx_json_key(w, SX_STR("hints"));
        sx_json_begin_array(w);
        sx_json_str(w, SX_STR("from-out-of-order"));
        sx_json_end_array(w);
    }
    sx_json_end_object(w);
}

sx_status tsdb_block_meta_print(const tsdb_block_meta *m, sx_buf *out, sx_error *err)
{
    sx_json_writer w;
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    put_range(&w, m->ulid, m->min_t, m->max_t);
    sx_json_key(&w, SX_STR("stats"));
    sx_json_begin_object(&w);
    put_u64(&w, "numSamples", m->samples);
    put_u64(&w, "numFloatSamples", m->float_samples);
    put_u64(&w, "numHistogramSamples", m->histogram_samples);
    put_u64(&w, "numSeries", m->series);
    put_u64(&w, "numChunks", m->chunks);
    put_u64(&w, "numTombstones", m->tombstones);
    sx_json_end_object(&w);
    sx_json_key(&w, SX_STR("compaction"));
    put_compaction(&w, m);
    sx_json_key(&w, SX_STR("version"));
    sx_json_u64(&w, META_VERSION);
    sx_json_end_object(&w);
    sx_status status = sx_json_writer_finish(&w, err);
    sx_buf_byte(out, '\n');
    return status == SX_OK ? sx_buf_status(out, "meta.json", err) : status;
}

/* --- Tombstones. */

static int compare_stones(const void *a, const void *b)
{
    const tsdb_stone *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->min_t < y->min_t ? -1 : x->min_t > y->min_t;
}

/* Ranges of one series that touch become one. */
void tsdb_stones_sort(tsdb_stones *s)
{
    size_t kept = 0;
    if (s->count)
        qsort(s->items, s->count, sizeof *s->items, compare_stones);
    for (size_t i = 0; i < s->count; i++) {
        tsdb_stone *last = kept ? &s->items[kept - 1] : NULL;
        if (last && last->id == s->items[i].id &&
            (last->max_t == INT64_MAX || s->items[i].min_t <= last->max_t + 1)) {
            if (s->items[i].max_t > last->max_t)
                last->max_t = s->items[i].max_t;
        } else {
            s->items[kept++] = s->items[i];
        }
    }
    s->count = kept;
}

sx_status tsdb_stones_read(tsdb_stones *s, sx_str file, sx_error *err)
{
    const uint8_t *data = (const uint8_t *)file.data;
    *s = (tsdb_stones){0};
    if (file.len < STONES_HEADER + 4)
        return sx_fail(err, SX_ECORRUPT, "tombstones of %zu bytes are too short", file.len);
    tsdb_cursor c = {data, data + file.len - 4, false}, sum = {c.end, data + file.len, false};
    if (tsdb_cursor_be(&c, 4) != STONES_MAGIC)
        return sx_fail(err, SX_ECORRUPT, "tombstones do not begin as such");
    if (tsdb_cursor_be(&c, 1) != STONES_VERSION)
        return sx_fail(err, SX_EUNSUPPORTED, "tombstones of an unknown version");
    if (tsdb_cursor_be(&sum, 4) != sx_crc32c(0, c.at, (size_t)(c.end - c.at)))
        return sx_fail(err, SX_ECORRUPT, "tombstones fail their checksum");
    sx_status status = SX_OK;
    while (c.at < c.end && status == SX_OK) {
        if (!sx_grow(&s->items, &s->cap, s->count + 1, sizeof *s->items)) {
            status = sx_fail_memory(err, "tombstones");
            break;
        }
        tsdb_stone *stone = &s->items[s->count++];
        stone->id = tsdb_cursor_uvarint(&c);
        stone->min_t = tsdb_cursor_varint(&c);
        stone->max_t = tsdb_cursor_varint(&c);
        if (c.bad)
            status = sx_fail(err, SX_ECORRUPT, "tombstones break at entry %zu", s->count);
    }
    if (status == SX_OK) {
        tsdb_stones_sort(s);
    } else {
        sx_free(s->items);
        *s = (tsdb_stones){0};
    }
    return status;
}

sx_status tsdb_stones_print(const tsdb_stones *s, sx_buf *out, sx_error *err)
{
    tsdb_put_be(out, STONES_MAGIC, 4);
    sx_buf_byte(out, STONES_VERSION);
    for (size_t i = 0; i < s->count; i++) {
        const tsdb_stone *stone = &s->items[i];
        sx_pb_add_varint(out, stone->id);
        sx_pb_add_varint(out, sx_pb_zigzag_of(stone->min_t));
        sx_pb_add_varint(out, sx_pb_zigzag_of(stone->max_t));
    }
    sx_status status = sx_buf_status(out, "tombstones", err);
    if (status == SX_OK)
        tsdb_put_be(out, sx_crc32c(0, out->data + STONES_HEADER, out->len - STONES_HEADER), 4);
    return status == SX_OK ? sx_buf_status(out, "tombstones", err) : status;
}

const tsdb_stone *tsdb_stones_of(const tsdb_stones *s, uint64_t id, size_t *count)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->items[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low;
    while (end < s->count && s->items[end].id == id)
        end++;
    *count = end - low;
    return end > low ? s->items + low : NULL;
}
