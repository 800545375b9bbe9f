/* sqlite_conn.c - one connection: its statements, its rows, what its errors mean (sqlite_internal.h).
 *
 * Source: "Result and Error Codes", "Write-Ahead Logging", "Prepared Statements" of the SQLite
 * documentation. */
#include "client/sqlite_internal.h"

#include <errno.h>
#include <math.h>

#include <sextant/mem.h>

enum { BUSY_MS_MAX = 25 };

typedef struct sqlite_statement {
    sx_list link; /* conn->recent */
    sqlite3_stmt *handle;
    size_t sql_len;
    char sql[];
} sqlite_statement;

/* ---- limits ---- */

void sqlite_conn_limit(sqlite_conn *c, uint32_t ms, const bool *stop)
{
    c->deadline_ns = ms ? sx_clock_mono_ns(c->clock) + (int64_t)ms * 1000000 : 0;
    c->stop = stop;
    c->is_late = c->is_stopped = false;
}

static bool is_over(sqlite_conn *c)
{
    if (c->stop && (__atomic_load_n(c->stop, __ATOMIC_RELAXED) ||
                    __atomic_load_n(&c->db->closing, __ATOMIC_RELAXED)))
        c->is_stopped = true;
    else if (c->deadline_ns && sx_clock_mono_ns(c->clock) >= c->deadline_ns)
        c->is_late = true;
    return c->is_stopped || c->is_late;
}

static int on_progress(void *arg)
{
    return is_over(arg);
}

/* Another process holds the lock: waits a little, more each time, as long as there is time. */
static int on_busy(void *arg, int times)
{
    if (is_over(arg))
        return 0;
    sqlite3_sleep(times < 5 ? 1 + times * 2 : BUSY_MS_MAX);
    return 1;
}

/* ---- errors ---- */

static sx_status fail(sqlite_conn *c, int rc, const char *what, sx_error *err)
{
    static const struct {
        int code;
        sx_status status;
        const char *remedy;
    } ROWS[] = {
        {SQLITE_NOMEM, SX_ENOMEM, ""},
        {SQLITE_BUSY, SX_ETIMEOUT, "; another process holds its lock"},
        {SQLITE_LOCKED, SX_ETIMEOUT, "; another connection holds its lock"},
        {SQLITE_FULL, SX_EIO, "; free space on its disk, or lift its quota"},
        {SQLITE_IOERR, SX_EIO, "; look at the system's log for the disk"},
        {SQLITE_CANTOPEN, SX_ENOTFOUND, "; its folder must exist and be writable"},
        {SQLITE_CORRUPT, SX_ECORRUPT,
         "; the file is damaged: restore a backup, or save what is left by `sqlite3 FILE .recover`"},
        {SQLITE_NOTADB, SX_ECORRUPT,
         "; the file is no SQLite database, or damaged: name another, or restore a backup"},
        {SQLITE_READONLY, SX_EACCESS, ""},
        {SQLITE_PERM, SX_EACCESS, ""},
        {SQLITE_AUTH, SX_EACCESS, ""},
        {SQLITE_TOOBIG, SX_ELIMIT, ""},
    };
    int extended = c->handle ? sqlite3_extended_errcode(c->handle) : rc;
    const char *said = c->handle ? sqlite3_errmsg(c->handle) : sqlite3_errstr(rc);
    int os = c->handle ? sqlite3_system_errno(c->handle) : 0;
    if (c->is_stopped)
        return sx_fail(err, SX_ECANCELED, "%s: it was canceled", what);
    if (c->is_late)
        return sx_fail(err, SX_ETIMEOUT, "%s: it took longer than it may%s", what,
                       (rc & 0xff) == SQLITE_BUSY ? ", as another process holds the lock" : "");
    if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY ||
        extended == SQLITE_CONSTRAINT_ROWID)
        return sx_fail(err, SX_EEXIST, "%s: %s", what, said);
    if ((rc & 0xff) == SQLITE_CANTOPEN && os == EACCES)
        return sx_fail(err, SX_EACCESS, "%s: %s may not be opened", what, c->db->path);
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        if ((rc & 0xff) == ROWS[i].code)
            return sx_fail(err, ROWS[i].status, "%s: %s: %s%s", what, c->db->path, said,
                           ROWS[i].remedy);
    }
    return sx_fail(err, SX_EINVAL, "%s: %s", what, said);
}

/* ---- statements ---- */

static void drop_statement(sqlite_conn *c, sqlite_statement *s)
{
    sx_map_remove(&c->statements, sx_str_of(s->sql, s->sql_len));
    sx_list_remove(&s->link);
    sqlite3_finalize(s->handle);
    sx_free(s);
}

/* Only blanks, comments and semicolons may follow a statement. */
static bool is_blank(sqlite_conn *c, const char *tail, const char *end)
{
    sqlite3_stmt *next = NULL;
    const char *after = tail;
    while (after < end) {
        const char *from = after;
        if (sqlite3_prepare_v2(c->handle, from, (int)(end - from), &next, &after) != SQLITE_OK ||
            next) {
            sqlite3_finalize(next);
            return false;
        }
        if (after <= from)
            break;
    }
    return true;
}

static sx_status prepare(sqlite_conn *c, sx_str sql, sqlite3_stmt **out, sx_error *err)
{
    const char *tail = NULL;
    if (sql.len > INT32_MAX)
        return sx_fail(err, SX_ELIMIT, "the statement has more than 2 GiB");
    int rc = sqlite3_prepare_v3(c->handle, sql.data, (int)sql.len, SQLITE_PREPARE_PERSISTENT, out,
                                &tail);
    if (rc != SQLITE_OK)
        return fail(c, rc, "the statement cannot be prepared", err);
    if (!*out)
        return sx_fail(err, SX_EINVAL, "there is no statement in the text");
    if (!is_blank(c, tail, sql.data + sql.len)) {
        sqlite3_finalize(*out);
        return sx_fail(err, SX_EINVAL, "a query is one statement, and another follows it");
    }
    return SX_OK;
}

/* The prepared statement of that text, kept or made. */
static sx_status statement_of(sqlite_conn *c, sx_str sql, sqlite_statement **out, sx_error *err)
{
    sqlite_statement *s = sx_map_get(&c->statements, sql);
    if (s) {
        sx_list_remove(&s->link);
        sx_list_push_back(&c->recent, &s->link);
        __atomic_fetch_add(&c->reused, 1, __ATOMIC_RELAXED);
        *out = s;
        return SX_OK;
    }
    s = sx_calloc(1, sizeof(*s) + sql.len);
    if (!s)
        return sx_fail_memory(err, "a statement");
    sx_list_init(&s->link);
    s->sql_len = sql.len;
    if (sql.len)
        memcpy(s->sql, sql.data, sql.len);
    sx_status st = prepare(c, sql, &s->handle, err);
    if (st != SX_OK) {
        sx_free(s);
        return st;
    }
    __atomic_fetch_add(&c->prepared, 1, __ATOMIC_RELAXED);
    if (sx_map_count(&c->statements) >= c->statements_max)
        drop_statement(c, SX_CONTAINER_OF(c->recent.next, sqlite_statement, link));
    sx_map_entry *e = sx_map_put(&c->statements, sx_str_of(s->sql, s->sql_len), NULL);
    sx_list_push_back(&c->recent, &s->link);
    if (!e) {
        drop_statement(c, s);
        return sx_fail_memory(err, "a statement");
    }
    e->ptr = s;
    *out = s;
    return SX_OK;
}

static int bind_one(sqlite3_stmt *s, int at, const sx_sqlite_value *v)
{
    /* Bound without a copy: what they point to outlives the run. */
    const char *data = v->str.data ? v->str.data : "";
    switch (v->kind) {
    case SX_SQLITE_INTEGER:
        return sqlite3_bind_int64(s, at, v->i64);
    case SX_SQLITE_REAL:
        return isnan(v->real) ? sqlite3_bind_null(s, at) : sqlite3_bind_double(s, at, v->real);
    case SX_SQLITE_TEXT:
        return sqlite3_bind_text64(s, at, data, v->str.len, SQLITE_STATIC, SQLITE_UTF8);
    case SX_SQLITE_BLOB:
        return sqlite3_bind_blob64(s, at, data, v->str.len, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(s, at);
    }
}

static sx_status bind(sqlite_conn *c, sqlite3_stmt *s, const sx_sqlite_query *query, sx_error *err)
{
    int wanted = sqlite3_bind_parameter_count(s);
    if ((size_t)wanted != query->param_count)
        return sx_fail(err, SX_EINVAL, "the statement has %d parameters, %zu were given", wanted,
                       query->param_count);
    for (int i = 0; i < wanted; i++) {
        int rc = bind_one(s, i + 1, &query->params[i]);
        if (rc != SQLITE_OK)
            return fail(c, rc, "a parameter cannot be taken", err);
    }
    return SX_OK;
}

/* ---- rows ---- */

/* What a result has taken of its bytes; over the limit it ends. */
typedef struct rows {
    sx_arena *arena;
    sx_sqlite_value *values;
    size_t cap, count;
    uint64_t bytes_left;
} rows;

static bool copy_value(rows *r, sqlite3_stmt *s, int column, sx_sqlite_value *out)
{
    memset(out, 0, sizeof(*out));
    switch (sqlite3_column_type(s, column)) {
    case SQLITE_INTEGER:
        out->kind = SX_SQLITE_INTEGER;
        out->i64 = sqlite3_column_int64(s, column);
        return true;
    case SQLITE_FLOAT:
        out->kind = SX_SQLITE_REAL;
        out->real = sqlite3_column_double(s, column);
        return true;
    case SQLITE_NULL:
        return true;
    case SQLITE_TEXT:
        out->kind = SX_SQLITE_TEXT;
        out->str.data = (const char *)sqlite3_column_text(s, column);
        break;
    default:
        out->kind = SX_SQLITE_BLOB;
        out->str.data = sqlite3_column_blob(s, column);
        break;
    }
    out->str.len = (size_t)sqlite3_column_bytes(s, column);
    if (!out->str.data)
        out->str = SX_STR("");
    out->str = sx_arena_copy(r->arena, out->str);
    return out->str.data != NULL;
}

static sx_status take_row(rows *r, sqlite3_stmt *s, int columns, sx_error *err)
{
    size_t need = r->count + (size_t)columns;
    if (!sx_arena_grow(r->arena, &r->values, &r->cap, need, sizeof(*r->values)))
        return sx_fail_memory(err, "a row");
    for (int i = 0; i < columns; i++) {
        sx_sqlite_value *v = &r->values[r->count + (size_t)i];
        if (!copy_value(r, s, i, v))
            return sx_fail_memory(err, "a row");
        uint64_t bytes = sizeof(*v) + v->str.len;
        if (bytes > r->bytes_left)
            return sx_fail(
                err, SX_ELIMIT,
                "the result is larger than it may be: ask for fewer rows (LIMIT), or raise "
                "result_bytes_max");
        r->bytes_left -= bytes;
    }
    r->count = need;
    return SX_OK;
}

static sx_status name_columns(sqlite3_stmt *s, int count, sx_arena *arena, sx_sqlite_result *out,
                              sx_error *err)
{
    sx_str *names = sx_arena_calloc(arena, (size_t)count + 1, sizeof(*names));
    for (int i = 0; names && i < count; i++) {
        names[i] = sx_arena_copy(arena, sx_str_z(sqlite3_column_name(s, i)));
        if (!names[i].data)
            names = NULL;
    }
    if (!names)
        return sx_fail_memory(err, "the columns of a result");
    out->columns = names;
    out->column_count = (size_t)count;
    return SX_OK;
}

static sx_status step_all(sqlite_conn *c, sqlite3_stmt *s, sx_arena *arena,
                          sx_sqlite_result *result, sx_error *err)
{
    int columns = sqlite3_column_count(s), rc;
    rows r = {.arena = arena, .bytes_left = c->db->options.result_bytes_max};
    bool wants_rows = arena && result && columns > 0;
    sx_status st = wants_rows ? name_columns(s, columns, arena, result, err) : SX_OK;
    while (st == SX_OK && (rc = sqlite3_step(s)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            return fail(c, rc, "the statement failed", err);
        if (wants_rows)
            st = take_row(&r, s, columns, err);
    }
    if (st != SX_OK || !result)
        return st;
    result->values = r.values;
    result->row_count = wants_rows ? r.count / (size_t)columns : 0;
    result->changes = sqlite3_stmt_readonly(s) ? 0 : sqlite3_changes64(c->handle);
    result->last_row_id = sqlite3_last_insert_rowid(c->handle);
    return SX_OK;
}

sx_status sqlite_conn_run(sqlite_conn *c, const sx_sqlite_query *query, sx_arena *arena,
                          sx_sqlite_result *result, sx_error *err)
{
    sqlite_statement *s = NULL;
    if (result)
        memset(result, 0, sizeof(*result));
    if (is_over(c))
        return fail(c, SQLITE_INTERRUPT, "the statement was not started", err);
    sx_status st = statement_of(c, query->sql, &s, err);
    if (st != SX_OK)
        return st;
    st = bind(c, s->handle, query, err);
    if (st == SX_OK)
        st = step_all(c, s->handle, arena, result, err);
    sqlite3_reset(s->handle); /* its status is that of the step, which was told */
    sqlite3_clear_bindings(s->handle);
    return st;
}

/* ---- transactions ---- */

sx_status sqlite_conn_script(sqlite_conn *c, const char *sql, sx_error *err)
{
    int rc = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SX_OK : fail(c, rc, "a statement failed", err);
}

/* Ends a transaction without effect, whatever the time: SQLite may have done so itself. */
static void roll_back(sqlite_conn *c)
{
    sqlite_conn_limit(c, 0, NULL);
    if (!sqlite3_get_autocommit(c->handle))
        sqlite3_exec(c->handle, "ROLLBACK", NULL, NULL, NULL);
}

sx_status sqlite_conn_transact(sqlite_conn *c, sx_sqlite_work *work, void *arg, sx_error *err)
{
    sx_sqlite_tx tx = {c};
    sx_error own = {0};
    err = err ? err : &own;
    sx_status st = sqlite_conn_script(c, "BEGIN IMMEDIATE", err);
    if (st == SX_OK)
        st = work(&tx, arg, err);
    if (st == SX_OK)
        st = sqlite_conn_script(c, "COMMIT", err);
    if (st != SX_OK)
        roll_back(c);
    return st;
}

sx_status sx_sqlite_tx_run(sx_sqlite_tx *tx, const sx_sqlite_query *query, sx_arena *arena,
                           sx_sqlite_result *result, sx_error *err)
{
    return sqlite_conn_run(tx->conn, query, arena, result, err);
}

/* ---- life ---- */

sx_status sqlite_conn_open(sqlite_conn *c, sx_sqlite *db, bool writes, sx_error *err)
{
    const sx_sqlite_options *o = &db->options;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (o->read_only ? SQLITE_OPEN_READONLY
                 : writes     ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                              : SQLITE_OPEN_READWRITE);
    memset(c, 0, sizeof(*c));
    c->db = db;
    c->clock = db->scope.clock;
    c->statements_max = o->statements_max;
    sx_map_init(&c->statements, NULL);
    sx_list_init(&c->recent);
    sx_list_init(&c->link);
    int rc = sqlite3_open_v2(db->path, &c->handle, flags, NULL);
    if (rc != SQLITE_OK) {
        fail(c, rc, "the database cannot be opened", err);
        return err ? err->status : SX_EIO;
    }
    sqlite3_busy_handler(c->handle, on_busy, c);
    sqlite3_progress_handler(c->handle, SQLITE_STEPS, on_progress, c);
    sqlite_conn_limit(c, o->query_ms_max, NULL);
    /* Reading the schema finds what is no database or damaged at its start. */
    sx_status st = sqlite_conn_script(c, "SELECT count(*) FROM sqlite_schema", err);
    if (st == SX_OK && writes && !o->read_only && !db->is_memory)
        st = sqlite_conn_script(c, "PRAGMA journal_mode = WAL", err);
    if (st == SX_OK)
        st = sqlite_conn_script(c,
                                o->sync_full
                                    ? "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON"
                                    : "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON",
                                err);
    if (st == SX_OK && !writes)
        st = sqlite_conn_script(c, "PRAGMA query_only = ON", err);
    return st;
}

void sqlite_conn_close(sqlite_conn *c)
{
    while (!sx_list_empty(&c->recent))
        drop_statement(c, SX_CONTAINER_OF(c->recent.next, sqlite_statement, link));
    sx_map_done(&c->statements);
    if (c->handle)
        sqlite3_close(c->handle);
    c->handle = NULL;
}
