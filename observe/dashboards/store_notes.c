/* store_notes.c - annotations: marks in time. See store.h.
 *
 * Their tags are a JSON list in a column; what asks for tags looks through the annotations of the time that
 * it asks for, which SQLite finds by an index. */
#include <sextant/json.h>

#include "observe/dashboards/store_impl.h"

#define NOTE_COLUMNS                                                                               \
    "id, dashboard, panel, time_ms, end_ms, text, tags, data, login, created_ms, updated_ms"

static sx_status read_note(const sx_sqlite_value *row, sx_arena *arena, dash_note *out,
                           sx_error *err)
{
    *out = (dash_note){.id = row[0].i64,
                       .dashboard = row[1].str,
                       .panel_id = row[2].i64,
                       .time_ms = row[3].i64,
                       .end_ms = row[4].i64,
                       .text = row[5].str,
                       .data = row[7].str,
                       .login = row[8].str,
                       .created_ms = row[9].i64,
                       .updated_ms = row[10].i64};
    return dash_tags_read(row[6].str, arena, &out->tags, &out->tag_count, err);
}

static dash_fault check(const dash_note *n)
{
    size_t bytes = n->text.len + n->data.len;
    for (size_t i = 0; i < n->tag_count; i++)
        bytes += n->tags[i].len;
    if (!n->text.len)
        return DASH_NOTE_EMPTY;
    if (n->end_ms < n->time_ms)
        return DASH_NOTE_TIMES;
    return bytes > DASH_NOTE_BYTES_MAX || n->tag_count > DASH_NOTE_TAGS_MAX ? DASH_NOTE_TOO_LARGE
                                                                            : DASH_FINE;
}

/* ---- writing ---- */

static sx_status write_note(dash_tx *t, const char *sql, const dash_note *n, int64_t last,
                            sx_sqlite_result *got, sx_error *err)
{
    sx_str tags = dash_tags_write(n->tags, n->tag_count, t->arena);
    if (!tags.data)
        return sx_fail_memory(err, "an annotation");
    sx_sqlite_value params[] = {sx_sqlite_text(n->dashboard),
                                sx_sqlite_i64(n->panel_id),
                                sx_sqlite_i64(n->time_ms),
                                sx_sqlite_i64(n->end_ms),
                                sx_sqlite_text(n->text),
                                sx_sqlite_text(tags),
                                sx_sqlite_text(n->data),
                                sx_sqlite_i64(dash_now_ms(t->store)),
                                last ? sx_sqlite_i64(last) : sx_sqlite_text(n->login)};
    return dash_run(t, sql, params, SX_COUNT_OF(params), got, err);
}

static sx_status add_tx(dash_tx *t, sx_error *err)
{
    const dash_note *n = t->arg;
    sx_sqlite_result got;
    sx_status status = write_note(t,
                                  "INSERT INTO annotation (dashboard, panel, time_ms, end_ms, text,"
                                  " tags, data, login, created_ms, updated_ms)"
                                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, ?8, ?8)",
                                  n, 0, &got, err);
    if (status != SX_OK)
        return status;
    *(int64_t *)t->out = got.last_row_id;
    /* Ids only grow, so that the oldest are the lowest. */
    sx_sqlite_value params[] = {sx_sqlite_i64(t->store->limits.notes_max)};
    return dash_run(t,
                    "DELETE FROM annotation WHERE id <= (SELECT id FROM annotation"
                    " ORDER BY id DESC LIMIT 1 OFFSET ?1)",
                    params, 1, NULL, err);
}

dash_fault dash_note_add(dash_store *s, const dash_note *note, int64_t *id, sx_error *err)
{
    dash_fault fault = check(note);
    return fault == DASH_FINE ? dash_transact_aside(s, add_tx, note, id, err) : fault;
}

static sx_status set_tx(dash_tx *t, sx_error *err)
{
    const dash_note *n = t->arg;
    sx_sqlite_result got;
    sx_status status = write_note(t,
                                  "UPDATE annotation SET dashboard = ?1, panel = ?2, time_ms = ?3,"
                                  " end_ms = ?4, text = ?5, tags = ?6, data = ?7, updated_ms = ?8"
                                  " WHERE id = ?9",
                                  n, n->id, &got, err);
    if (status == SX_OK && !got.changes)
        t->fault = DASH_NOTE_NOT_FOUND;
    return status;
}

dash_fault dash_note_set(dash_store *s, const dash_note *note, sx_error *err)
{
    dash_fault fault = check(note);
    return fault == DASH_FINE ? dash_transact_aside(s, set_tx, note, NULL, err) : fault;
}

static sx_status remove_tx(dash_tx *t, sx_error *err)
{
    const int64_t *id = t->arg;
    sx_sqlite_value params[] = {sx_sqlite_i64(*id)};
    sx_sqlite_result got;
    sx_status status = dash_run(t, "DELETE FROM annotation WHERE id = ?1", params, 1, &got, err);
    if (status == SX_OK && !got.changes)
        t->fault = DASH_NOTE_NOT_FOUND;
    return status;
}

dash_fault dash_note_remove(dash_store *s, int64_t id, sx_error *err)
{
    return dash_transact_aside(s, remove_tx, &id, NULL, err);
}

/* ---- reading ---- */

dash_fault dash_note_get(dash_store *s, int64_t id, sx_arena *arena, dash_note *out, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_i64(id)};
    sx_sqlite_result got;
    if (dash_ask(s, "SELECT " NOTE_COLUMNS " FROM annotation WHERE id = ?1", params, 1, arena, &got,
                 err) != SX_OK)
        return DASH_BROKEN;
    if (!got.row_count)
        return DASH_NOTE_NOT_FOUND;
    return read_note(got.values, arena, out, err) == SX_OK ? DASH_FINE : DASH_BROKEN;
}

sx_status dash_notes(dash_store *s, const dash_note_filter *f, sx_arena *arena, dash_note **out,
                     size_t *count, sx_error *err)
{
    sx_str tags = dash_tags_write(f->tags, f->tag_count, arena);
    sx_sqlite_result got;
    if (!tags.data)
        return sx_fail_memory(err, "annotations");
    bool timed = f->from_ms || f->to_ms;
    sx_sqlite_value params[] = {
        sx_sqlite_i64(timed),
        sx_sqlite_i64(f->from_ms),
        sx_sqlite_i64(f->to_ms ? f->to_ms : INT64_MAX),
        sx_sqlite_i64(f->of_dashboard),
        sx_sqlite_text(f->dashboard),
        sx_sqlite_i64(f->panel_id),
        sx_sqlite_text(tags),
        sx_sqlite_i64(f->any_tag && f->tag_count ? 1 : (int64_t)f->tag_count),
        sx_sqlite_i64(f->limit)};
    sx_status status =
        dash_ask(s,
                 "SELECT " NOTE_COLUMNS " FROM annotation a"
                 " WHERE (?1 = 0 OR (time_ms <= ?3 AND end_ms >= ?2))"
                 " AND (?4 = 0 OR dashboard = ?5) AND (?6 = 0 OR panel = ?6)"
                 " AND (?8 = 0 OR (SELECT count(DISTINCT w.value) FROM json_each(?7) w"
                 " WHERE w.value IN (SELECT value FROM json_each(a.tags))) >= ?8)"
                 " ORDER BY time_ms DESC, id DESC LIMIT ?9",
                 params, SX_COUNT_OF(params), arena, &got, err);
    if (status != SX_OK)
        return status;
    *out = sx_arena_alloc(arena, (got.row_count + 1) * sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "annotations");
    for (size_t i = 0; i < got.row_count && status == SX_OK; i++)
        status = read_note(sx_sqlite_at(&got, i, 0), arena, &(*out)[i], err);
    *count = got.row_count;
    return status;
}

sx_status dash_note_tags(dash_store *s, sx_str part, int64_t limit, sx_arena *arena,
                         dash_count **out, size_t *count, sx_error *err)
{
    sx_sqlite_value params[] = {sx_sqlite_text(part), sx_sqlite_i64(limit)};
    sx_sqlite_result got;
    sx_status status = dash_ask(s,
                                "SELECT t.value, count(*) FROM annotation a, json_each(a.tags) t"
                                " WHERE instr(lower(t.value), lower(?1)) > 0 GROUP BY t.value"
                                " ORDER BY t.value LIMIT ?2",
                                params, 2, arena, &got, err);
    if (status != SX_OK)
        return status;
    *out = sx_arena_alloc(arena, (got.row_count + 1) * sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "tags of annotations");
    for (size_t i = 0; i < got.row_count; i++)
        (*out)[i] = (dash_count){sx_sqlite_at(&got, i, 0)->str, sx_sqlite_at(&got, i, 1)->i64};
    *count = got.row_count;
    return SX_OK;
}
