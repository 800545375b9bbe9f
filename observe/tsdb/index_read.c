/* index_read.c - a block's index, read through a mapping; see index.h. */
#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/index.h"

enum { HEADER_BYTES = 5, TOC_BYTES = 52, STRIDE = 16, SERIES_ALIGN = 16, LABELS_MOST = 1 << 16 };
static const uint32_t MAGIC = 0xBAAAD700;

/* --- Bytes. */

uint64_t tsdb_cursor_uvarint(tsdb_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && c->at < c->end; shift += 7) {
        uint64_t byte = *c->at++;
        value |= (byte & 0x7f) << (shift < 63 ? shift : 63);
        if (byte < 0x80)
            return value;
    }
    c->bad = true;
    return 0;
}

uint64_t tsdb_cursor_be(tsdb_cursor *c, unsigned bytes)
{
    uint64_t value = 0;
    if ((size_t)(c->end - c->at) < bytes) {
        c->bad = true;
        c->at = c->end;
        return 0;
    }
    while (bytes--)
        value = value << 8 | *c->at++;
    return value;
}

sx_str tsdb_cursor_text(tsdb_cursor *c)
{
    uint64_t len = tsdb_cursor_uvarint(c);
    if (c->bad || len > (size_t)(c->end - c->at)) {
        c->bad = true;
        return SX_STR("");
    }
    sx_str text = sx_str_of(c->at, len);
    c->at += len;
    return text;
}

static tsdb_cursor cursor_at(const tsdb_index *x, uint64_t from, uint64_t to)
{
    const uint8_t *data = (const uint8_t *)x->map.data;
    if (from > to || to > x->map.len)
        return (tsdb_cursor){.bad = true};
    return (tsdb_cursor){data + from, data + to, false};
}

/* The contents of a section: its length in 4 bytes, itself, its checksum. */
static sx_status open_section(const tsdb_index *x, uint64_t offset, const char *what,
                              tsdb_cursor *out, sx_error *err)
{
    tsdb_cursor head =
        offset <= x->map.len ? cursor_at(x, offset, x->map.len) : (tsdb_cursor){.bad = true};
    uint64_t len = tsdb_cursor_be(&head, 4);
    if (head.bad || len + 4 > (size_t)(head.end - head.at))
        return sx_fail(err, SX_ECORRUPT, "index: %s at %llu reach beyond the file", what,
                       (unsigned long long)offset);
    tsdb_cursor sum = {head.at + len, head.end, false};
    if (tsdb_cursor_be(&sum, 4) != sx_crc32c(0, head.at, len))
        return sx_fail(err, SX_ECORRUPT, "index: %s at %llu fail their checksum", what,
                       (unsigned long long)offset);
    *out = (tsdb_cursor){head.at, head.at + len, false};
    return SX_OK;
}

/* --- Opening. */

static sx_status check_frame(tsdb_index *x, sx_error *err)
{
    if (x->map.len < HEADER_BYTES + TOC_BYTES)
        return sx_fail(err, SX_ECORRUPT, "index of %zu bytes is too short", x->map.len);
    tsdb_cursor head = cursor_at(x, 0, HEADER_BYTES);
    if (tsdb_cursor_be(&head, 4) != MAGIC)
        return sx_fail(err, SX_ECORRUPT, "index does not begin as one");
    x->version = (unsigned)tsdb_cursor_be(&head, 1);
    if (x->version != 1 && x->version != 2)
        return sx_fail(err, SX_EUNSUPPORTED, "index version %u; known are 1 and 2", x->version);
    uint64_t toc_at = x->map.len - TOC_BYTES;
    tsdb_cursor toc = cursor_at(x, toc_at, x->map.len);
    uint32_t sum = sx_crc32c(0, toc.at, TOC_BYTES - 4);
    uint64_t label_indices;
    x->symbols = tsdb_cursor_be(&toc, 8);
    x->series = tsdb_cursor_be(&toc, 8);
    label_indices = tsdb_cursor_be(&toc, 8);
    tsdb_cursor_be(&toc, 8); /* the label offset table: no longer used */
    uint64_t postings = tsdb_cursor_be(&toc, 8);
    x->postings_table = tsdb_cursor_be(&toc, 8);
    if (tsdb_cursor_be(&toc, 4) != sum)
        return sx_fail(err, SX_ECORRUPT, "index: the table of contents fails its checksum");
    x->series_end = label_indices ? label_indices : postings;
    if (x->symbols > toc_at || x->series > toc_at || x->postings_table > toc_at ||
        x->series_end > toc_at)
        return sx_fail(err, SX_ECORRUPT, "index: the table of contents points beyond the file");
    return SX_OK;
}

sx_status tsdb_index_open(tsdb_index *x, const char *path, sx_error *err)
{
    *x = (tsdb_index){0};
    sx_status status = sx_mapping_open(&x->map, path, SX_MAP_RANDOM, err);
    if (status != SX_OK)
        return status;
    pthread_mutex_init(&x->lock, NULL);
    status = check_frame(x, err);
    if (status != SX_OK) {
        sx_error_prefix(err, status, "%s", path);
        tsdb_index_close(x);
    }
    return status;
}

void tsdb_index_close(tsdb_index *x)
{
    if (!x->version && !x->map.data)
        return;
    sx_mapping_close(&x->map);
    sx_free(x->symbol_at);
    sx_free(x->names);
    sx_free(x->entries);
    pthread_mutex_destroy(&x->lock);
    *x = (tsdb_index){0};
}

/* --- What is gathered at the first use. */

sx_status tsdb_index_load_symbols(tsdb_index *x, sx_error *err)
{
    tsdb_cursor c;
    sx_status status = open_section(x, x->symbols, "symbols", &c, err);
    if (status != SX_OK)
        return status;
    const uint8_t *base = (const uint8_t *)x->map.data + x->symbols;
    uint32_t count = (uint32_t)tsdb_cursor_be(&c, 4);
    if (c.bad || count > (size_t)(c.end - c.at))
        return sx_fail(err, SX_ECORRUPT, "index claims %u symbols", count);
    x->symbol_at = sx_calloc(count / STRIDE + 1u, sizeof *x->symbol_at);
    if (!x->symbol_at)
        return sx_fail_memory(err, "index");
    for (uint32_t i = 0; i < count && !c.bad; i++) {
        if (i % STRIDE == 0)
            x->symbol_at[i / STRIDE] = (uint32_t)(c.at - base);
        tsdb_cursor_text(&c);
    }
    if (c.bad)
        return sx_fail(err, SX_ECORRUPT, "index: symbols end early");
    x->symbol_count = count;
    x->symbols_end = (uint64_t)(c.at - (const uint8_t *)x->map.data);
    return SX_OK;
}

/* One entry of the table of postings. */
typedef struct table_entry {
    sx_str name, value;
    uint32_t at;
} table_entry;

static bool read_entry(tsdb_cursor *c, sx_str *name, sx_str *value, uint64_t *offset)
{
    if (c->bad || c->at == c->end)
        return false;
    if (tsdb_cursor_uvarint(c) != 2)
        c->bad = true;
    *name = tsdb_cursor_text(c);
    *value = tsdb_cursor_text(c);
    *offset = tsdb_cursor_uvarint(c);
    return !c->bad;
}

typedef struct table_load {
    tsdb_index *x;
    size_t names_cap, entries_cap, entries;
} table_load;

static sx_status note_entry(table_load *l, const table_entry *e, sx_error *err)
{
    tsdb_index *x = l->x;
    tsdb_index_name *last = x->name_count ? &x->names[x->name_count - 1] : NULL;
    if (!last || !sx_str_eq(last->name, e->name)) {
        if (last && sx_str_cmp(last->name, e->name) > 0)
            return sx_fail(err, SX_ECORRUPT, "index: label names are not sorted");
        if (!sx_grow(&x->names, &l->names_cap, x->name_count + 1u, sizeof *x->names))
            return sx_fail_memory(err, "index");
        last = &x->names[x->name_count++];
        *last = (tsdb_index_name){.name = e->name, .first = (uint32_t)l->entries};
    }
    if (x->version == 1 || last->values % STRIDE == 0) {
        if (!sx_grow(&x->entries, &l->entries_cap, l->entries + 1, sizeof *x->entries))
            return sx_fail_memory(err, "index");
        x->entries[l->entries++] = e->at;
    }
    last->values++;
    return SX_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const table_entry *x = a, *y = b;
    int by_name = sx_str_cmp(x->name, y->name);
    return by_name ? by_name : sx_str_cmp(x->value, y->value);
}

static sx_status load_table(tsdb_index *x, sx_error *err)
{
    tsdb_cursor c;
    sx_status status = open_section(x, x->postings_table, "postings tables", &c, err);
    if (status != SX_OK)
        return status;
    const uint8_t *base = (const uint8_t *)x->map.data + x->postings_table;
    uint32_t count = (uint32_t)tsdb_cursor_be(&c, 4);
    table_load load = {.x = x};
    table_entry *all = NULL, e;
    size_t all_cap = 0, all_count = 0;
    uint64_t offset;
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        e.at = (uint32_t)(c.at - base);
        if (!read_entry(&c, &e.name, &e.value, &offset)) {
            status = sx_fail(err, SX_ECORRUPT, "index: table of postings breaks at entry %u", i);
        } else if (x->version == 2) {
            status = note_entry(&load, &e, err);
        } else if (sx_grow(&all, &all_cap, all_count + 1, sizeof *all)) {
            all[all_count++] = e; /* version 1 has them in any order */
        } else {
            status = sx_fail_memory(err, "index");
        }
    }
    if (all_count)
        qsort(all, all_count, sizeof *all, compare_entries);
    for (size_t i = 0; i < all_count && status == SX_OK; i++)
        status = note_entry(&load, &all[i], err);
    sx_free(all);
    x->table_end = (uint64_t)(c.end - (const uint8_t *)x->map.data);
    return status;
}

sx_status tsdb_index_load(tsdb_index *x, sx_error *err)
{
    if (sx_likely(atomic_load_explicit(&x->loaded, memory_order_acquire)))
        return SX_OK;
    sx_status status = SX_OK;
    pthread_mutex_lock(&x->lock);
    if (!atomic_load_explicit(&x->loaded, memory_order_relaxed)) {
        status = tsdb_index_load_symbols(x, err);
        if (status == SX_OK)
            status = load_table(x, err);
        if (status == SX_OK) {
            atomic_store_explicit(&x->loaded, true, memory_order_release);
        } else { /* the next try begins anew */
            sx_free(x->symbol_at);
            sx_free(x->names);
            sx_free(x->entries);
            x->symbol_at = x->entries = NULL;
            x->names = NULL;
            x->name_count = 0;
        }
    }
    pthread_mutex_unlock(&x->lock);
    return status;
}

/* --- Symbols. */

bool tsdb_index_symbol(const tsdb_index *x, uint32_t ref, sx_str *out)
{
    tsdb_cursor c;
    if (x->version == 1) { /* a reference is the string's offset in the file */
        if (ref < x->symbols || ref >= x->symbols_end)
            return false;
        c = cursor_at(x, ref, x->symbols_end);
    } else {
        if (ref >= x->symbol_count)
            return false;
        c = cursor_at(x, x->symbols + x->symbol_at[ref / STRIDE], x->symbols_end);
        for (uint32_t i = 0; i < ref % STRIDE; i++)
            tsdb_cursor_text(&c);
    }
    *out = tsdb_cursor_text(&c);
    return !c.bad;
}

void tsdb_symbols_start(const tsdb_index *x, tsdb_symbols *s)
{
    s->left = x->symbol_count;
    s->at = cursor_at(x, x->symbols + 8, x->symbols_end);
}

bool tsdb_symbols_next(tsdb_symbols *s, sx_str *out)
{
    if (s->left == 0)
        return false;
    s->left--;
    *out = tsdb_cursor_text(&s->at);
    return !s->at.bad;
}

/* --- Series. */

void tsdb_series_room_done(tsdb_series_room *room)
{
    sx_free(room->pairs);
    sx_free(room->chunks);
    *room = (tsdb_series_room){0};
}

static sx_status read_chunks(tsdb_cursor *c, tsdb_series_room *room, sx_error *err)
{
    uint64_t count = tsdb_cursor_uvarint(c);
    if (c->bad || count > (size_t)(c->end - c->at) / 3 + 1)
        return sx_fail(err, SX_ECORRUPT, "index: a series claims %llu chunks",
                       (unsigned long long)count);
    if (!sx_grow(&room->chunks, &room->chunks_cap, count + 1, sizeof *room->chunks))
        return sx_fail_memory(err, "chunks of a series");
    uint64_t t = 0, ref = 0;
    for (uint64_t i = 0; i < count; i++) {
        tsdb_chunk_meta *m = &room->chunks[i];
        t += i ? tsdb_cursor_uvarint(c) : (uint64_t)tsdb_cursor_varint(c);
        m->min_t = (int64_t)t;
        t += tsdb_cursor_uvarint(c);
        m->max_t = (int64_t)t;
        ref += i ? (uint64_t)tsdb_cursor_varint(c) : tsdb_cursor_uvarint(c);
        m->ref = ref;
    }
    room->chunk_count = count;
    return SX_OK;
}

sx_status tsdb_index_series(const tsdb_index *x, uint64_t id, bool chunks, tsdb_series_room *room,
                            sx_error *err)
{
    uint64_t offset = x->version == 1 ? id : id * SERIES_ALIGN;
    tsdb_cursor c =
        offset < x->map.len ? cursor_at(x, offset, x->map.len) : (tsdb_cursor){.bad = true};
    uint64_t len = tsdb_cursor_uvarint(&c);
    if (c.bad || len > (size_t)(c.end - c.at) || len + 4 > (size_t)(c.end - c.at))
        return sx_fail(err, SX_ECORRUPT, "index: series %llu reaches beyond the file",
                       (unsigned long long)id);
    tsdb_cursor sum = {c.at + len, c.end, false};
    if (tsdb_cursor_be(&sum, 4) != sx_crc32c(0, c.at, len))
        return sx_fail(err, SX_ECORRUPT, "index: series %llu fails its checksum",
                       (unsigned long long)id);
    c.end = c.at + len;
    room->end = (uint64_t)(sum.at - (const uint8_t *)x->map.data);
    room->chunk_count = room->pair_count = 0;
    uint64_t labels = tsdb_cursor_uvarint(&c);
    if (c.bad || labels > LABELS_MOST || labels * 2 > (size_t)(c.end - c.at))
        return sx_fail(err, SX_ECORRUPT, "index: series %llu claims %llu labels",
                       (unsigned long long)id, (unsigned long long)labels);
    if (!sx_grow(&room->pairs, &room->pairs_cap, labels * 2 + 1, sizeof *room->pairs))
        return sx_fail_memory(err, "labels of a series");
    for (uint64_t i = 0; i < labels * 2; i++)
        room->pairs[i] = (uint32_t)tsdb_cursor_uvarint(&c);
    room->pair_count = labels;
    sx_status status = chunks ? read_chunks(&c, room, err) : SX_OK;
    if (status == SX_OK && c.bad)
        status = sx_fail(err, SX_ECORRUPT, "index: series %llu ends early", (unsigned long long)id);
    return status;
}

static bool remembered_symbol(const tsdb_index *x, tsdb_symbol_memory *memory, uint32_t ref,
                              sx_str *out)
{
    uint32_t slot = ref % TSDB_SYMBOL_SLOTS;
    if (ref == UINT32_MAX)
        return false;
    if (memory->refs[slot] != ref + 1) {
        if (!tsdb_index_symbol(x, ref, &memory->texts[slot])) {
            memory->refs[slot] = 0;
            return false;
        }
        memory->refs[slot] = ref + 1;
    }
    *out = memory->texts[slot];
    return true;
}

sx_status tsdb_index_labels(const tsdb_index *x, const tsdb_series_room *room,
                            tsdb_symbol_memory *memory, sx_arena *arena, tsdb_labels *out,
                            sx_error *err)
{
    tsdb_label *items = sx_arena_alloc(arena, (room->pair_count + 1) * sizeof *items);
    if (!items)
        return sx_fail_memory(err, "labels of a series");
    for (size_t i = 0; i < room->pair_count; i++) {
        if (!remembered_symbol(x, memory, room->pairs[2 * i], &items[i].name) ||
            !remembered_symbol(x, memory, room->pairs[2 * i + 1], &items[i].value))
            return sx_fail(err, SX_ECORRUPT, "index: a series has a label that is no symbol");
    }
    *out = (tsdb_labels){items, (uint32_t)room->pair_count};
    return SX_OK;
}

/* --- Names, values, postings. */

const tsdb_index_name *tsdb_index_find(const tsdb_index *x, sx_str name)
{
    size_t low = 0, high = x->name_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sx_str_cmp(x->names[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->name_count && sx_str_eq(x->names[low].name, name) ? &x->names[low] : NULL;
}

static uint32_t stride_of(const tsdb_index *x)
{
    return x->version == 1 ? 1 : STRIDE;
}

static tsdb_cursor entry_at(const tsdb_index *x, const tsdb_index_name *name, uint32_t slot)
{
    return cursor_at(x, x->postings_table + x->entries[name->first + slot], x->table_end);
}

void tsdb_values_start(const tsdb_index *x, const tsdb_index_name *name, sx_str from,
                       tsdb_values *v)
{
    sx_str label, value;
    uint64_t offset;
    uint32_t stride = stride_of(x), slots = (name->values + stride - 1) / stride;
    uint32_t low = 0, high = slots; /* the first slot whose value is above `from` */
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        tsdb_cursor c = entry_at(x, name, middle);
        if (read_entry(&c, &label, &value, &offset) && sx_str_cmp(value, from) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t slot = low ? low - 1 : 0;
    *v = (tsdb_values){x, name, slot * stride, entry_at(x, name, slot)};
    for (;;) { /* at most a stride */
        tsdb_values before = *v;
        if (!tsdb_values_next(v, &value, &offset))
            return;
        if (sx_str_cmp(value, from) >= 0) {
            *v = before;
            return;
        }
    }
}

bool tsdb_values_next(tsdb_values *v, sx_str *value, uint64_t *offset)
{
    sx_str label;
    if (v->next >= v->name->values)
        return false;
    if (v->index->version == 1)
        v->at = entry_at(v->index, v->name, v->next);
    v->next++;
    return read_entry(&v->at, &label, value, offset);
}

sx_status tsdb_index_postings(const tsdb_index *x, uint64_t offset, tsdb_id_list *out,
                              sx_error *err)
{
    tsdb_cursor c;
    sx_status status = open_section(x, offset, "postings", &c, err);
    if (status != SX_OK)
        return status;
    uint64_t count = tsdb_cursor_be(&c, 4);
    if (c.bad || count * 4 > (size_t)(c.end - c.at))
        return sx_fail(err, SX_ECORRUPT, "index: postings at %llu claim %llu series",
                       (unsigned long long)offset, (unsigned long long)count);
    *out = (tsdb_id_list){c.at, (uint32_t)count};
    return SX_OK;
}
