/* store.c - the file, its transactions and the index of heads. See store.h. */
#include <stdlib.h>

#include <sextant/json.h>
#include <sextant/mem.h>

#include "observe/dashboards/store_impl.h"

enum { QUERY_MS_MAX = 20000, ARENA_BYTES = 64 << 10 };

static const dash_limits DEFAULTS = {
    .bytes_max = 10 << 20, .versions_max = 20, .count_max = 50000, .notes_max = 100000};

static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uid TEXT NOT NULL UNIQUE, is_folder INTEGER NOT NULL, title TEXT NOT NULL,"
    " slug TEXT NOT NULL, description TEXT NOT NULL, folder TEXT NOT NULL, tags TEXT NOT NULL,"
    " version INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,"
    " created_by TEXT NOT NULL, updated_by TEXT NOT NULL, provider TEXT NOT NULL,"
    " file TEXT NOT NULL, checksum TEXT NOT NULL, may_update INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS item_folder ON item (folder, title);"
    "CREATE INDEX IF NOT EXISTS item_provider ON item (provider);"
    "CREATE TABLE IF NOT EXISTS version (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " item INTEGER NOT NULL, version INTEGER NOT NULL, parent INTEGER NOT NULL,"
    " restored_from INTEGER NOT NULL, created_ms INTEGER NOT NULL, created_by TEXT NOT NULL,"
    " message TEXT NOT NULL, json TEXT NOT NULL, UNIQUE (item, version));"
    "CREATE TABLE IF NOT EXISTS star (login TEXT NOT NULL, item INTEGER NOT NULL,"
    " PRIMARY KEY (login, item)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS annotation (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " dashboard TEXT NOT NULL, panel INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    " end_ms INTEGER NOT NULL, text TEXT NOT NULL, tags TEXT NOT NULL, data TEXT NOT NULL,"
    " login TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS annotation_time ON annotation (time_ms);"
    "CREATE INDEX IF NOT EXISTS annotation_dashboard ON annotation (dashboard, time_ms)";

sx_status dash_store_open(const char *path, const dash_limits *limits, const sx_clock *clock,
                          dash_store **out, sx_error *err)
{
    dash_store *s = sx_calloc(1, sizeof *s);
    if (!s)
        return sx_fail_memory(err, "the dashboards' store");
    s->clock = clock;
    s->limits = limits ? *limits : DEFAULTS;
    if (!s->limits.bytes_max)
        s->limits.bytes_max = DEFAULTS.bytes_max;
    if (!s->limits.versions_max)
        s->limits.versions_max = DEFAULTS.versions_max;
    if (!s->limits.count_max)
        s->limits.count_max = DEFAULTS.count_max;
    if (!s->limits.notes_max)
        s->limits.notes_max = DEFAULTS.notes_max;
    atomic_init(&s->generation, 1);
    pthread_mutex_init(&s->lock, NULL);
    sx_sqlite_options options = {.path = path,
                                 .schema = SCHEMA,
                                 .query_ms_max = QUERY_MS_MAX,
                                 .result_bytes_max = UINT64_C(512) << 20,
                                 .sync_full = true,
                                 .client = {.name = "dashboards", .breaker_off = true}};
    sx_status status = sx_sqlite_open(NULL, &options, &s->db, err);
    if (status != SX_OK) {
        dash_store_close(s);
        return sx_error_prefix(err, status, "%s", path);
    }
    *out = s;
    return SX_OK;
}

void dash_store_close(dash_store *s)
{
    if (!s)
        return;
    sx_sqlite_close(s->db);
    if (s->index)
        dash_index_unref(s->index);
    pthread_mutex_destroy(&s->lock);
    sx_free(s);
}

const dash_limits *dash_store_limits(const dash_store *s)
{
    return &s->limits;
}

int64_t dash_now_ms(const dash_store *s)
{
    return sx_clock_ms(s->clock);
}

/* ---- statements ---- */

sx_status dash_run(dash_tx *t, const char *sql, const sx_sqlite_value *params, size_t count,
                   sx_sqlite_result *result, sx_error *err)
{
    sx_sqlite_query q = {.sql = sx_str_z(sql), .params = params, .param_count = count};
    return sx_sqlite_tx_run(t->tx, &q, t->arena, result, err);
}

sx_status dash_ask(dash_store *s, const char *sql, const sx_sqlite_value *params, size_t count,
                   sx_arena *arena, sx_sqlite_result *result, sx_error *err)
{
    sx_sqlite_query q = {
        .sql = sx_str_z(sql), .params = params, .param_count = count, .side = SX_SQLITE_READ};
    return sx_sqlite_run(s->db, &q, arena, result, err);
}

typedef struct whole_tx {
    dash_tx t;
    dash_work *work;
} whole_tx;

static sx_status work_tx(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    whole_tx *w = arg;
    w->t.tx = tx;
    w->t.fault = DASH_FINE;
    sx_status status = w->work(&w->t, err);
    if (status == SX_OK && w->t.fault != DASH_FINE) /* rolled back */
        status = sx_fail(err, SX_REFUSED, "%s", DASH_FAULT_ROWS[w->t.fault].message);
    return status;
}

static dash_fault transact(dash_store *s, whole_tx *w, sx_error *err)
{
    if (sx_sqlite_transact(s->db, 0, work_tx, w, err) == SX_OK)
        return DASH_FINE;
    return w->t.fault != DASH_FINE ? w->t.fault : DASH_BROKEN;
}

dash_fault dash_transact(dash_store *s, sx_arena *arena, dash_work *work, const void *arg,
                         void *out, sx_error *err)
{
    whole_tx w = {.t = {.store = s, .arena = arena, .arg = arg, .out = out}, .work = work};
    dash_fault fault = transact(s, &w, err);
    if (fault == DASH_FINE || fault == DASH_BROKEN) /* of a broken one nobody knows what is there */
        atomic_fetch_add(&s->generation, 1);
    return fault;
}

dash_fault dash_transact_aside(dash_store *s, dash_work *work, const void *arg, void *out,
                               sx_error *err)
{
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    whole_tx w = {.t = {.store = s, .arena = &arena, .arg = arg, .out = out}, .work = work};
    dash_fault fault = transact(s, &w, err);
    sx_arena_done(&arena);
    return fault;
}

/* ---- items ---- */

sx_str dash_tags_write(const sx_str *tags, size_t count, sx_arena *arena)
{
    sx_buf out;
    sx_str text = {0};
    sx_buf_init(&out, 0);
    sx_buf_byte(&out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&out, ',');
        sx_json_quote(&out, tags[i], SX_JSON_UTF8);
    }
    sx_buf_byte(&out, ']');
    if (!out.failed)
        text = sx_arena_copy(arena, sx_buf_view(&out));
    sx_buf_done(&out);
    return text;
}

sx_status dash_tags_read(sx_str json, sx_arena *arena, const sx_str **out, size_t *count,
                         sx_error *err)
{
    sx_json r;
    sx_json_options how = {.arena = arena};
    sx_str *tags = NULL;
    size_t n = 0, cap = 0;
    *out = NULL;
    *count = 0;
    if (json.len <= 2)
        return SX_OK;
    sx_json_init(&r, json, &how);
    for (sx_json_enter_array(&r); sx_json_next_item(&r);) {
        if (!sx_arena_grow(arena, &tags, &cap, n + 1, sizeof *tags))
            return sx_fail_memory(err, "tags");
        if (sx_json_read_str(&r, &tags[n]))
            n++;
    }
    *out = tags;
    *count = n;
    return sx_json_finish(&r, err);
}

sx_status dash_item_read(const sx_sqlite_value *row, sx_arena *arena, dash_item *out, sx_error *err)
{
    *out = (dash_item){.id = row[0].i64,
                       .uid = row[1].str,
                       .title = row[2].str,
                       .slug = row[3].str,
                       .description = row[4].str,
                       .folder = row[5].str,
                       .version = row[7].i64,
                       .created_ms = row[8].i64,
                       .updated_ms = row[9].i64,
                       .created_by = row[10].str,
                       .updated_by = row[11].str,
                       .provider = row[12].str,
                       .file = row[13].str,
                       .checksum = row[14].str,
                       .is_folder = row[15].i64 != 0,
                       .may_update = row[16].i64 != 0};
    return dash_tags_read(row[6].str, arena, &out->tags, &out->tag_count, err);
}

sx_status dash_item_find(dash_tx *t, sx_str uid, bool *found, dash_item *out, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(uid)};
    sx_sqlite_result got;
    sx_status status =
        dash_run(t, "SELECT " DASH_ITEM_COLUMNS " FROM item WHERE uid = ?1", params, 1, &got, err);
    *found = status == SX_OK && got.row_count > 0;
    return *found ? dash_item_read(got.values, t->arena, out, err) : status;
}

sx_status dash_folder_is(dash_tx *t, sx_str uid, bool *is, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(uid)};
    sx_sqlite_result got;
    *is = uid.len == 0;
    if (*is)
        return SX_OK;
    sx_status status =
        dash_run(t, "SELECT id FROM item WHERE uid = ?1 AND is_folder = 1", params, 1, &got, err);
    *is = status == SX_OK && got.row_count > 0;
    return status;
}

sx_status dash_room(dash_tx *t, bool *room, sx_error *err)
{
    sx_sqlite_result got;
    sx_status status = dash_run(t, "SELECT count(*) FROM item", NULL, 0, &got, err);
    *room = status == SX_OK && got.values[0].i64 < t->store->limits.count_max;
    if (status == SX_OK && !*room)
        t->fault = DASH_TOO_MANY;
    return status;
}

/* ---- the index ---- */

void dash_index_unref(dash_index *index)
{
    if (atomic_fetch_sub(&index->references, 1) != 1)
        return;
    sx_arena_done(&index->arena);
    sx_free(index);
}

sx_str dash_lower(sx_str text, sx_arena *arena)
{
    char *out = sx_arena_alloc(arena, text.len + 1);
    if (!out)
        return (sx_str){0};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return sx_str_of(out, text.len);
}

static int by_title(const void *a, const void *b, void *ctx)
{
    const dash_index *index = ctx;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    if (index->items[i].is_folder != index->items[j].is_folder)
        return index->items[i].is_folder ? -1 : 1;
    int order = sx_str_cmp(index->lower[i], index->lower[j]);
    return order ? order : sx_str_cmp(index->items[i].uid, index->items[j].uid);
}

static sx_status fill_index(dash_store *s, dash_index *index, sx_error *err)
{
    sx_sqlite_result got;
    sx_arena *a = &index->arena;
    sx_status status =
        dash_ask(s, "SELECT " DASH_ITEM_COLUMNS " FROM item ORDER BY uid", NULL, 0, a, &got, err);
    if (status != SX_OK)
        return status;
    dash_item *items = sx_arena_alloc(a, (got.row_count + 1) * sizeof *items);
    sx_str *low = sx_arena_alloc(a, (got.row_count + 1) * sizeof *low);
    uint32_t *order = sx_arena_alloc(a, (got.row_count + 1) * sizeof *order);
    if (!items || !low || !order)
        return sx_fail_memory(err, "the index of dashboards");
    for (size_t i = 0; i < got.row_count && status == SX_OK; i++) {
        status = dash_item_read(sx_sqlite_at(&got, i, 0), a, &items[i], err);
        low[i] = dash_lower(items[i].title, a);
        order[i] = (uint32_t)i;
        if (status == SX_OK && !low[i].data)
            status = sx_fail_memory(err, "the index of dashboards");
    }
    if (status != SX_OK)
        return status;
    index->items = items;
    index->lower = low;
    index->count = got.row_count;
    qsort_r(order, got.row_count, sizeof *order, by_title, index);
    index->by_title = order;
    return SX_OK;
}

static sx_status make_index(dash_store *s, uint64_t generation, dash_index **out, sx_error *err)
{
    dash_index *index = sx_calloc(1, sizeof *index);
    if (!index)
        return sx_fail_memory(err, "the index of dashboards");
    atomic_init(&index->references, 1);
    index->generation = generation;
    sx_arena_init(&index->arena, ARENA_BYTES, 0);
    sx_status status = fill_index(s, index, err);
    if (status == SX_OK)
        *out = index;
    else
        dash_index_unref(index);
    return status;
}

/* Whoever comes while it is made waits for it, so that it is made once. */
sx_status dash_index_get(dash_store *s, dash_index **out, sx_error *err)
{
    dash_index *fresh = NULL;
    sx_status status = SX_OK;
    pthread_mutex_lock(&s->lock);
    uint64_t generation = atomic_load(&s->generation); /* before the reading */
    if (!s->index || s->index->generation != generation) {
        status = make_index(s, generation, &fresh, err);
        if (status == SX_OK && s->index)
            dash_index_unref(s->index);
        if (status == SX_OK)
            s->index = fresh;
    }
    if (status == SX_OK) {
        *out = s->index;
        atomic_fetch_add(&s->index->references, 1);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

const dash_item *dash_index_find(const dash_index *index, sx_str uid)
{
    size_t from = 0, to = index->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = sx_str_cmp(index->items[middle].uid, uid);
        if (order == 0)
            return &index->items[middle];
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

const dash_item *dash_index_find_id(const dash_index *index, int64_t id)
{
    for (size_t i = 0; i < index->count; i++)
        if (index->items[i].id == id)
            return &index->items[i];
    return NULL;
}
