/* labels.c - label sets as sorted arrays of views: compare, hash, print, build. */
#include "observe/tsdb/labels.h"

#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/utf8.h>

enum {
    HASH_SEED = 0x5e7
}; /* any fixed number: hashes of label sets may be compared between runs */

sx_str tsdb_labels_get(tsdb_labels l, sx_str name)
{
    for (uint32_t i = 0; i < l.count; i++) { /* a dozen pairs: a search by halves is no faster */
        if (sx_str_eq(l.items[i].name, name))
            return l.items[i].value;
    }
    return (sx_str){0};
}

bool tsdb_labels_equal(tsdb_labels a, tsdb_labels b)
{
    if (a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        if (!sx_str_eq(a.items[i].value, b.items[i].value) ||
            !sx_str_eq(a.items[i].name, b.items[i].name))
            return false;
    }
    return true;
}

int tsdb_labels_compare(tsdb_labels a, tsdb_labels b)
{
    for (uint32_t i = 0; i < a.count && i < b.count; i++) {
        int order = sx_str_cmp(a.items[i].name, b.items[i].name);
        if (order == 0)
            order = sx_str_cmp(a.items[i].value, b.items[i].value);
        if (order != 0)
            return order;
    }
    return (a.count > b.count) - (a.count < b.count);
}

static uint64_t hash_pair(const tsdb_label *l, uint64_t seed)
{
    return sx_hash(l->value, sx_hash(l->name, seed));
}

uint64_t tsdb_labels_hash(tsdb_labels l)
{
    uint64_t h = HASH_SEED;
    for (uint32_t i = 0; i < l.count; i++)
        h = hash_pair(&l.items[i], h);
    return h;
}

/* Walks both sorted lists side by side; takes the labels that are in `names`, or those that are not. */
static uint64_t hash_some(tsdb_labels l, const sx_str *names, size_t count, bool in_names)
{
    uint64_t h = HASH_SEED;
    size_t n = 0;
    for (uint32_t i = 0; i < l.count; i++) {
        int order = 1;
        while (n < count && (order = sx_str_cmp(names[n], l.items[i].name)) < 0)
            n++;
        bool named = n < count && order == 0;
        if (in_names ? named : !named && !sx_str_eq(l.items[i].name, TSDB_METRIC_NAME))
            h = hash_pair(&l.items[i], h);
    }
    return h;
}

uint64_t tsdb_labels_hash_by(tsdb_labels l, const sx_str *names, size_t count)
{
    return hash_some(l, names, count, true);
}

uint64_t tsdb_labels_hash_without(tsdb_labels l, const sx_str *names, size_t count)
{
    return hash_some(l, names, count, false);
}

sx_status tsdb_labels_copy(tsdb_labels l, sx_arena *arena, tsdb_labels *out, sx_error *err)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < l.count; i++)
        bytes += l.items[i].name.len + l.items[i].value.len;
    tsdb_label *items = sx_arena_calloc(arena, l.count, sizeof *items);
    char *text = sx_arena_alloc(arena, bytes);
    if (!items || !text)
        return sx_fail_memory(err, "a label set");

    for (uint32_t i = 0; i < l.count; i++) {
        const sx_str *from[2] = {&l.items[i].name, &l.items[i].value};
        sx_str *to[2] = {&items[i].name, &items[i].value};
        for (int k = 0; k < 2; k++) {
            if (from[k]->len)
                memcpy(text, from[k]->data, from[k]->len);
            *to[k] = sx_str_of(text, from[k]->len);
            text += from[k]->len;
        }
    }
    *out = (tsdb_labels){items, l.count};
    return SX_OK;
}

static int by_name(const void *a, const void *b)
{
    return sx_str_cmp(((const tsdb_label *)a)->name, ((const tsdb_label *)b)->name);
}

/* Most sets come nearly sorted and short: insertion, unless somebody sends hundreds of labels. */
static void sort_items(tsdb_label *items, size_t count)
{
    if (count > 32) {
        qsort(items, count, sizeof *items, by_name);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        tsdb_label moving = items[i];
        size_t at = i;
        for (; at > 0 && sx_str_cmp(items[at - 1].name, moving.name) > 0; at--)
            items[at] = items[at - 1];
        items[at] = moving;
    }
}

sx_status tsdb_labels_sort(tsdb_label *items, size_t count, tsdb_labels *out, sx_error *err)
{
    sort_items(items, count);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && sx_str_eq(items[i].name, items[i - 1].name))
            return sx_fail(err, SX_EINVAL, "label \"%.*s\" is given twice", SX_ARG(items[i].name));
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].value.len)
            items[kept++] = items[i];
    }
    *out = (tsdb_labels){items, (uint32_t)kept};
    return SX_OK;
}

static bool is_legacy(sx_str name, bool colon)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(c >= '0' && c <= '9' && i > 0) && !(c == ':' && colon))
            return false;
    }
    return name.len > 0;
}

bool tsdb_metric_name_is_legacy(sx_str name)
{
    return is_legacy(name, true);
}

bool tsdb_label_name_is_legacy(sx_str name)
{
    return is_legacy(name, false);
}

/* --- Printing. */

static void print_pairs(tsdb_labels l, bool without_name, sx_buf *out)
{
    const char *between = "";
    for (uint32_t i = 0; i < l.count; i++) {
        const tsdb_label *pair = &l.items[i];
        if (without_name && sx_str_eq(pair->name, TSDB_METRIC_NAME))
            continue;
        sx_buf_str(out, sx_str_z(between));
        if (tsdb_label_name_is_legacy(pair->name))
            sx_buf_str(out, pair->name);
        else
            tsdb_quote(pair->name, out);
        sx_buf_byte(out, '=');
        tsdb_quote(pair->value, out);
        between = ", ";
    }
}

sx_status tsdb_labels_print(tsdb_labels l, sx_buf *out, sx_error *err)
{
    sx_buf_byte(out, '{');
    print_pairs(l, false, out);
    sx_buf_byte(out, '}');
    return sx_buf_status(out, "a label set", err);
}

sx_status tsdb_labels_print_series(tsdb_labels l, sx_buf *out, sx_error *err)
{
    sx_str name = tsdb_labels_get(l, TSDB_METRIC_NAME);
    bool plain = tsdb_metric_name_is_legacy(name);
    if (plain)
        sx_buf_str(out, name);
    if (!plain || l.count > 1) {
        sx_buf_byte(out, '{');
        print_pairs(l, plain, out);
        sx_buf_byte(out, '}');
    }
    return sx_buf_status(out, "a label set", err);
}

/* --- The builder. */

void tsdb_labels_builder_init(tsdb_labels_builder *b)
{
    *b = (tsdb_labels_builder){0};
}

void tsdb_labels_builder_done(tsdb_labels_builder *b)
{
    sx_free(b->items);
    *b = (tsdb_labels_builder){0};
}

sx_status tsdb_labels_builder_reset(tsdb_labels_builder *b, tsdb_labels base, sx_error *err)
{
    if (!sx_grow(&b->items, &b->cap, base.count, sizeof *b->items))
        return sx_fail_memory(err, "a label set");
    if (base.count)
        memcpy(b->items, base.items, base.count * sizeof *b->items);
    b->count = base.count;
    return SX_OK;
}

sx_status tsdb_labels_builder_set(tsdb_labels_builder *b, sx_str name, sx_str value, sx_error *err)
{
    size_t at = 0;
    while (at < b->count && !sx_str_eq(b->items[at].name, name))
        at++;
    if (value.len == 0) { /* the order is restored by _take */
        if (at < b->count)
            b->items[at] = b->items[--b->count];
        return SX_OK;
    }
    if (at == b->count) {
        if (!sx_grow(&b->items, &b->cap, b->count + 1, sizeof *b->items))
            return sx_fail_memory(err, "a label set");
        b->count++;
    }
    b->items[at] = (tsdb_label){name, value};
    return SX_OK;
}

sx_str tsdb_labels_builder_get(const tsdb_labels_builder *b, sx_str name)
{
    return tsdb_labels_get((tsdb_labels){b->items, (uint32_t)b->count}, name);
}

tsdb_labels tsdb_labels_builder_take(tsdb_labels_builder *b)
{
    sort_items(b->items, b->count);
    return (tsdb_labels){b->items, (uint32_t)b->count};
}
