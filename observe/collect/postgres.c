/* postgres.c - a PostgreSQL server's page: one connection, one question after the other.
 *
 * The first asks for the version, the rest are a table (postgres_queries.c); a question that fails, for
 * want of a right or of an extension, leaves out its metrics and is told by pg_scrape_collector_success.
 * Settings are of their own shape: a metric each, in base units. */
#include "observe/collect/postgres.h"

#include <stdio.h>
#include <string.h>

#include <sextant/mem.h>
#include <sextant/postgres.h>
#include <sextant/url.h>

#include "observe/collect/run.h"

enum { LABELS_MAX = 12, RESULT_BYTES_MAX = 32 << 20, OUTCOMES_MAX = 64 };

static const char VERSION_SQL[] =
    "SELECT current_setting('server_version_num'), current_setting('server_version'), version()";
static const char SETTINGS_SQL[] =
    "SELECT name, setting, coalesce(unit, ''), vartype FROM pg_settings WHERE vartype IN ('bool', "
    "'integer', 'real') ORDER BY name";

typedef struct page {
    collector *c;
    collect_run run;
    sx_pg *pg;
    size_t at; /* 0: the version, 1: settings, then the table */
    uint32_t version;
    bool up, failed; /* failed: the connection is of no more use */
    int64_t asked_ns;
    struct {
        const char *collector;
        bool good;
        double seconds;
    } outcomes[OUTCOMES_MAX];
    size_t outcome_count;
} page;

/* ---- answers ---- */

/* NaN and infinities, as PostgreSQL writes them, are no numbers here: there is no sample. */
static bool cell_number(sx_str cell, double *out)
{
    if (!cell.data || !cell.len)
        return false;
    *out = collect_number(cell);
    return (cell.data[0] >= '0' && cell.data[0] <= '9') || cell.data[0] == '-';
}

static void put_table(page *p, const collect_pg_query *q, const sx_pg_result *r)
{
    char name[160], labels_of[LABELS_MAX][64];
    collect_label labels[LABELS_MAX];
    size_t columns[LABELS_MAX], label_count = 0;
    for (size_t k = 0; k < r->column_count; k++) {
        sx_str column = r->columns[k];
        if (!sx_str_starts(column, SX_STR("l:")) || label_count == LABELS_MAX)
            continue;
        snprintf(labels_of[label_count], sizeof labels_of[0], "%.*s",
                 SX_ARG(sx_str_from(column, 2)));
        columns[label_count++] = k;
    }
    for (size_t k = 0; k < r->column_count && r->row_count; k++) {
        sx_str column = r->columns[k];
        double value;
        if (sx_str_starts(column, SX_STR("l:")) || column.len < 2)
            continue;
        snprintf(name, sizeof name, "%s%s%.*s", q->prefix, column.len > 2 ? "_" : "",
                 SX_ARG(sx_str_from(column, 2)));
        collect_family(p->c, name, column.data[0] == 'c' ? "counter" : "gauge",
                       "As PostgreSQL's view of that name says.");
        for (size_t i = 0; i < r->row_count; i++) {
            if (!cell_number(sx_pg_value(r, i, k), &value))
                continue;
            for (size_t n = 0; n < label_count; n++)
                labels[n] = (collect_label){labels_of[n], sx_pg_value(r, i, columns[n])};
            collect_sample(p->c, name, labels, label_count, value);
        }
    }
}

/* Units of settings: what a metric's name ends in, and the factor. */
static const struct unit {
    const char *unit, *suffix;
    double factor;
} UNITS[] = {
    {"", "", 1},
    {"ms", "_seconds", 1e-3},
    {"s", "_seconds", 1},
    {"min", "_seconds", 60},
    {"h", "_seconds", 3600},
    {"d", "_seconds", 86400},
    {"B", "_bytes", 1},
    {"kB", "_bytes", 1 << 10},
    {"2kB", "_bytes", 2 << 10},
    {"4kB", "_bytes", 4 << 10},
    {"8kB", "_bytes", 8 << 10},
    {"16kB", "_bytes", 16 << 10},
    {"32kB", "_bytes", 32 << 10},
    {"64kB", "_bytes", 64 << 10},
    {"MB", "_bytes", 1 << 20},
    {"16MB", "_bytes", 16 << 20},
    {"32MB", "_bytes", 32 << 20},
    {"64MB", "_bytes", 64 << 20},
    {"GB", "_bytes", 1 << 30},
    {"TB", "_bytes", 1024.0 * (1 << 30)},
};

static void put_settings(page *p, const sx_pg_result *r)
{
    char name[160];
    for (size_t i = 0; i < r->row_count && r->column_count == 4; i++) {
        sx_str setting = sx_pg_value(r, i, 1), unit = sx_pg_value(r, i, 2);
        bool is_bool = sx_str_eq(sx_pg_value(r, i, 3), SX_STR("bool"));
        const struct unit *u = NULL;
        double value = sx_str_eq(setting, SX_STR("on"));
        for (size_t k = 0; k < SX_COUNT_OF(UNITS) && !u; k++)
            u = sx_str_eq(unit, sx_str_z(UNITS[k].unit)) ? &UNITS[k] : NULL;
        if (!u || (!is_bool && !cell_number(setting, &value)))
            continue;
        if (!is_bool && value != -1) /* -1 is a word: off, or any */
            value *= u->factor;
        snprintf(name, sizeof name, "pg_settings_%.*s%s",
                 SX_ARG(sx_str_first(sx_pg_value(r, i, 0), 100)), is_bool ? "" : u->suffix);
        collect_name(name);
        collect_one(p->c, name, "gauge", "A setting, in base units.", value);
    }
}

static void put_version(page *p, const sx_pg_result *r)
{
    if (r->row_count != 1 || r->column_count != 3)
        return;
    p->up = true;
    p->version = (uint32_t)collect_number(sx_pg_value(r, 0, 0));
    const collect_label labels[] = {{"short_version", sx_pg_value(r, 0, 1)},
                                    {"version", sx_pg_value(r, 0, 2)}};
    collect_family(p->c, "pg_static", "gauge", "Which PostgreSQL this is.");
    collect_sample(p->c, "pg_static", labels, 2, 1);
}

/* ---- questions ---- */

static void ask_next(page *p);

static void note_outcome(page *p, bool good)
{
    const char *name = p->at == 0   ? "version"
                       : p->at == 1 ? "settings"
                                    : COLLECT_PG_QUERIES[p->at - 2].collector;
    if (p->outcome_count < OUTCOMES_MAX)
        p->outcomes[p->outcome_count++].collector = name;
    p->outcomes[p->outcome_count - 1].good = good;
    p->outcomes[p->outcome_count - 1].seconds =
        (double)(sx_clock_mono_ns(sx_clock_system()) - p->asked_ns) / 1e9;
}

static void on_rows(void *ctx, sx_status status, const sx_pg_result *r, const sx_error *err)
{
    (void)err;
    page *p = ctx;
    note_outcome(p, status == SX_OK);
    if (status == SX_OK && p->at == 0)
        put_version(p, r);
    else if (status == SX_OK && p->at == 1)
        put_settings(p, r);
    else if (status == SX_OK)
        put_table(p, &COLLECT_PG_QUERIES[p->at - 2], r);
    p->failed = !p->up || status == SX_ECLOSED || status == SX_ECANCELED;
    p->at++;
    ask_next(p);
}

static const char *next_sql(page *p)
{
    for (; p->at < COLLECT_PG_QUERY_COUNT + 2; p->at++) {
        if (p->at < 2)
            return p->at ? SETTINGS_SQL : VERSION_SQL;
        const collect_pg_query *q = &COLLECT_PG_QUERIES[p->at - 2];
        if (p->version >= q->from && (!q->below || p->version < q->below))
            return q->sql;
    }
    return NULL;
}

static void ask_next(page *p)
{
    const char *sql = p->failed ? NULL : next_sql(p);
    sx_error ignored;
    p->asked_ns = sx_clock_mono_ns(sx_clock_system());
    if (sql && sx_pg_query(p->pg, &(sx_pg_statement){.sql = sx_str_z(sql), .unprepared = true},
                           on_rows, p, NULL, &ignored) == SX_OK)
        return;
    sx_loop_stop(p->run.loop);
}

/* The conninfo with the file's password in it: a URI's as a parameter, else as a word. */
static sx_status make_conninfo(const collect_target *t, sx_buf *out, sx_error *err)
{
    sx_buf secret;
    sx_buf_init(&secret, 4096);
    sx_status st = prom_secret_read(&t->password, &secret, err);
    bool uri = sx_str_find(t->address, SX_STR("://")) < t->address.len;
    sx_buf_str(out, t->address);
    if (st == SX_OK && secret.len && uri) {
        bool more = sx_str_find_byte(t->address, '?') < t->address.len;
        sx_buf_str(out, more ? SX_STR("&password=") : SX_STR("?password="));
        sx_url_encode(sx_buf_view(&secret), out);
    } else if (st == SX_OK && secret.len) {
        sx_buf_str(out, SX_STR(" password='"));
        for (size_t i = 0; i < secret.len; i++) {
            if (secret.data[i] == '\'' || secret.data[i] == '\\')
                sx_buf_byte(out, '\\');
            sx_buf_byte(out, secret.data[i]);
        }
        sx_buf_byte(out, '\'');
    }
    sx_buf_byte(out, '\0');
    sx_buf_done(&secret);
    return st == SX_OK ? sx_buf_status(out, "a conninfo", err) : st;
}

static sx_status ask(page *p, const char *conninfo, sx_error *err)
{
    const sx_pg_options options = {.conninfo = conninfo,
                                   .connections_min = 1,
                                   .connections_max = 1,
                                   .connect_ms_max = p->run.ms_max,
                                   .query_ms_max = p->run.ms_max,
                                   .result_bytes_max = RESULT_BYTES_MAX};
    sx_status st = sx_pg_new(p->run.loop, NULL, &options, &p->pg, err);
    if (st != SX_OK)
        return st;
    const sx_pg_statement first = {.sql = sx_str_z(VERSION_SQL), .unprepared = true};
    p->asked_ns = sx_clock_mono_ns(sx_clock_system());
    st = sx_pg_query(p->pg, &first, on_rows, p, NULL, err);
    if (st == SX_OK)
        collect_run_wait(&p->run);
    p->failed = true; /* what is called from here on begins nothing new */
    sx_pg_free(p->pg);
    return st;
}

static void put_state(page *p)
{
    static const char *const NAMES[] = {"pg_scrape_collector_duration_seconds",
                                        "pg_scrape_collector_success"};
    for (size_t k = 0; k < SX_COUNT_OF(NAMES); k++) {
        collect_family(p->c, NAMES[k], "gauge",
                       k ? "Whether a question was answered." : "How long its answer took.");
        for (size_t i = 0; i < p->outcome_count; i++)
            collect_sample(p->c, NAMES[k],
                           &(collect_label){"collector", sx_str_z(p->outcomes[i].collector)}, 1,
                           k ? p->outcomes[i].good : p->outcomes[i].seconds);
    }
    collect_one(p->c, "pg_up", "gauge", "Whether the server has answered.", p->up);
    collect_one(p->c, "pg_exporter_last_scrape_error", "gauge",
                "Whether it has not, or not in time.", !p->up || p->run.late);
    collect_one(p->c, "pg_exporter_last_scrape_duration_seconds", "gauge",
                "How long this page took.", collect_run_seconds(&p->run));
}

sx_status collect_postgres(collect_site *s, sx_str target, int64_t ms_max, sx_buf *out,
                           sx_error *err)
{
    const collect_target *t;
    sx_buf conninfo;
    sx_error ignored = {0};
    collector c = {.out = out};
    collect_settings *settings = collect_settings_get(s);
    sx_status st = collect_target_find(settings->postgres, settings->postgres_count,
                                       "PostgreSQL server", target, &t, err);
    page *p = st == SX_OK ? sx_calloc(1, sizeof *p) : NULL;
    if (st == SX_OK && !p)
        st = sx_fail_memory(err, "a PostgreSQL server's metrics");
    if (st == SX_OK)
        st = collect_run_begin(&p->run, s, ms_max, err);
    if (st != SX_OK) {
        sx_free(p);
        collect_settings_unref(settings);
        return st;
    }
    p->c = &c;
    sx_buf_init(&conninfo, 8192);
    if (make_conninfo(t, &conninfo, &ignored) == SX_OK)
        (void)ask(p, conninfo.data, &ignored);
    put_state(p);
    collect_run_done(&p->run);
    sx_buf_done(&conninfo);
    sx_free(p);
    collect_settings_unref(settings);
    return sx_buf_status(out, "a PostgreSQL server's metrics", err);
}
