/* compact.c - several blocks become one.
 *
 * Which: blocks that overlap come first, whatever their age (late samples make such). Then, leaving
 * the newest block alone so that it can be copied away, all blocks of one range of the next width
 * (three times the one before) once the range is full or has passed. Then a block of which more than
 * a twentieth of the series has tombstones. These are Prometheus's rules.
 *
 * How: the blocks' symbols are merged, so that labels compare as numbers; series are merged by
 * labels; chunks go over as they are, except those that overlap in time or have deleted samples,
 * which are decoded and packed anew. Memory: a number for each symbol, and one series. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/tsdb/blocks.h"

enum { RANGES_MAX = 16, RANGE_FACTOR = 3, STONES_PERCENT = 5 };

typedef struct merge_input {
    tsdb_block *block;
    tsdb_symbols symbols;
    sx_str symbol; /* the next one */
    bool more_symbols;
    uint32_t *numbers; /* its symbols' numbers in the new block */
    uint32_t at_symbol;
    tsdb_id_list ids;
    uint32_t next;
    bool more;
    tsdb_series_room room; /* of the series it stands at, pairs in new numbers */
    uint64_t id;
} merge_input;

typedef struct merge_chunk {
    tsdb_chunk_meta meta;
    size_t input;
    bool stones;
} merge_chunk;

typedef struct merger {
    tsdb *db;
    merge_input *inputs;
    size_t count;
    tsdb_block_writer w;
    merge_chunk *chunks;
    size_t chunk_count, chunks_cap;
    tsdb_columns columns;
    sx_arena arena;
} merger;

/* --- Symbols. */

/* Calls the writer with all symbols in order, or only counts them. */
static sx_status merge_symbols(merger *m, bool write, uint32_t *count, uint64_t *bytes,
                               sx_error *err)
{
    *count = 0;
    *bytes = 0;
    for (size_t i = 0; i < m->count; i++) {
        merge_input *in = &m->inputs[i];
        tsdb_symbols_start(&in->block->index, &in->symbols);
        in->more_symbols = tsdb_symbols_next(&in->symbols, &in->symbol);
        in->at_symbol = 0;
    }
    for (;;) {
        const merge_input *least = NULL;
        for (size_t i = 0; i < m->count; i++)
            if (m->inputs[i].more_symbols &&
                (!least || sx_str_cmp(m->inputs[i].symbol, least->symbol) < 0))
                least = &m->inputs[i];
        if (!least)
            return SX_OK;
        sx_str symbol = least->symbol;
        sx_status status = write ? tsdb_block_writer_symbol(&m->w, symbol, err) : SX_OK;
        if (status != SX_OK)
            return status;
        for (size_t i = 0; i < m->count; i++) {
            merge_input *in = &m->inputs[i];
            if (!in->more_symbols || !sx_str_eq(in->symbol, symbol))
                continue;
            in->numbers[in->at_symbol++] = *count;
            in->more_symbols = tsdb_symbols_next(&in->symbols, &in->symbol);
            if (in->more_symbols && sx_str_cmp(in->symbol, symbol) <= 0)
                return sx_fail(err, SX_ECORRUPT, "%s: index: symbols are not sorted",
                               in->block->dir);
        }
        ++*count;
        *bytes += tsdb_symbol_bytes(symbol);
    }
}

/* --- Series. */

static sx_status next_series(merge_input *in, sx_error *err)
{
    in->more = in->next < in->ids.count;
    if (!in->more)
        return SX_OK;
    in->id = tsdb_id_at(&in->ids, in->next++);
    sx_status status = tsdb_index_series(&in->block->index, in->id, true, &in->room, err);
    for (size_t i = 0; status == SX_OK && i < 2 * in->room.pair_count; i++) {
        if (in->room.pairs[i] >= in->block->index.symbol_count)
            return sx_fail(err, SX_ECORRUPT, "%s: a label that is no symbol", in->block->dir);
        in->room.pairs[i] = in->numbers[in->room.pairs[i]];
    }
    return status;
}

static int compare_rooms(const tsdb_series_room *a, const tsdb_series_room *b)
{
    size_t shorter = a->pair_count < b->pair_count ? a->pair_count : b->pair_count;
    for (size_t i = 0; i < 2 * shorter; i++)
        if (a->pairs[i] != b->pairs[i])
            return a->pairs[i] < b->pairs[i] ? -1 : 1;
    return a->pair_count < b->pair_count ? -1 : a->pair_count > b->pair_count;
}

static int compare_chunks(const void *a, const void *b)
{
    const merge_chunk *x = a, *y = b;
    if (x->meta.min_t != y->meta.min_t)
        return x->meta.min_t < y->meta.min_t ? -1 : 1;
    return x->input < y->input ? -1 : x->input > y->input;
}

static sx_status add_chunks(merger *m, size_t input, sx_error *err)
{
    merge_input *in = &m->inputs[input];
    size_t stones = 0;
    pthread_rwlock_rdlock(&in->block->stones_lock);
    const tsdb_stone *of = tsdb_stones_of(&in->block->stones, in->id, &stones);
    sx_status status = SX_OK;
    if (!sx_grow(&m->chunks, &m->chunks_cap, m->chunk_count + in->room.chunk_count + 1,
                 sizeof *m->chunks))
        status = sx_fail_memory(err, "chunks of a series");
    for (size_t i = 0; status == SX_OK && i < in->room.chunk_count; i++) {
        tsdb_chunk_meta meta = in->room.chunks[i];
        bool hit = false, gone = false;
        for (size_t k = 0; k < stones; k++) {
            hit = hit || (of[k].min_t <= meta.max_t && of[k].max_t >= meta.min_t);
            gone = gone || (of[k].min_t <= meta.min_t && of[k].max_t >= meta.max_t);
        }
        if (!gone)
            m->chunks[m->chunk_count++] = (merge_chunk){meta, input, hit};
    }
    pthread_rwlock_unlock(&in->block->stones_lock);
    return status;
}

/* Decodes the chunks from..to, which overlap or have deletions, and packs what is left. */
static sx_status rewrite(merger *m, size_t from, size_t to, sx_error *err)
{
    tsdb_columns *c = &m->columns;
    tsdb_pack_options pack = {.xor2 = m->db->options.xor2};
    sx_status status = SX_OK;
    c->count = 0;
    for (size_t i = from; i < to && status == SX_OK; i++) {
        const merge_chunk *chunk = &m->chunks[i];
        merge_input *in = &m->inputs[chunk->input];
        size_t begin = c->count, stones;
        status = tsdb_block_read_chunks(in->block, &chunk->meta, 1, INT64_MIN, INT64_MAX, c, err);
        pthread_rwlock_rdlock(&in->block->stones_lock);
        const tsdb_stone *of = tsdb_stones_of(&in->block->stones, in->id, &stones);
        if (of)
            tsdb_drop_ranges(c, begin, of, stones);
        pthread_rwlock_unlock(&in->block->stones_lock);
        if (status == SX_OK && c->st && c->count > begin)
            pack.xor2 = true; /* what is there is not to be lost */
    }
    if (status == SX_OK)
        status = tsdb_columns_sort(c, 0, err);
    for (size_t at = 0; status == SX_OK && at < c->count;) {
        tsdb_packed packed;
        status = tsdb_chunk_pack(c, &at, &pack, &m->arena, &packed, err);
        if (status == SX_OK)
            status = tsdb_block_writer_chunk(&m->w, packed.encoding, packed.bytes, packed.min_t,
                                             packed.max_t, err);
    }
    if (c->h || c->st) {
        tsdb_columns_done(c);
        tsdb_columns_init(c, &m->arena);
    }
    return status;
}

static sx_status copy_chunk(merger *m, const merge_chunk *chunk, sx_error *err)
{
    tsdb_encoding e;
    sx_str bytes;
    sx_status status =
        tsdb_block_chunk(m->inputs[chunk->input].block, chunk->meta.ref, &e, &bytes, err);
    if (status != SX_OK)
        return status;
    return tsdb_block_writer_chunk(&m->w, e, bytes, chunk->meta.min_t, chunk->meta.max_t, err);
}

static sx_status write_chunks(merger *m, sx_error *err)
{
    sx_status status = SX_OK;
    bool sorted = true;
    for (size_t i = 1; i < m->chunk_count; i++)
        sorted = sorted && compare_chunks(&m->chunks[i - 1], &m->chunks[i]) < 0;
    if (!sorted)
        qsort(m->chunks, m->chunk_count, sizeof *m->chunks, compare_chunks);
    for (size_t i = 0, end; i < m->chunk_count && status == SX_OK; i = end) {
        int64_t max_t = m->chunks[i].meta.max_t;
        bool stones = m->chunks[i].stones;
        for (end = i + 1; end < m->chunk_count && m->chunks[end].meta.min_t <= max_t; end++) {
            stones = stones || m->chunks[end].stones;
            max_t = m->chunks[end].meta.max_t > max_t ? m->chunks[end].meta.max_t : max_t;
        }
        status =
            end - i == 1 && !stones ? copy_chunk(m, &m->chunks[i], err) : rewrite(m, i, end, err);
    }
    return status;
}

static sx_status merge_series(merger *m, sx_error *err)
{
    sx_status status = SX_OK;
    for (size_t i = 0; i < m->count && status == SX_OK; i++)
        status = next_series(&m->inputs[i], err);
    while (status == SX_OK) {
        merge_input *least = NULL;
        for (size_t i = 0; i < m->count; i++)
            if (m->inputs[i].more &&
                (!least || compare_rooms(&m->inputs[i].room, &least->room) < 0))
                least = &m->inputs[i];
        if (!least)
            return SX_OK;
        size_t pair_count = least->room.pair_count;
        uint32_t *pairs = sx_arena_alloc(&m->arena, (2 * pair_count + 1) * sizeof *pairs);
        if (!pairs)
            return sx_fail_memory(err, "series of a block");
        memcpy(pairs, least->room.pairs, 2 * pair_count * sizeof *pairs);
        tsdb_series_room key = {.pairs = pairs, .pair_count = pair_count};
        m->chunk_count = 0;
        bool same[TSDB_SOURCES_MAX];
        for (size_t i = 0; i < m->count && status == SX_OK; i++) {
            same[i] = m->inputs[i].more && compare_rooms(&m->inputs[i].room, &key) == 0;
            if (same[i])
                status = add_chunks(m, i, err);
        }
        if (status == SX_OK)
            status = write_chunks(m, err);
        if (status == SX_OK)
            status = tsdb_block_writer_series(&m->w, pairs, pair_count, err);
        for (size_t i = 0; i < m->count && status == SX_OK; i++)
            if (same[i])
                status = next_series(&m->inputs[i], err);
        sx_arena_reset(&m->arena);
        if (status == SX_OK && atomic_load_explicit(&m->db->canceled, memory_order_relaxed))
            status = sx_fail(err, SX_ECANCELED, "the database is being closed");
    }
    return status;
}

/* --- One compaction. */

static sx_status open_input(merge_input *in, tsdb_block *b, sx_error *err)
{
    in->block = b;
    sx_status status = tsdb_index_load(&b->index, err);
    if (status != SX_OK)
        return status;
    in->numbers = sx_calloc(b->index.symbol_count + 1u, sizeof *in->numbers);
    if (!in->numbers)
        return sx_fail_memory(err, "symbols of a block");
    const tsdb_index_name *all = tsdb_index_find(&b->index, SX_STR(""));
    tsdb_values v;
    sx_str value;
    uint64_t offset;
    if (!all)
        return SX_OK;
    tsdb_values_start(&b->index, all, SX_STR(""), &v);
    if (!tsdb_values_next(&v, &value, &offset))
        return sx_fail(err, SX_ECORRUPT, "%s: index: broken table of postings", b->dir);
    return tsdb_index_postings(&b->index, offset, &in->ids, err);
}

static sx_status describe(merger *m, sx_error *err)
{
    tsdb_block_meta *to = &m->w.meta;
    sx_status status = SX_OK;
    to->min_t = INT64_MAX;
    to->max_t = INT64_MIN;
    to->out_of_order = true;
    for (size_t i = 0; i < m->count && status == SX_OK; i++) {
        const tsdb_block_meta *of = &m->inputs[i].block->meta;
        to->min_t = of->min_t < to->min_t ? of->min_t : to->min_t;
        to->max_t = of->max_t > to->max_t ? of->max_t : to->max_t;
        to->level = of->level > to->level ? of->level : to->level;
        to->out_of_order = to->out_of_order && of->out_of_order;
        status = tsdb_block_meta_parent(to, of, err);
        for (size_t k = 0; k < of->source_count && status == SX_OK; k++)
            status = tsdb_block_meta_source(to, of->sources[k], err);
    }
    to->level++;
    return status;
}

static void merger_done(merger *m)
{
    for (size_t i = 0; m->inputs && i < m->count; i++) {
        sx_free(m->inputs[i].numbers);
        tsdb_series_room_done(&m->inputs[i].room);
    }
    sx_free(m->inputs);
    sx_free(m->chunks);
    tsdb_columns_done(&m->columns);
    tsdb_block_writer_done(&m->w);
    sx_arena_done(&m->arena);
}

sx_status tsdb_compact(tsdb *db, tsdb_block *const *blocks, size_t count, sx_error *err)
{
    merger m = {.db = db, .count = count};
    uint32_t symbols = 0;
    uint64_t bytes = 0;
    bool empty = false;
    sx_arena_init(&m.arena, 0, 0);
    tsdb_columns_init(&m.columns, &m.arena);
    m.w.segment.fd = m.w.index.file.fd = -1;
    m.inputs = sx_calloc(count + 1, sizeof *m.inputs);
    sx_status status = m.inputs ? SX_OK : sx_fail_memory(err, "compaction");
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        status = open_input(&m.inputs[i], blocks[i], err);
        if (status == SX_ECORRUPT)
            atomic_store(&blocks[i]->corrupt, true);
    }
    if (status == SX_OK)
        status = merge_symbols(&m, false, &symbols, &bytes, err);
    if (status == SX_OK)
        status = tsdb_block_writer_open(&m.w, db->dir, sx_clock_ms(db->clock), symbols, bytes, err);
    if (status == SX_OK)
        status = merge_symbols(&m, true, &symbols, &bytes, err);
    if (status == SX_OK)
        status = merge_series(&m, err);
    if (status == SX_OK)
        status = describe(&m, err);
    if (status == SX_OK)
        status = tsdb_block_writer_end(&m.w, &empty, err);
    if (status == SX_OK)
        status = tsdb_blocks_replace(db, blocks, count, empty ? NULL : m.w.meta.ulid, err);
    merger_done(&m);
    return status;
}

/* --- Which. */

/* The first blocks that overlap each other, in a row of the list. */
static bool find_overlap(tsdb_block *const *b, size_t count, size_t *from, size_t *to)
{
    for (size_t i = 0; i + 1 < count; i++) {
        int64_t end = b[i]->meta.max_t;
        size_t k = i + 1;
        for (; k < count && b[k]->meta.min_t < end && k - i < TSDB_SOURCES_MAX; k++)
            end = b[k]->meta.max_t > end ? b[k]->meta.max_t : end;
        if (k > i + 1) {
            *from = i;
            *to = k;
            return true;
        }
    }
    return false;
}

/* Blocks of one range of `width` that can be made one. */
static bool find_range(tsdb_block *const *b, size_t count, int64_t width, int64_t newest_min,
                       size_t *from, size_t *to)
{
    for (size_t i = 0, k; i < count; i = k) {
        int64_t start = tsdb_window_start(b[i]->meta.min_t, width), end = start + width;
        bool failed = false;
        int64_t max_t = INT64_MIN;
        for (k = i; k < count && b[k]->meta.min_t < end && b[k]->meta.max_t <= end; k++) {
            failed = failed || b[k]->meta.failed;
            max_t = b[k]->meta.max_t > max_t ? b[k]->meta.max_t : max_t;
        }
        if (k == i) { /* it is wider than the range */
            k++;
            continue;
        }
        if (!failed && k - i > 1 && (max_t == end || max_t <= newest_min)) {
            *from = i;
            *to = k;
            return true;
        }
    }
    return false;
}

static bool find_stones(tsdb_block *const *b, size_t count, int64_t width, size_t *from, size_t *to)
{
    for (size_t i = count; i-- > 0;) {
        pthread_rwlock_rdlock(&b[i]->stones_lock);
        uint64_t stones = b[i]->stones.count;
        pthread_rwlock_unlock(&b[i]->stones_lock);
        bool old = b[i]->meta.max_t - b[i]->meta.min_t >= width;
        if (stones * 100 > (b[i]->meta.series + 1) * STONES_PERCENT &&
            (old || stones >= b[i]->meta.series)) {
            *from = i;
            *to = i + 1;
            return true;
        }
    }
    return false;
}

static bool plan(const tsdb *db, tsdb_block *const *b, size_t count, size_t *from, size_t *to)
{
    int64_t widths[RANGES_MAX];
    unsigned ranges = 0;
    for (int64_t width = db->options.block_ms;
         ranges < RANGES_MAX && width <= db->options.block_ms_max; width *= RANGE_FACTOR)
        widths[ranges++] = width;
    if (find_overlap(b, count, from, to))
        return true;
    size_t settled = count ? count - 1 : 0;
    for (unsigned i = 1; i < ranges && settled; i++)
        if (find_range(b, settled, widths[i], b[settled]->meta.min_t, from, to))
            return true;
    return ranges && find_stones(b, settled, widths[ranges / 2], from, to);
}

sx_status tsdb_compact_due(tsdb *db, bool *did, sx_error *err)
{
    sx_arena arena;
    tsdb_block **blocks = NULL;
    size_t count = 0, held = 0, from, to;
    *did = false;
    if (sx_clock_mono_ms(db->clock) < db->compact_retry_ms)
        return SX_OK;
    sx_arena_init(&arena, 0, 0);
    sx_status status = tsdb_blocks_hold(db, &arena, &blocks, &held, err);
    tsdb_block **fit = status == SX_OK ? sx_arena_alloc(&arena, (held + 1) * sizeof *fit) : NULL;
    for (size_t i = 0; fit && i < held; i++) /* blocks of the oldest format age out as they are */
        if (blocks[i]->index.version == 2 && !atomic_load(&blocks[i]->corrupt))
            fit[count++] = blocks[i];
    if (fit && plan(db, fit, count, &from, &to)) {
        *did = true;
        status = tsdb_compact(db, fit + from, to - from, err);
        if (status != SX_OK)
            db->compact_retry_ms = sx_clock_mono_ms(db->clock) + TSDB_RETRY_MS;
        atomic_fetch_add(status == SX_OK ? &db->compactions : &db->compactions_failed, 1);
    } else if (status == SX_OK && !fit) {
        status = sx_fail_memory(err, "compaction");
    }
    if (blocks)
        tsdb_blocks_release(blocks, held);
    sx_arena_done(&arena);
    return status;
}
