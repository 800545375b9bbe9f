/* index_write.c - a block's index, written as a stream; see index.h.
 *
 * Postings need the series in another order than they were written in. They are gathered by reading
 * the finished series back through a mapping, for as many label names at a time as fit a budget, and
 * sorted by counting: symbol numbers are small. */
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "observe/tsdb/index.h"

enum {
    HEADER_BYTES = 5,
    SERIES_ALIGN = 16,
    ENTRIES_MOST = 2 << 20, /* gathered at a time, if no single name has more */
};
static const uint32_t MAGIC = 0xBAAAD700;

void tsdb_put_be(sx_buf *b, uint64_t value, unsigned bytes)
{
    while (bytes--)
        sx_buf_byte(b, (char)(value >> (8 * bytes)));
}

/* Writes what is in the buffer and empties it; counted in the section's checksum. */
static sx_status write_buffer(tsdb_index_writer *w, sx_error *err)
{
    sx_status status = sx_buf_status(&w->buffer, "index", err);
    if (status == SX_OK) {
        w->crc = sx_crc32c(w->crc, w->buffer.data, w->buffer.len);
        status = sx_writer_bytes(&w->file, w->buffer.data, w->buffer.len, err);
    }
    sx_buf_clear(&w->buffer);
    return status;
}

static sx_status write_sum(tsdb_index_writer *w, sx_error *err)
{
    uint32_t crc = w->crc;
    tsdb_put_be(&w->buffer, crc, 4);
    return write_buffer(w, err);
}

static sx_status pad_to(tsdb_index_writer *w, unsigned align, sx_error *err)
{
    while ((w->file.offset + w->buffer.len) % align)
        sx_buf_byte(&w->buffer, 0);
    return write_buffer(w, err);
}

sx_status tsdb_index_writer_open(tsdb_index_writer *w, const char *path, uint32_t count,
                                 uint64_t bytes, sx_error *err)
{
    *w = (tsdb_index_writer){.path = path, .symbol_count = count, .symbols_left = count};
    w->file.fd = -1;
    sx_buf_init(&w->buffer, 0);
    if (bytes > UINT32_MAX - 16)
        return sx_fail(err, SX_ELIMIT, "symbols of %llu bytes do not fit an index",
                       (unsigned long long)bytes);
    sx_status status = sx_writer_open(&w->file, path, SX_WRITER_NEW, 1 << 18, err);
    if (status != SX_OK)
        return status;
    tsdb_put_be(&w->buffer, MAGIC, 4);
    sx_buf_byte(&w->buffer, 2);
    tsdb_put_be(&w->buffer, bytes + 4, 4);
    status = write_buffer(w, err);
    w->symbols_bytes = bytes;
    w->crc = 0;
    tsdb_put_be(&w->buffer, count, 4);
    return status;
}

static sx_status end_symbols(tsdb_index_writer *w, sx_error *err)
{
    sx_assert(w->symbols_left == 0 && w->symbols_bytes == 0);
    sx_status status = write_buffer(w, err);
    if (status == SX_OK)
        status = write_sum(w, err);
    if (status == SX_OK)
        status = pad_to(w, SERIES_ALIGN, err);
    w->series_start = w->file.offset;
    return status;
}

sx_status tsdb_index_writer_symbol(tsdb_index_writer *w, sx_str symbol, sx_error *err)
{
    sx_assert(w->symbols_left > 0);
    size_t before = w->buffer.len;
    sx_pb_add_varint(&w->buffer, symbol.len);
    sx_buf_str(&w->buffer, symbol);
    w->symbols_bytes -= w->buffer.failed ? 0 : w->buffer.len - before;
    w->symbols_left--;
    if (w->buffer.failed || w->buffer.len >= 1 << 16)
        return write_buffer(w, err);
    return SX_OK;
}

sx_status tsdb_index_writer_series(tsdb_index_writer *w, const uint32_t *pairs, size_t pair_count,
                                   const tsdb_chunk_meta *chunks, size_t chunk_count, uint64_t *id,
                                   sx_error *err)
{
    sx_status status = w->series_start ? pad_to(w, SERIES_ALIGN, err) : end_symbols(w, err);
    if (status != SX_OK)
        return status;
    if (w->file.offset / SERIES_ALIGN > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "an index of more than 64 GiB");
    if (id)
        *id = w->file.offset / SERIES_ALIGN;
    sx_buf *b = &w->buffer;
    sx_pb_add_varint(b, pair_count);
    for (size_t i = 0; i < pair_count * 2; i++)
        sx_pb_add_varint(b, pairs[i]);
    sx_pb_add_varint(b, chunk_count);
    for (size_t i = 0; i < chunk_count; i++) {
        if (i == 0) {
            sx_pb_add_varint(b, sx_pb_zigzag_of(chunks[0].min_t));
            sx_pb_add_varint(b, (uint64_t)chunks[0].max_t - (uint64_t)chunks[0].min_t);
            sx_pb_add_varint(b, chunks[0].ref);
        } else {
            sx_pb_add_varint(b, (uint64_t)chunks[i].min_t - (uint64_t)chunks[i - 1].max_t);
            sx_pb_add_varint(b, (uint64_t)chunks[i].max_t - (uint64_t)chunks[i].min_t);
            sx_pb_add_varint(b, sx_pb_zigzag_of((int64_t)(chunks[i].ref - chunks[i - 1].ref)));
        }
    }
    status = sx_buf_status(b, "index", err);
    if (status != SX_OK)
        return status;
    uint8_t head[10];
    unsigned head_len = 0;
    for (uint64_t len = b->len;; len >>= 7) {
        head[head_len++] = (uint8_t)(len | (len >= 0x80 ? 0x80 : 0));
        if (len < 0x80)
            break;
    }
    status = sx_writer_bytes(&w->file, head, head_len, err);
    w->crc = 0;
    w->series++;
    tsdb_put_be(b, sx_crc32c(0, b->data, b->len), 4);
    return status == SX_OK ? write_buffer(w, err) : status;
}

/* --- Postings. */

typedef struct posting_entry {
    uint32_t value, id;
} posting_entry;

typedef struct postings_pass {
    tsdb_index_writer *w;
    tsdb_index x;     /* the unfinished file, of which only the series are read */
    uint32_t *names;  /* per symbol: entries it has as a name */
    uint64_t *starts; /* per symbol: where its entries begin in this pass, or NOWHERE */
    uint32_t *counts; /* per symbol: as a value of the name being written */
    posting_entry *entries;
    uint32_t *ids;
    sx_writer table; /* of offsets, in a file of its own until it is complete */
    char *table_path;
    uint32_t table_entries;
    tsdb_series_room room;
} postings_pass;

static const uint64_t NOWHERE = UINT64_MAX;

typedef sx_status series_visit(postings_pass *p, uint32_t id, sx_error *err);

static sx_status each_series(postings_pass *p, series_visit *visit, sx_error *err)
{
    uint64_t at = p->w->series_start;
    sx_status status = SX_OK;
    for (uint64_t i = 0; i < p->w->series && status == SX_OK; i++) {
        uint64_t id = (at + SERIES_ALIGN - 1) / SERIES_ALIGN;
        status = tsdb_index_series(&p->x, id, false, &p->room, err);
        at = p->room.end;
        if (status == SX_OK)
            status = visit(p, (uint32_t)id, err);
    }
    return status;
}

static sx_status count_names(postings_pass *p, uint32_t id, sx_error *err)
{
    (void)id;
    (void)err;
    for (size_t i = 0; i < p->room.pair_count; i++)
        p->names[p->room.pairs[2 * i]]++;
    return SX_OK;
}

static sx_status gather(postings_pass *p, uint32_t id, sx_error *err)
{
    (void)err;
    for (size_t i = 0; i < p->room.pair_count; i++) {
        uint64_t *at = &p->starts[p->room.pairs[2 * i]];
        if (*at != NOWHERE)
            p->entries[(*at)++] = (posting_entry){p->room.pairs[2 * i + 1], id};
    }
    return SX_OK;
}

static sx_status note_offset(postings_pass *p, sx_str name, sx_str value, uint64_t offset,
                             sx_error *err)
{
    sx_buf *b = &p->w->buffer; /* it is empty between sections */
    sx_buf_byte(b, 2);
    sx_pb_add_varint(b, name.len);
    sx_buf_str(b, name);
    sx_pb_add_varint(b, value.len);
    sx_buf_str(b, value);
    sx_pb_add_varint(b, offset);
    sx_status status = sx_buf_status(b, "index", err);
    if (status == SX_OK)
        status = sx_writer_bytes(&p->table, b->data, b->len, err);
    sx_buf_clear(b);
    p->table_entries++;
    return status;
}

static sx_status write_list(postings_pass *p, sx_str name, sx_str value, const uint32_t *ids,
                            size_t count, sx_error *err)
{
    tsdb_index_writer *w = p->w;
    sx_status status = pad_to(w, 4, err);
    if (status == SX_OK)
        status = note_offset(p, name, value, w->file.offset, err);
    tsdb_put_be(&w->buffer, count * 4 + 4, 4);
    if (status == SX_OK)
        status = write_buffer(w, err);
    w->crc = 0;
    tsdb_put_be(&w->buffer, count, 4);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        tsdb_put_be(&w->buffer, ids[i], 4);
        if (w->buffer.len >= 1 << 16)
            status = write_buffer(w, err);
    }
    if (status == SX_OK)
        status = write_buffer(w, err);
    return status == SX_OK ? write_sum(w, err) : status;
}

/* Sorts one name's entries by value, ids staying in their order, and writes a list each. */
static sx_status write_name(postings_pass *p, uint32_t name, const posting_entry *entries,
                            uint32_t count, sx_error *err)
{
    uint32_t low = UINT32_MAX, high = 0;
    sx_str name_text, value_text;
    for (uint32_t i = 0; i < count; i++) {
        low = entries[i].value < low ? entries[i].value : low;
        high = entries[i].value > high ? entries[i].value : high;
        p->counts[entries[i].value]++;
    }
    uint32_t at = 0;
    for (uint32_t v = low; v <= high; v++) {
        uint32_t n = p->counts[v];
        p->counts[v] = at;
        at += n;
    }
    for (uint32_t i = 0; i < count; i++)
        p->ids[p->counts[entries[i].value]++] = entries[i].id;
    sx_status status = SX_OK;
    if (!tsdb_index_symbol(&p->x, name, &name_text))
        status = sx_fail(err, SX_ECORRUPT, "index: label name %u is no symbol", name);
    uint32_t from = 0;
    for (uint32_t v = low; v <= high; v++) {
        uint32_t to = p->counts[v]; /* behind its last one by now */
        p->counts[v] = 0;
        if (status != SX_OK || to == from)
            continue;
        if (!tsdb_index_symbol(&p->x, v, &value_text))
            status = sx_fail(err, SX_ECORRUPT, "index: label value %u is no symbol", v);
        else
            status = write_list(p, name_text, value_text, p->ids + from, to - from, err);
        from = to;
    }
    return status;
}

/* The names from `*next` on that fit the budget. */
static sx_status write_some(postings_pass *p, uint32_t *next, sx_error *err)
{
    uint64_t total = 0, most = 0;
    uint32_t first = *next, to = first;
    for (; to < p->w->symbol_count; to++) {
        uint32_t n = p->names[to];
        p->starts[to] = NOWHERE;
        if (n == 0)
            continue;
        if (total && total + n > ENTRIES_MOST)
            break;
        p->starts[to] = total;
        total += n;
        most = n > most ? n : most;
    }
    *next = to;
    if (total == 0)
        return SX_OK;
    for (uint32_t i = to; i < p->w->symbol_count; i++)
        p->starts[i] = NOWHERE;
    p->entries = sx_alloc(total * sizeof *p->entries);
    p->ids = sx_alloc(most * sizeof *p->ids);
    sx_status status = p->entries && p->ids ? each_series(p, gather, err)
                                            : sx_fail_memory(err, "postings of an index");
    for (uint32_t i = first; i < to && status == SX_OK; i++) {
        uint32_t n = p->names[i];
        if (n)
            status = write_name(p, i, p->entries + p->starts[i] - n, n, err);
        p->starts[i] = NOWHERE;
    }
    sx_free(p->entries);
    sx_free(p->ids);
    p->entries = NULL;
    p->ids = NULL;
    return status;
}

static sx_status list_all(postings_pass *p, uint32_t id, sx_error *err)
{
    (void)err;
    p->ids[p->table_entries++] = id; /* the counter is free before the table's first entry */
    return SX_OK;
}

static sx_status write_all_list(postings_pass *p, sx_error *err)
{
    p->ids = sx_alloc((p->w->series + 1) * sizeof *p->ids);
    if (!p->ids)
        return sx_fail_memory(err, "postings of an index");
    sx_status status = each_series(p, list_all, err);
    p->table_entries = 0;
    if (status == SX_OK)
        status = write_list(p, SX_STR(""), SX_STR(""), p->ids, p->w->series, err);
    sx_free(p->ids);
    p->ids = NULL;
    return status;
}

static sx_status write_lists(postings_pass *p, sx_error *err)
{
    size_t symbols = p->w->symbol_count + 1u;
    p->names = sx_calloc(symbols, sizeof *p->names);
    p->starts = sx_calloc(symbols, sizeof *p->starts);
    p->counts = sx_calloc(symbols, sizeof *p->counts);
    if (!p->names || !p->starts || !p->counts)
        return sx_fail_memory(err, "postings of an index");
    for (size_t i = 0; i < symbols; i++)
        p->starts[i] = NOWHERE;
    sx_status status = each_series(p, count_names, err);
    if (status == SX_OK)
        status = write_all_list(p, err);
    for (uint32_t next = 0; next < p->w->symbol_count && status == SX_OK;)
        status = write_some(p, &next, err);
    return status;
}

/* Opens what is written so far for reading: symbols and series. */
static sx_status open_half(tsdb_index_writer *w, postings_pass *p, sx_error *err)
{
    sx_status status = sx_writer_flush(&w->file, err);
    if (status == SX_OK)
        status = sx_mapping_open(&p->x.map, w->path, SX_MAP_SEQUENTIAL, err);
    if (status != SX_OK)
        return status;
    p->x.version = 2;
    p->x.symbols = HEADER_BYTES;
    pthread_mutex_init(&p->x.lock, NULL);
    return tsdb_index_load_symbols(&p->x, err);
}

static sx_status copy_table(postings_pass *p, sx_error *err)
{
    tsdb_index_writer *w = p->w;
    sx_mapping map = {0};
    uint64_t len = p->table.offset + 4;
    sx_status status = sx_writer_close(&p->table, err);
    if (status == SX_OK)
        status = sx_mapping_open(&map, p->table_path, SX_MAP_SEQUENTIAL, err);
    if (status == SX_OK && len > UINT32_MAX)
        status = sx_fail(err, SX_ELIMIT, "a table of postings of more than 4 GiB");
    tsdb_put_be(&w->buffer, len, 4);
    if (status == SX_OK)
        status = write_buffer(w, err);
    w->crc = 0;
    tsdb_put_be(&w->buffer, p->table_entries, 4);
    if (status == SX_OK)
        status = write_buffer(w, err);
    if (status == SX_OK) {
        w->crc = sx_crc32c(w->crc, map.data, map.len);
        status = sx_writer_bytes(&w->file, map.data, map.len, err);
    }
    sx_mapping_close(&map);
    return status == SX_OK ? write_sum(w, err) : status;
}

/* An empty label offset table: older readers look for one. */
static sx_status write_empty_table(tsdb_index_writer *w, sx_error *err)
{
    sx_status status = pad_to(w, 4, err);
    tsdb_put_be(&w->buffer, 4, 4);
    if (status == SX_OK)
        status = write_buffer(w, err);
    w->crc = 0;
    tsdb_put_be(&w->buffer, 0, 4);
    if (status == SX_OK)
        status = write_buffer(w, err);
    return status == SX_OK ? write_sum(w, err) : status;
}

static sx_status write_tail(postings_pass *p, sx_error *err)
{
    tsdb_index_writer *w = p->w;
    uint64_t toc[6] = {HEADER_BYTES, w->series_start};
    sx_status status = pad_to(w, 4, err);
    toc[2] = toc[4] = w->file.offset; /* label indices, of which there are none; postings */
    if (status == SX_OK)
        status = write_lists(p, err);
    if (status == SX_OK)
        status = pad_to(w, 4, err);
    toc[3] = w->file.offset;
    if (status == SX_OK)
        status = write_empty_table(w, err);
    if (status == SX_OK)
        status = pad_to(w, 4, err);
    toc[5] = w->file.offset;
    if (status == SX_OK)
        status = copy_table(p, err);
    w->crc = 0;
    for (unsigned i = 0; i < 6; i++)
        tsdb_put_be(&w->buffer, toc[i], 8);
    if (status == SX_OK)
        status = write_buffer(w, err);
    return status == SX_OK ? write_sum(w, err) : status;
}

sx_status tsdb_index_writer_end(tsdb_index_writer *w, sx_error *err)
{
    postings_pass p = {.w = w};
    p.table.fd = -1;
    size_t path_len = strlen(w->path);
    sx_status status = w->series_start ? SX_OK : end_symbols(w, err);
    p.table_path = sx_alloc(path_len + sizeof ".table");
    if (!p.table_path && status == SX_OK)
        status = sx_fail_memory(err, "index");
    if (status == SX_OK) {
        memcpy(p.table_path, w->path, path_len);
        memcpy(p.table_path + path_len, ".table", sizeof ".table");
        status = sx_writer_open(&p.table, p.table_path, SX_WRITER_EMPTY, 0, err);
    }
    if (status == SX_OK)
        status = open_half(w, &p, err);
    if (status == SX_OK)
        status = write_tail(&p, err);
    if (status == SX_OK)
        status = sx_writer_sync(&w->file, err);
    if (p.table.fd >= 0)
        sx_writer_abandon(&p.table);
    if (p.table_path)
        (void)sx_file_remove(p.table_path, NULL);
    tsdb_index_close(&p.x);
    tsdb_series_room_done(&p.room);
    sx_free(p.table_path);
    sx_free(p.names);
    sx_free(p.starts);
    sx_free(p.counts);
    if (status == SX_OK)
        status = sx_writer_close(&w->file, err);
    tsdb_index_writer_abandon(w);
    return status;
}

void tsdb_index_writer_abandon(tsdb_index_writer *w)
{
    if (w->file.fd >= 0)
        sx_writer_abandon(&w->file);
    w->file.fd = -1;
    sx_buf_done(&w->buffer);
}
