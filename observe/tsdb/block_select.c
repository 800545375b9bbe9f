/* block_select.c - a block as a source: the series that matchers select, their samples, their labels.
 *
 * A matcher that an absent label fails becomes a list of ids: looked up for an equality or a list of
 * literals, else the union of all values that pass (from the expression's prefix on). The shortest
 * list leads, others intersect it. A matcher that would have to try more values than the leader has
 * series, or that an absent label passes, filters: by the series' own label, each distinct value
 * judged once. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/tsdb/block.h"

enum { CANCEL_EVERY = 1024, JUDGED_FIRST = 64 };

/* --- Lists of ids. */

typedef struct id_set {
    uint32_t *ids;
    size_t count;
    bool all; /* no list yet */
} id_set;

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static sx_status add_list(tsdb_block *b, uint64_t offset, sx_arena *arena, id_set *to, size_t *cap,
                          sx_error *err)
{
    tsdb_id_list list;
    sx_status status = tsdb_index_postings(&b->index, offset, &list, err);
    if (status != SX_OK)
        return status;
    if (!sx_arena_grow(arena, &to->ids, cap, to->count + list.count + 1, sizeof *to->ids))
        return sx_fail_memory(err, "selected series");
    for (uint32_t i = 0; i < list.count; i++)
        to->ids[to->count++] = tsdb_id_at(&list, i);
    return SX_OK;
}

static void sort_ids(id_set *s)
{
    bool sorted = true;
    for (size_t i = 1; i < s->count && sorted; i++)
        sorted = s->ids[i - 1] < s->ids[i];
    if (!sorted)
        qsort(s->ids, s->count, sizeof *s->ids, compare_ids);
}

static void intersect(id_set *with, const id_set *other)
{
    size_t kept = 0, k = 0;
    for (size_t i = 0; i < with->count && k < other->count; i++) {
        while (k < other->count && other->ids[k] < with->ids[i])
            k++;
        if (k < other->count && other->ids[k] == with->ids[i])
            with->ids[kept++] = with->ids[i];
    }
    with->count = kept;
}

/* --- Matchers. */

typedef struct block_plan {
    const tsdb_matcher *matcher;
    const tsdb_index_name *name;
    bool passes_absent, done;
    uint32_t name_symbol; /* UINT32_MAX: not met yet */
    /* Verdicts by symbol number of the value, open addressing. */
    uint32_t *symbols;
    uint8_t *verdicts; /* 0: empty slot, 1: fails, 2: passes */
    size_t cap, count;
} block_plan;

static sx_status list_value(tsdb_block *b, const tsdb_index_name *name, sx_str wanted,
                            sx_arena *arena, id_set *to, size_t *cap, sx_error *err)
{
    tsdb_values v;
    sx_str value;
    uint64_t offset;
    tsdb_values_start(&b->index, name, wanted, &v);
    if (!tsdb_values_next(&v, &value, &offset) || !sx_str_eq(value, wanted))
        return v.at.bad ? sx_fail(err, SX_ECORRUPT, "%s: index: broken table of postings", b->dir)
                        : SX_OK;
    return add_list(b, offset, arena, to, cap, err);
}

/* *listed: the matcher's ids are in `to`. */
static sx_status list_lookup(tsdb_block *b, block_plan *p, sx_arena *arena, id_set *to,
                             bool *listed, sx_error *err)
{
    sx_str one = p->matcher->value;
    const sx_str *literals = &one;
    size_t count = 1, cap = 0;
    *listed = false;
    if (p->matcher->kind == TSDB_MATCH_REGEX)
        literals = sx_regex_literals(p->matcher->regex, &count);
    else if (p->matcher->kind != TSDB_MATCH_EQUAL)
        return SX_OK;
    if (!literals)
        return SX_OK;
    *listed = true;
    *to = (id_set){0};
    sx_status status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        bool repeated = false;
        for (size_t k = 0; k < i && !repeated; k++)
            repeated = sx_str_eq(literals[i], literals[k]);
        if (!repeated)
            status = list_value(b, p->name, literals[i], arena, to, &cap, err);
    }
    sort_ids(to);
    return status;
}

static sx_status list_matching(tsdb_block *b, block_plan *p, sx_arena *arena, id_set *to,
                               sx_error *err)
{
    tsdb_values v;
    sx_str value, prefix = SX_STR("");
    uint64_t offset;
    size_t cap = 0;
    sx_status status = SX_OK;
    *to = (id_set){0};
    if (p->matcher->kind == TSDB_MATCH_REGEX)
        prefix = sx_regex_prefix(p->matcher->regex);
    tsdb_values_start(&b->index, p->name, prefix, &v);
    while (status == SX_OK && tsdb_values_next(&v, &value, &offset)) {
        if (prefix.len && !sx_str_starts(value, prefix))
            break;
        if (tsdb_matcher_matches(p->matcher, value))
            status = add_list(b, offset, arena, to, &cap, err);
    }
    if (status == SX_OK && v.at.bad)
        status = sx_fail(err, SX_ECORRUPT, "%s: index: broken table of postings", b->dir);
    sort_ids(to);
    return status;
}

static sx_status list_all(tsdb_block *b, sx_arena *arena, id_set *to, sx_error *err)
{
    size_t cap = 0;
    *to = (id_set){0};
    const tsdb_index_name *name = tsdb_index_find(&b->index, SX_STR(""));
    return name ? list_value(b, name, SX_STR(""), arena, to, &cap, err) : SX_OK;
}

static void join(id_set *all, const id_set *more)
{
    if (all->all)
        *all = *more;
    else if (more->count < all->count) {
        id_set shorter = *more;
        intersect(&shorter, all);
        *all = shorter;
    } else
        intersect(all, more);
}

/* --- Filtering. */

static bool grow_verdicts(block_plan *p, sx_arena *arena)
{
    size_t cap = p->cap ? p->cap * 2 : JUDGED_FIRST;
    uint32_t *symbols = sx_arena_calloc(arena, cap, sizeof *symbols);
    uint8_t *verdicts = sx_arena_calloc(arena, cap, sizeof *verdicts);
    if (!symbols || !verdicts)
        return false;
    for (size_t i = 0; i < p->cap; i++) {
        if (!p->verdicts[i])
            continue;
        size_t at = (p->symbols[i] * UINT32_C(2654435761)) & (cap - 1);
        while (verdicts[at])
            at = (at + 1) & (cap - 1);
        symbols[at] = p->symbols[i];
        verdicts[at] = p->verdicts[i];
    }
    p->symbols = symbols;
    p->verdicts = verdicts;
    p->cap = cap;
    return true;
}

static sx_status judge(tsdb_block *b, block_plan *p, uint32_t symbol, sx_arena *arena, bool *passes,
                       sx_error *err)
{
    sx_str value;
    if (p->count * 2 >= p->cap && !grow_verdicts(p, arena))
        return sx_fail_memory(err, "matching label values");
    size_t at = (symbol * UINT32_C(2654435761)) & (p->cap - 1);
    while (p->verdicts[at] && p->symbols[at] != symbol)
        at = (at + 1) & (p->cap - 1);
    if (!p->verdicts[at]) {
        if (!tsdb_index_symbol(&b->index, symbol, &value))
            return sx_fail(err, SX_ECORRUPT, "%s: a label that is no symbol", b->dir);
        p->symbols[at] = symbol;
        p->verdicts[at] = tsdb_matcher_matches(p->matcher, value) ? 2 : 1;
        p->count++;
    }
    *passes = p->verdicts[at] == 2;
    return SX_OK;
}

/* Whether a series, read into `room`, passes the matcher. */
static sx_status filter_one(tsdb_block *b, block_plan *p, const tsdb_series_room *room,
                            sx_arena *arena, bool *passes, sx_error *err)
{
    for (size_t i = 0; i < room->pair_count; i++) {
        sx_str name;
        uint32_t symbol = room->pairs[2 * i];
        /* The name's number is known after the first series that has it. */
        if (p->name_symbol != symbol) {
            if (p->name_symbol != UINT32_MAX)
                continue;
            if (!tsdb_index_symbol(&b->index, symbol, &name))
                return sx_fail(err, SX_ECORRUPT, "%s: a label that is no symbol", b->dir);
            if (!sx_str_eq(name, p->matcher->name))
                continue;
            p->name_symbol = symbol;
        }
        return judge(b, p, room->pairs[2 * i + 1], arena, passes, err);
    }
    *passes = p->passes_absent;
    return SX_OK;
}

static sx_status filter(tsdb_block *b, block_plan *plans, size_t count, sx_arena *arena,
                        id_set *ids, const _Atomic bool *canceled, sx_error *err)
{
    tsdb_series_room room = {0};
    size_t kept = 0;
    sx_status status = SX_OK;
    for (size_t i = 0; i < ids->count && status == SX_OK; i++) {
        bool passes = true;
        if (i % CANCEL_EVERY == 0 && canceled && atomic_load(canceled)) {
            status = sx_fail(err, SX_ECANCELED, "the query was canceled");
            break;
        }
        status = tsdb_index_series(&b->index, ids->ids[i], false, &room, err);
        for (size_t k = 0; k < count && passes && status == SX_OK; k++)
            if (!plans[k].done)
                status = filter_one(b, &plans[k], &room, arena, &passes, err);
        if (passes)
            ids->ids[kept++] = ids->ids[i];
    }
    ids->count = kept;
    tsdb_series_room_done(&room);
    return status;
}

static sx_status match_loaded(tsdb_block *b, block_plan *plans, size_t count, sx_arena *arena,
                              id_set *ids, const _Atomic bool *canceled, sx_error *err)
{
    sx_status status = SX_OK;
    bool rest = false;
    *ids = (id_set){.all = true};
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        block_plan *p = &plans[i];
        p->name = tsdb_index_find(&b->index, p->matcher->name);
        p->passes_absent = tsdb_matcher_matches(p->matcher, SX_STR(""));
        p->name_symbol = UINT32_MAX;
        if (p->passes_absent) {
            p->done = !p->name; /* no series of the block has the label */
            continue;
        }
        id_set list = {0};
        bool listed = !p->name;
        if (p->name)
            status = list_lookup(b, p, arena, &list, &listed, err);
        if (status == SX_OK && listed) {
            p->done = true;
            join(ids, &list);
        }
    }
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        block_plan *p = &plans[i];
        id_set list;
        if (p->done || p->passes_absent || (!ids->all && ids->count <= p->name->values))
            continue;
        status = list_matching(b, p, arena, &list, err);
        if (status == SX_OK) {
            p->done = true;
            join(ids, &list);
        }
    }
    if (status == SX_OK && ids->all)
        status = list_all(b, arena, ids, err);
    for (size_t i = 0; i < count; i++)
        rest = rest || !plans[i].done;
    return status == SX_OK && rest ? filter(b, plans, count, arena, ids, canceled, err) : status;
}

sx_status tsdb_block_match(tsdb_block *b, const tsdb_matcher *matchers, size_t count,
                           sx_arena *arena, uint32_t **out, size_t *id_count,
                           const _Atomic bool *canceled, sx_error *err)
{
    id_set ids = {0};
    sx_arena scratch;
    *out = NULL;
    *id_count = 0;
    sx_status status = tsdb_index_load(&b->index, err);
    if (status != SX_OK)
        return status;
    sx_arena_init(&scratch, 0, 0);
    block_plan *plans = sx_arena_calloc(&scratch, count + 1, sizeof *plans);
    if (!plans)
        status = sx_fail_memory(err, "matching label values");
    for (size_t i = 0; plans && i < count; i++)
        plans[i].matcher = &matchers[i];
    if (status == SX_OK)
        status = match_loaded(b, plans, count, &scratch, &ids, canceled, err);
    if (status == SX_OK && ids.count) {
        *out = sx_arena_alloc(arena, ids.count * sizeof **out);
        if (*out) {
            memcpy(*out, ids.ids, ids.count * sizeof **out);
            *id_count = ids.count;
        } else {
            status = sx_fail_memory(err, "selected series");
        }
    }
    sx_arena_done(&scratch);
    return status;
}

/* --- The source. */

static tsdb_block *of(tsdb_source *s)
{
    return (tsdb_block *)(void *)s; /* its first member */
}

/* Damage is for the keeper of blocks to act upon. */
static sx_status note_damage(tsdb_block *b, sx_status status)
{
    if (sx_unlikely(status == SX_ECORRUPT || status == SX_EUNSUPPORTED))
        atomic_store(&b->corrupt, true);
    return status;
}

static bool overlaps(const tsdb_series_room *room, int64_t min_t, int64_t max_t)
{
    for (size_t i = 0; i < room->chunk_count; i++)
        if (room->chunks[i].min_t <= max_t && room->chunks[i].max_t >= min_t)
            return true;
    return false;
}

static sx_status select_ids(tsdb_block *b, const tsdb_hints *hints, const uint32_t *ids,
                            size_t count, sx_arena *arena, tsdb_selection *out,
                            const _Atomic bool *canceled, sx_error *err)
{
    tsdb_series_room room = {0};
    tsdb_symbol_memory memory = {0};
    sx_status status = SX_OK;
    size_t cap = 0;
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        if (hints->series_max && out->count >= hints->series_max)
            break;
        if (i % CANCEL_EVERY == 0 && canceled && atomic_load(canceled)) {
            status = sx_fail(err, SX_ECANCELED, "the query was canceled");
            break;
        }
        status = tsdb_index_series(&b->index, ids[i], true, &room, err);
        if (status != SX_OK || !overlaps(&room, hints->min_t, hints->max_t))
            continue;
        if (!sx_arena_grow(arena, &out->items, &cap, out->count + 1, sizeof *out->items)) {
            status = sx_fail_memory(err, "selected series");
            break;
        }
        tsdb_series *item = &out->items[out->count];
        *item = (tsdb_series){.handle = {ids[i], 0}};
        status = tsdb_index_labels(&b->index, &room, &memory, arena, &item->labels, err);
        out->count += status == SX_OK;
    }
    tsdb_series_room_done(&room);
    return status;
}

static sx_status block_select(tsdb_source *s, const tsdb_hints *hints, const tsdb_matcher *matchers,
                              size_t count, sx_arena *arena, tsdb_selection *out,
                              const _Atomic bool *canceled, sx_error *err)
{
    tsdb_block *b = of(s);
    uint32_t *ids;
    size_t id_count;
    if (b->source.min_t > hints->max_t || b->source.max_t < hints->min_t)
        return SX_OK;
    sx_status status = tsdb_block_match(b, matchers, count, arena, &ids, &id_count, canceled, err);
    if (status == SX_OK)
        status = select_ids(b, hints, ids, id_count, arena, out, canceled, err);
    return note_damage(b, status);
}

static sx_status block_read(tsdb_source *s, uint64_t handle, int64_t min_t, int64_t max_t,
                            tsdb_columns *out, sx_error *err)
{
    tsdb_block *b = of(s);
    tsdb_series_room room = {0};
    size_t begin = out->count;
    sx_status status = tsdb_index_series(&b->index, handle, true, &room, err);
    if (status == SX_OK)
        status = tsdb_block_read_chunks(b, room.chunks, room.chunk_count, min_t, max_t, out, err);
    tsdb_series_room_done(&room);
    if (status == SX_OK)
        status = tsdb_columns_sort(out, begin, err);
    pthread_rwlock_rdlock(&b->stones_lock);
    if (b->stones.count) {
        size_t count;
        const tsdb_stone *stones = tsdb_stones_of(&b->stones, handle, &count);
        if (count)
            tsdb_drop_ranges(out, begin, stones, count);
    }
    pthread_rwlock_unlock(&b->stones_lock);
    return note_damage(b, status);
}

static sx_status add_text(sx_arena *arena, sx_str **out, size_t *count, size_t *cap, sx_str text,
                          sx_error *err)
{
    if (!sx_arena_grow(arena, out, cap, *count + 1, sizeof **out))
        return sx_fail_memory(err, "labels");
    (*out)[(*count)++] = text;
    return SX_OK;
}

/* The caller's array has no known room: it is taken as full. */
static sx_status block_names(tsdb_source *s, sx_arena *arena, sx_str **out, size_t *count,
                             sx_error *err)
{
    tsdb_block *b = of(s);
    size_t cap = *count;
    sx_status status = tsdb_index_load(&b->index, err);
    for (uint32_t i = 0; status == SX_OK && i < b->index.name_count; i++)
        if (b->index.names[i].name.len)
            status = add_text(arena, out, count, &cap, b->index.names[i].name, err);
    return note_damage(b, status);
}

static sx_status block_values(tsdb_source *s, sx_str name, sx_arena *arena, sx_str **out,
                              size_t *count, sx_error *err)
{
    tsdb_block *b = of(s);
    size_t cap = *count;
    tsdb_values v;
    sx_str value;
    uint64_t offset;
    sx_status status = tsdb_index_load(&b->index, err);
    const tsdb_index_name *found = status == SX_OK ? tsdb_index_find(&b->index, name) : NULL;
    if (!found || name.len == 0)
        return note_damage(b, status);
    tsdb_values_start(&b->index, found, SX_STR(""), &v);
    while (status == SX_OK && tsdb_values_next(&v, &value, &offset))
        status = add_text(arena, out, count, &cap, value, err);
    return note_damage(b, status);
}

static sx_status block_hold(tsdb_source *s, void **memory, sx_error *err)
{
    (void)memory;
    (void)err;
    tsdb_block_ref(of(s));
    return SX_OK;
}

static void block_release(tsdb_source *s, void *memory)
{
    (void)memory;
    tsdb_block_unref(of(s));
}

const tsdb_source_ops TSDB_BLOCK_OPS = {block_select, block_read, NULL,         block_names,
                                        block_values, block_hold, block_release};
