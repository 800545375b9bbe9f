/* cut.c - the head's old samples become blocks.
 *
 * When the head spans one and a half ranges, all before a border goes: a border at which no chunk of
 * floats is open over. From the moment a cut begins, samples older than the border are kept apart
 * (head.h), so nothing has to stand still: the series are sorted once, each range is written as a
 * block, in passing over the series that have something in it. Late samples go to the range they
 * belong to; a block that holds nothing else overlaps an older one and is merged with it by compaction.
 *
 * Series are sorted by numbers of symbols, which lie in a file of their own meanwhile: that is most of
 * what is needed, and so it is not the head's budget that pays for it. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/blocks.h"

enum {
    LATE_FLUSH = 4 << 20, /* late samples that are not waited with until the next cut */
};

typedef struct cut_series {
    tsdb_ref ref;
    uint64_t at; /* index of its pairs in the file: their number, then name, value ... */
    bool late;
} cut_series;

typedef struct head_sorted {
    tsdb *db;
    tsdb_head_reader reader;
    bool reading;
    sx_str *symbols; /* views into the head */
    size_t symbol_count, symbols_cap;
    const char *last_name;
    uint32_t *table; /* symbol number + 1 by hash, open addressing */
    size_t table_cap;
    cut_series *series;
    size_t series_count, series_cap;
    sx_writer file;
    uint64_t words;
    sx_mapping map;
    bool failed;
    int64_t *windows; /* starts of ranges before the border that have something, sorted */
    bool *late_only;
    size_t window_count, windows_cap;
    int64_t width, t;
} head_sorted;

/* --- Symbols. */

static void note_pair(void *context, sx_str name, sx_str value, uint32_t series)
{
    head_sorted *h = context;
    (void)series;
    if (h->failed ||
        !sx_grow(&h->symbols, &h->symbols_cap, h->symbol_count + 2, sizeof *h->symbols)) {
        h->failed = true;
        return;
    }
    if (h->last_name != name.data) /* the head goes by name: one is enough for its values */
        h->symbols[h->symbol_count++] = name;
    h->symbols[h->symbol_count++] = value;
    h->last_name = name.data;
}

static int compare_text(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

static sx_status number_symbols(head_sorted *h, sx_error *err)
{
    size_t kept = 0;
    tsdb_head_pairs(h->db->head, note_pair, h);
    if (h->failed)
        return sx_fail_memory(err, "symbols of a block");
    if (h->symbol_count)
        qsort(h->symbols, h->symbol_count, sizeof *h->symbols, compare_text);
    for (size_t i = 0; i < h->symbol_count; i++)
        if (i == 0 || !sx_str_eq(h->symbols[i], h->symbols[kept - 1]))
            h->symbols[kept++] = h->symbols[i];
    h->symbol_count = kept;
    h->table_cap = 16;
    while (h->table_cap < kept * 2)
        h->table_cap *= 2;
    h->table = sx_calloc(h->table_cap, sizeof *h->table);
    if (!h->table)
        return sx_fail_memory(err, "symbols of a block");
    for (size_t i = 0; i < kept; i++) {
        size_t at = sx_hash(h->symbols[i], 0) & (h->table_cap - 1);
        while (h->table[at])
            at = (at + 1) & (h->table_cap - 1);
        h->table[at] = (uint32_t)i + 1;
    }
    return SX_OK;
}

/* False for a string that came after the symbols were listed. */
static bool number_of(const head_sorted *h, sx_str text, uint32_t *out)
{
    size_t at = sx_hash(text, 0) & (h->table_cap - 1);
    for (; h->table[at]; at = (at + 1) & (h->table_cap - 1)) {
        *out = h->table[at] - 1;
        if (sx_str_eq(h->symbols[*out], text))
            return true;
    }
    return false;
}

/* --- Series, and the ranges they have samples in. */

static void note_time(void *context, int64_t t)
{
    head_sorted *h = context;
    int64_t start = tsdb_window_start(t, h->width);
    size_t low = 0, high = h->window_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (h->windows[middle] < start)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < h->window_count && h->windows[low] == start)
        return;
    if (!sx_grow(&h->windows, &h->windows_cap, h->window_count + 1, sizeof *h->windows)) {
        h->failed = true;
        return;
    }
    memmove(h->windows + low + 1, h->windows + low, (h->window_count - low) * sizeof *h->windows);
    h->windows[low] = start;
    h->window_count++;
}

static sx_status note_series(void *context, tsdb_ref ref, tsdb_labels labels, sx_error *err)
{
    head_sorted *h = context;
    uint32_t pairs[2], count = labels.count;
    cut_series item = {.ref = ref, .at = h->words};
    (void)tsdb_head_has(h->db->head, ref, INT64_MIN, INT64_MAX, &item.late);
    for (uint32_t i = 0; i < count; i++) /* a series made just now waits for the next cut */
        if (!number_of(h, labels.items[i].name, &pairs[0]) ||
            !number_of(h, labels.items[i].value, &pairs[1]))
            return SX_OK;
    if (!sx_grow(&h->series, &h->series_cap, h->series_count + 1, sizeof *h->series))
        return sx_fail_memory(err, "series of a block");
    sx_status status = sx_writer_bytes(&h->file, &count, sizeof count, err);
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        number_of(h, labels.items[i].name, &pairs[0]);
        number_of(h, labels.items[i].value, &pairs[1]);
        status = sx_writer_bytes(&h->file, pairs, sizeof pairs, err);
    }
    h->words += 1 + 2 * (uint64_t)count;
    h->series[h->series_count++] = item;
    tsdb_head_chunk_times(h->db->head, ref, h->t, note_time, h);
    return h->failed ? sx_fail_memory(err, "ranges of blocks") : status;
}

/* Ranges in which there is nothing in order are found by reading the few series that have late ones. */
static sx_status note_late_ranges(head_sorted *h, sx_error *err)
{
    size_t regular = h->window_count;
    int64_t *in_order = sx_alloc((regular + 1) * sizeof *in_order);
    sx_arena arena;
    tsdb_columns c;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    sx_status status = in_order ? SX_OK : sx_fail_memory(err, "ranges of blocks");
    if (in_order && regular)
        memcpy(in_order, h->windows, regular * sizeof *in_order);
    for (size_t i = 0; i < h->series_count && status == SX_OK; i++) {
        if (!h->series[i].late || h->t == INT64_MIN)
            continue;
        c.count = 0;
        status = tsdb_head_read(h->db->head, h->series[i].ref, INT64_MIN, h->t - 1, &c, err);
        for (size_t k = 0; k < c.count; k++)
            note_time(h, c.t[k]);
        sx_arena_reset(&arena);
    }
    if (status == SX_OK && !h->failed) {
        h->late_only = sx_alloc((h->window_count + 1) * sizeof *h->late_only);
        h->failed = !h->late_only;
    }
    for (size_t i = 0, k = 0; status == SX_OK && !h->failed && i < h->window_count; i++) {
        while (k < regular && in_order[k] < h->windows[i])
            k++;
        h->late_only[i] = !(k < regular && in_order[k] == h->windows[i]);
    }
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    sx_free(in_order);
    return status == SX_OK && h->failed ? sx_fail_memory(err, "ranges of blocks") : status;
}

static int compare_series(const void *a, const void *b, void *context)
{
    const cut_series *x = a, *y = b;
    const uint32_t *words = context, *p = words + x->at, *q = words + y->at;
    uint32_t shorter = p[0] < q[0] ? p[0] : q[0];
    for (uint32_t i = 1; i <= 2 * shorter; i++)
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    return p[0] < q[0] ? -1 : p[0] > q[0];
}

static void sorted_done(head_sorted *h)
{
    if (h->reading)
        tsdb_head_leave(h->db->head, &h->reader);
    if (h->file.fd >= 0)
        sx_writer_abandon(&h->file);
    sx_mapping_close(&h->map);
    sx_free(h->symbols);
    sx_free(h->table);
    sx_free(h->series);
    sx_free(h->windows);
    sx_free(h->late_only);
}

/* All series of the head sorted by labels, and which ranges before `t` have samples. */
static sx_status sort_head(tsdb *db, int64_t t, head_sorted *h, sx_error *err)
{
    char path[TSDB_PATH_BYTES];
    *h = (head_sorted){.db = db, .t = t, .width = db->options.block_ms};
    h->file.fd = -1;
    tsdb_head_enter(db->head, &h->reader);
    h->reading = true;
    sx_status status = number_symbols(h, err);
    if (status == SX_OK)
        status = tsdb_path(db, "sextant", path, err);
    if (status == SX_OK)
        status = sx_folder_make(path, err);
    if (status == SX_OK)
        status = tsdb_path(db, "sextant/cut.tmp", path, err);
    if (status == SX_OK)
        status = sx_writer_open(&h->file, path, SX_WRITER_EMPTY, 0, err);
    for (uint32_t i = 0; i <= db->head->shard_mask && status == SX_OK; i++)
        status = tsdb_head_each(db->head, i, note_series, h, err);
    if (status == SX_OK)
        status = sx_writer_close(&h->file, err);
    if (status == SX_OK)
        status = sx_mapping_open(&h->map, path, SX_MAP_RANDOM, err);
    if (h->file.offset)
        (void)sx_file_remove(path, NULL);
    if (status == SX_OK && h->series_count)
        qsort_r(h->series, h->series_count, sizeof *h->series, compare_series,
                (void *)(uintptr_t)h->map.data);
    return status == SX_OK ? note_late_ranges(h, err) : status;
}

/* --- Writing a block. */

typedef struct cut_range {
    int64_t min_t, max_t; /* both inclusive */
    bool late_only;
    uint32_t level;
    int64_t end; /* of the block; exclusive */
} cut_range;

static const uint32_t *words_of(const head_sorted *h, const cut_series *s)
{
    return (const uint32_t *)(const void *)h->map.data + s->at;
}

/* Marks the series that may have something and their symbols, and numbers these anew. */
static uint32_t choose(const head_sorted *h, const cut_range *r, bool *chosen, uint32_t *numbers,
                       uint64_t *bytes)
{
    for (size_t i = 0; i < h->series_count; i++) {
        bool late;
        bool has = tsdb_head_has(h->db->head, h->series[i].ref, r->min_t, r->max_t, &late);
        chosen[i] = late || (has && !r->late_only);
        const uint32_t *words = words_of(h, &h->series[i]);
        for (uint32_t k = 1; chosen[i] && k <= 2 * words[0]; k++)
            numbers[words[k]] = 1;
    }
    uint32_t count = 0;
    *bytes = 0;
    for (size_t i = 0; i < h->symbol_count; i++) {
        if (!numbers[i])
            continue;
        *bytes += tsdb_symbol_bytes(h->symbols[i]);
        numbers[i] = ++count; /* one more than the number: 0 is unused */
    }
    return count;
}

static sx_status write_series(tsdb_block_writer *w, const head_sorted *h, const cut_series *s,
                              const cut_range *r, const uint32_t *numbers, tsdb_columns *c,
                              sx_arena *arena, sx_error *err)
{
    const uint32_t *words = words_of(h, s);
    tsdb_pack_options pack = {.xor2 = h->db->options.xor2};
    c->count = 0;
    sx_status status = tsdb_head_read(h->db->head, s->ref, r->min_t, r->max_t, c, err);
    for (size_t at = 0; status == SX_OK && at < c->count;) {
        tsdb_packed packed;
        status = tsdb_chunk_pack(c, &at, &pack, arena, &packed, err);
        if (status == SX_OK)
            status = tsdb_block_writer_chunk(w, packed.encoding, packed.bytes, packed.min_t,
                                             packed.max_t, err);
    }
    if (status != SX_OK || w->chunk_count == 0)
        return status;
    uint32_t *pairs = sx_arena_alloc(arena, (2 * words[0] + 1) * sizeof *pairs);
    if (!pairs)
        return sx_fail_memory(err, "series of a block");
    for (uint32_t i = 0; i < 2 * words[0]; i++)
        pairs[i] = numbers[words[i + 1]] - 1;
    return tsdb_block_writer_series(w, pairs, words[0], err);
}

static sx_status write_all(tsdb_block_writer *w, const head_sorted *h, const cut_range *r,
                           const bool *chosen, const uint32_t *numbers, sx_error *err)
{
    sx_arena arena;
    tsdb_columns c;
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    sx_status status = SX_OK;
    for (size_t i = 0; i < h->symbol_count && status == SX_OK; i++)
        if (numbers[i])
            status = tsdb_block_writer_symbol(w, h->symbols[i], err);
    for (size_t i = 0; i < h->series_count && status == SX_OK; i++) {
        if (!chosen[i])
            continue;
        status = write_series(w, h, &h->series[i], r, numbers, &c, &arena, err);
        sx_arena_reset(&arena);
        if (c.h || c.st) { /* columns that the next series may not want */
            tsdb_columns_done(&c);
            tsdb_columns_init(&c, &arena);
        }
        if (status == SX_OK && atomic_load_explicit(&h->db->canceled, memory_order_relaxed))
            status = sx_fail(err, SX_ECANCELED, "the database is being closed");
    }
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    return status;
}

/* *ulid is empty if there was nothing to write. */
static sx_status write_range(const head_sorted *h, const char *dir, const cut_range *r,
                             char ulid[TSDB_ULID_BYTES], sx_error *err)
{
    tsdb_block_writer w = {0};
    uint64_t bytes = 0;
    bool empty = true;
    bool *chosen = sx_calloc(h->series_count + 1, sizeof *chosen);
    uint32_t *numbers = sx_calloc(h->symbol_count + 1, sizeof *numbers);
    sx_status status = chosen && numbers ? SX_OK : sx_fail_memory(err, "block");
    uint32_t count = status == SX_OK ? choose(h, r, chosen, numbers, &bytes) : 0;
    w.segment.fd = w.index.file.fd = -1;
    if (status == SX_OK)
        status = tsdb_block_writer_open(&w, dir, sx_clock_ms(h->db->clock), count, bytes, err);
    if (status == SX_OK)
        status = write_all(&w, h, r, chosen, numbers, err);
    if (status == SX_OK) {
        w.meta.level = r->level;
        w.meta.min_t = w.min_t;
        w.meta.max_t = r->end;
        w.meta.out_of_order = r->late_only;
        status = tsdb_block_meta_source(&w.meta, w.meta.ulid, err);
    }
    if (status == SX_OK)
        status = tsdb_block_writer_end(&w, &empty, err);
    memcpy(ulid, w.meta.ulid, TSDB_ULID_BYTES);
    if (empty)
        ulid[0] = '\0';
    tsdb_block_writer_done(&w);
    sx_free(chosen);
    sx_free(numbers);
    return status;
}

/* --- When and what. */

sx_status tsdb_cut(tsdb *db, int64_t t, sx_error *err)
{
    head_sorted h;
    char ulid[TSDB_ULID_BYTES];
    /* A border between batches: each of them is in the logs and the head, or will be judged by it. */
    pthread_rwlock_wrlock(&db->truncation);
    uint32_t ended;
    sx_status status = tsdb_wal_cut(db->wbl, &ended, err);
    db->cut_wbl = tsdb_wal_segment(db->wbl);
    int64_t floor_t = atomic_load(&db->head->floor_t);
    if (t < floor_t)
        t = floor_t; /* only late samples are to go */
    if (status == SX_OK && t > floor_t)
        atomic_store(&db->head->floor_t, t);
    pthread_rwlock_unlock(&db->truncation);
    if (status != SX_OK)
        return status;
    tsdb_head_begin_cut(db->head, t);
    status = sort_head(db, t, &h, err);
    for (size_t i = 0; i < h.window_count && status == SX_OK; i++) {
        int64_t from = h.windows[i], end = from > INT64_MAX - h.width ? INT64_MAX : from + h.width;
        cut_range r = {from, (end < t ? end : t) - 1, h.late_only[i], 1, end};
        status = write_range(&h, db->dir, &r, ulid, err);
        if (status == SX_OK && ulid[0])
            status = tsdb_blocks_replace(db, NULL, 0, ulid, err);
    }
    sorted_done(&h);
    if (status == SX_OK) {
        db->cut_t = t;
        db->cut_readers = tsdb_head_readers_now(db->head);
        db->cut_pending = true;
    }
    return status;
}

sx_status tsdb_cut_finish(tsdb *db, sx_error *err)
{
    if (!db->cut_pending || !tsdb_head_readers_gone(db->head, db->cut_readers))
        return SX_OK;
    db->cut_pending = false;
    return tsdb_truncate(db, db->cut_t, db->cut_wbl, err);
}

sx_status tsdb_cut_due(tsdb *db, sx_error *err)
{
    tsdb_head_stats stats;
    int64_t width = db->options.block_ms, floor_t = atomic_load(&db->head->floor_t);
    if (db->cut_pending)
        return SX_OK;
    tsdb_head_stats_read(db->head, &stats);
    if (stats.max_t == INT64_MIN)
        return SX_OK;
    int64_t from = stats.min_t > floor_t ? stats.min_t : floor_t;
    int64_t border = tsdb_window_start(stats.max_t - width / 2, width);
    bool full = from < border &&
                (uint64_t)stats.max_t - (uint64_t)from > (uint64_t)width + (uint64_t)width / 2;
    bool late = floor_t != INT64_MIN && tsdb_head_late(db->head) > LATE_FLUSH;
    if (!full && !late)
        return SX_OK;
    /* After a failure (a full disk) not every second. */
    int64_t now = sx_clock_mono_ms(db->clock);
    if (now < db->cut_retry_ms)
        return SX_OK;
    sx_status status = tsdb_cut(db, full ? border : floor_t, err);
    if (status != SX_OK)
        db->cut_retry_ms = now + TSDB_RETRY_MS;
    atomic_fetch_add(status == SX_OK ? &db->compactions : &db->compactions_failed, 1);
    return status == SX_OK ? tsdb_cut_finish(db, err) : status;
}

sx_status tsdb_cut_copy(tsdb *db, const char *dir, int64_t min_t, int64_t max_t, sx_error *err)
{
    head_sorted h;
    char ulid[TSDB_ULID_BYTES];
    int64_t end = max_t == INT64_MAX ? max_t : max_t + 1;
    cut_range r = {min_t, max_t, false, 1, end};
    sx_status status = sort_head(db, INT64_MIN, &h, err);
    if (status == SX_OK)
        status = write_range(&h, dir, &r, ulid, err);
    sorted_done(&h);
    return status;
}
