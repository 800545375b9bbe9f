/* tsdb.c - `sextant tsdb`: data directories listed, checked, written out, filled and thinned.
 *
 * What only reads opens the directory without its lock, so that a server may be running on it; what
 * writes takes the lock and says who has it. Formats are promtool's. */
#include "observe/tsdb/db.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/file.h>
#include <sextant/number.h>

#include "cmd/command.h"
#include "observe/promql/parse.h"
#include "observe/scrape/exposition.h"

#define STALE_BITS  0x7ff0000000000002ull
#define CENTURY_MS  (100ll * 365 * 24 * 3600 * 1000)
#define DEFAULT_DIR "data/"

enum { BATCH = 5000, BAR_CELLS = 30, PATH_LABELS_MAX = CMD_MARKS_MAX };

static const char *directory(const cmd_args *args)
{
    return args->rest_count ? args->rest[0] : DEFAULT_DIR;
}

static sx_status open_to_read(const char *dir, tsdb **db, sx_error *err)
{
    sx_file_info info;
    sx_status st = sx_file_stat(dir, &info, err);
    return st == SX_OK ? tsdb_open(dir, &(tsdb_options){.read_only = true}, db, err) : st;
}

/* --- list */

/* As promtool -r prints a time and a size: 2023-11-14 22:13:20 +0000 UTC; 1MiB203KiB5B. */
static void put_time(char out[32], int64_t ms)
{
    time_t at = (time_t)(ms / 1000);
    struct tm tm = {0};
    gmtime_r(&at, &tm);
    if (!strftime(out, 32, "%Y-%m-%d %H:%M:%S +0000 UTC", &tm))
        out[0] = '\0';
}

static void put_size(char out[64], uint64_t bytes)
{
    static const char *const UNITS[] = {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"};
    size_t used = 0;
    snprintf(out, 64, "0B");
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        uint64_t part = bytes >> (10 * (SX_COUNT_OF(UNITS) - 1 - i)) & 1023;
        if (part)
            used += (size_t)snprintf(out + used, 64 - used, "%llu%s", (unsigned long long)part,
                                     UNITS[i]);
    }
}

int cmd_tsdb_list(const cmd_args *args)
{
    tsdb *db = NULL;
    tsdb_block_info *blocks = NULL;
    size_t count = 0;
    sx_arena arena;
    sx_error err;
    bool readable = cmd_switch(args, "human-readable");
    int width = readable ? 29 : 13;
    sx_arena_init(&arena, 0, 0);
    sx_status st = open_to_read(directory(args), &db, &err);
    if (st == SX_OK)
        st = tsdb_blocks(db, &arena, &blocks, &count, &err);
    if (st == SX_OK)
        printf("%-26s  %-*s  %-*s  %-11s  %-11s  %-10s  %-10s  SIZE\n", "BLOCK ULID", width,
               "MIN TIME", width, "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS",
               "NUM SERIES");
    for (size_t i = 0; st == SX_OK && i < count; i++) {
        const tsdb_block_info *b = &blocks[i];
        char duration[CMD_DURATION_BYTES];
        cmd_go_duration(b->max_t - b->min_t, duration);
        if (readable) {
            char from[32], to[32], size[64];
            put_time(from, b->min_t);
            put_time(to, b->max_t);
            put_size(size, b->bytes);
            printf("%-26s  %-29s  %-29s  %-11s  %-11llu  %-10llu  %-10llu  %s\n", b->ulid, from, to,
                   duration, (unsigned long long)b->samples, (unsigned long long)b->chunks,
                   (unsigned long long)b->series, size);
            continue;
        }
        printf("%-26s  %-13lld  %-13lld  %-11s  %-11llu  %-10llu  %-10llu  %llu\n", b->ulid,
               (long long)b->min_t, (long long)b->max_t, duration, (unsigned long long)b->samples,
               (unsigned long long)b->chunks, (unsigned long long)b->series,
               (unsigned long long)b->bytes);
    }
    if (db)
        tsdb_close(db);
    sx_arena_done(&arena);
    return st == SX_OK ? 0 : cmd_failed(&err);
}

/* --- dump, export, verify: every sample of the series that a selector chooses. */

typedef struct walk {
    const char *dir;
    int64_t min_t, max_t;
    promql_parsed selector;
    sx_arena arena; /* of the selector and the selection */
    uint64_t series, samples, stale;
    /* One series with its samples; `out` is written to stdout between series. */
    void (*each)(struct walk *w, const tsdb_series *s, const tsdb_columns *c);
    sx_buf out;
} walk;

static sx_status read_ms(const cmd_args *args, const char *flag, int64_t *ms, sx_error *err)
{
    const char *typed = cmd_value(args, flag);
    if (!typed || sx_str_to_i64(sx_str_z(typed), ms))
        return SX_OK;
    return sx_fail(err, SX_EINVAL, "--%s %s is no time in milliseconds since 1970", flag, typed);
}

static sx_status read_walk(const cmd_args *args, walk *w, sx_error *err)
{
    const char *match = cmd_value(args, "match");
    w->dir = directory(args);
    w->min_t = INT64_MIN;
    w->max_t = INT64_MAX;
    sx_arena_init(&w->arena, 0, 0);
    sx_buf_init(&w->out, 0);
    sx_status st = read_ms(args, "min-time", &w->min_t, err);
    if (st == SX_OK)
        st = read_ms(args, "max-time", &w->max_t, err);
    if (st == SX_OK)
        st = promql_parse_selector(sx_str_z(match), &w->arena, &w->selector, err);
    return st;
}

static void walk_done(walk *w)
{
    promql_parsed_done(&w->selector);
    sx_buf_done(&w->out);
    sx_arena_done(&w->arena);
}

static sx_status walk_series(walk *w, tsdb_querier *q, const tsdb_series *s, sx_error *err)
{
    tsdb_columns columns;
    sx_arena scratch;
    sx_arena_init(&scratch, 0, 0);
    tsdb_columns_init(&columns, &scratch);
    sx_status st = q->ops->read(q, s, w->min_t, w->max_t, &columns, err);
    if (st == SX_OK) {
        w->series++;
        w->samples += columns.count;
        w->each(w, s, &columns);
        if (fwrite(w->out.data, 1, w->out.len, stdout) != w->out.len)
            st = sx_fail(err, SX_EIO, "the standard output cannot be written to");
        sx_buf_clear(&w->out);
    } else {
        sx_buf name;
        sx_buf_init(&name, 0);
        tsdb_labels_print_series(s->labels, &name, NULL);
        st = sx_error_prefix(err, st, "%.*s", SX_ARG(sx_buf_view(&name)));
        sx_buf_done(&name);
    }
    tsdb_columns_done(&columns);
    sx_arena_done(&scratch);
    return st;
}

static sx_status walk_run(walk *w, sx_error *err)
{
    tsdb *db = NULL;
    tsdb_querier *q = NULL;
    tsdb_selection found = {0};
    tsdb_hints hints = {.min_t = w->min_t, .max_t = w->max_t, .sorted = true};
    sx_status st = open_to_read(w->dir, &db, err);
    if (st == SX_OK) {
        tsdb_queryable *store = tsdb_queryable_of(db);
        st = store->querier(store, w->min_t, w->max_t, &q, err);
    }
    if (st == SX_OK)
        st = q->ops->select(q, &hints, w->selector.expr->selector.matchers,
                            w->selector.expr->selector.matcher_count, &w->arena, &found, NULL, err);
    for (size_t i = 0; st == SX_OK && i < found.count; i++)
        st = walk_series(w, q, &found.items[i], err);
    if (q)
        q->ops->free(q);
    if (db)
        tsdb_close(db);
    return st;
}

/* As Go's %g prints a float: with an exponent of two digits below 1e-4 and from 1e21 on. */
static void put_float(double v, sx_buf *out)
{
    char text[SX_DOUBLE_BYTES];
    double size = fabs(v);
    if (isinf(v)) {
        sx_buf_str(out, v > 0 ? SX_STR("+Inf") : SX_STR("-Inf"));
        return;
    }
    bool small = size > 0 && size < 1e-4;
    sx_buf_bytes(out, text, sx_double_format(v, small ? SX_DOUBLE_PYTHON : SX_DOUBLE_JS, text));
}

static void put_dump(walk *w, const tsdb_series *s, const tsdb_columns *c)
{
    for (size_t i = 0; i < c->count; i++) {
        tsdb_labels_print(s->labels, &w->out, NULL);
        sx_buf_byte(&w->out, ' ');
        if (c->h && c->h[i])
            (void)tsdb_histogram_print(c->h[i], &w->out, NULL);
        else
            put_float(c->v[i], &w->out);
        sx_buf_printf(&w->out, " %lld\n", (long long)c->t[i]);
    }
}

/* Histograms and stale markers cannot be said in OpenMetrics; times are seconds there. */
static void put_open_metrics(walk *w, const tsdb_series *s, const tsdb_columns *c)
{
    for (size_t i = 0; i < c->count; i++) {
        uint64_t bits;
        memcpy(&bits, &c->v[i], sizeof bits);
        if ((c->h && c->h[i]) || bits == STALE_BITS)
            continue;
        sx_str name = tsdb_labels_get(s->labels, TSDB_METRIC_NAME);
        bool first = true, plain = tsdb_metric_name_is_legacy(name);
        if (plain)
            sx_buf_str(&w->out, name);
        for (uint32_t k = 0; k < s->labels.count; k++) {
            const tsdb_label *l = &s->labels.items[k];
            if (plain && sx_str_eq(l->name, TSDB_METRIC_NAME))
                continue;
            sx_buf_byte(&w->out, first ? '{' : ',');
            if (tsdb_label_name_is_legacy(l->name))
                sx_buf_str(&w->out, l->name);
            else
                tsdb_quote(l->name, &w->out);
            sx_buf_byte(&w->out, '=');
            tsdb_quote(l->value, &w->out);
            first = false;
        }
        sx_buf_str(&w->out, first ? SX_STR(" ") : SX_STR("} "));
        put_float(c->v[i], &w->out);
        sx_buf_printf(&w->out, " %s%lld.%03d\n", c->t[i] < 0 ? "-" : "",
                      (long long)(llabs(c->t[i]) / 1000), (int)(llabs(c->t[i]) % 1000));
    }
}

static void put_nothing(walk *w, const tsdb_series *s, const tsdb_columns *c)
{
    (void)w, (void)s, (void)c; /* reading has checked every chunk's sum */
}

static int run_walk(const cmd_args *args, walk *w)
{
    sx_error err;
    sx_status st = read_walk(args, w, &err);
    if (st == SX_OK)
        st = walk_run(w, &err);
    walk_done(w);
    return st == SX_OK ? 0 : cmd_failed(&err);
}

int cmd_tsdb_dump(const cmd_args *args)
{
    return run_walk(args, &(walk){.each = put_dump});
}

int cmd_tsdb_export(const cmd_args *args)
{
    int status = run_walk(args, &(walk){.each = put_open_metrics});
    if (status == 0)
        puts("# EOF");
    return status;
}

int cmd_tsdb_verify(const cmd_args *args)
{
    walk w = {.each = put_nothing};
    int status = run_walk(args, &w);
    if (status == 0)
        printf("%s: %llu samples of %llu series can be read\n", w.dir,
               (unsigned long long)w.samples, (unsigned long long)w.series);
    return status;
}

/* --- snapshot, delete */

int cmd_tsdb_snapshot(const cmd_args *args)
{
    tsdb *db = NULL;
    sx_buf name;
    sx_error err;
    sx_buf_init(&name, 0);
    sx_status st =
        tsdb_open(directory(args), &(tsdb_options){.retention_ms = CENTURY_MS}, &db, &err);
    if (st == SX_OK)
        st = tsdb_snapshot(db, cmd_switch(args, "skip-head"), &name, &err);
    if (st == SX_OK)
        printf("%s/snapshots/%.*s\n", directory(args), SX_ARG(sx_buf_view(&name)));
    if (db)
        tsdb_close(db);
    sx_buf_done(&name);
    return st == SX_OK ? 0 : cmd_failed(&err);
}

int cmd_tsdb_delete(const cmd_args *args)
{
    walk w = {0};
    tsdb *db = NULL;
    sx_error err;
    sx_status st = read_walk(args, &w, &err);
    if (st == SX_OK && !args->given[0]) /* --match, the first flag of the row */
        st = sx_fail(&err, SX_EINVAL, "say what to delete: --match 'up{job=\"old\"}'");
    if (st == SX_OK)
        st = tsdb_open(w.dir, &(tsdb_options){.retention_ms = CENTURY_MS}, &db, &err);
    if (st == SX_OK)
        st = tsdb_delete(db, w.min_t, w.max_t, w.selector.expr->selector.matchers,
                         w.selector.expr->selector.matcher_count, &err);
    if (st == SX_OK && cmd_switch(args, "clean"))
        st = tsdb_clean_tombstones(db, &err);
    if (db)
        tsdb_close(db);
    walk_done(&w);
    return st == SX_OK ? 0 : cmd_failed(&err);
}

/* --- backfill */

typedef struct backfill {
    const char *file;
    tsdb_label extra[PATH_LABELS_MAX]; /* --label */
    size_t extra_count;
    tsdb_appender *appender;
    tsdb_labels_builder builder;
    uint64_t taken, refused, pending;
    tsdb_refusal why; /* of the first that was refused */
} backfill;

static sx_status commit(backfill *b, sx_error *err)
{
    b->pending = 0;
    return b->appender->ops->commit(b->appender, err);
}

static sx_status take_sample(backfill *b, prom_exposition *x, const prom_entry *e, sx_arena *arena,
                             sx_error *err)
{
    tsdb_labels labels;
    tsdb_ref ref = 0;
    tsdb_refusal why = TSDB_TAKEN;
    if (!e->has_t)
        return sx_fail(err, SX_EFORMAT, "%s: expected timestamp for series %.*s, got none", b->file,
                       SX_ARG(sx_str_first(e->series, 200)));
    sx_status st = prom_exposition_labels(x, e, arena, &labels, err);
    if (st == SX_OK)
        st = tsdb_labels_builder_reset(&b->builder, labels, err);
    for (size_t i = 0; i < b->extra_count && st == SX_OK; i++)
        st = tsdb_labels_builder_set(&b->builder, b->extra[i].name, b->extra[i].value, err);
    if (st != SX_OK)
        return st;
    labels = tsdb_labels_builder_take(&b->builder);
    st = b->appender->ops->series(b->appender, labels, tsdb_labels_hash(labels), &ref, &why, err);
    if (st == SX_OK && why == TSDB_TAKEN)
        st = b->appender->ops->sample(b->appender, ref, e->t, e->value, &why, err);
    if (st != SX_OK)
        return st;
    b->why = why != TSDB_TAKEN && !b->refused ? why : b->why;
    *(why == TSDB_TAKEN ? &b->taken : &b->refused) += 1;
    return ++b->pending == BATCH ? commit(b, err) : SX_OK;
}

static void draw_progress(const backfill *b, double share)
{
    char bar[BAR_CELLS * 3 + 1];
    size_t at = 0;
    for (int i = 0; i < BAR_CELLS; i++)
        at += (size_t)snprintf(bar + at, sizeof bar - at, "%s", i < share * BAR_CELLS ? "█" : "░");
    fprintf(stderr, "\r%s %3.0f %%  %llu samples ", bar, share * 100, (unsigned long long)b->taken);
}

static sx_status read_file(backfill *b, sx_str text, sx_error *err)
{
    prom_exposition_options options = {.protocol = PROM_PROTOCOL_OPENMETRICS_1_0_0};
    prom_exposition *x = NULL;
    prom_entry e;
    sx_arena arena;
    bool draw = isatty(STDERR_FILENO);
    sx_arena_init(&arena, 0, 0);
    sx_status st = prom_exposition_new(&options, &x, err);
    if (st == SX_OK)
        prom_exposition_reset(x, &options, text);
    while (st == SX_OK && (st = prom_exposition_next(x, &e, err)) == SX_OK) {
        if (e.kind != PROM_ENTRY_SERIES)
            continue;
        sx_arena_reset(&arena);
        st = take_sample(b, x, &e, &arena, err);
        if (draw && b->taken % (20 * BATCH) == 1)
            draw_progress(b, (double)(e.series.data - text.data) / (double)text.len);
    }
    if (st == SX_END)
        st = commit(b, err);
    else if (st == SX_EFORMAT)
        sx_error_prefix(err, st, "%s", b->file);
    if (draw)
        fputs("\r\033[K", stderr);
    prom_exposition_free(x);
    sx_arena_done(&arena);
    return st;
}

static sx_status read_labels(const cmd_args *args, backfill *b, sx_error *err)
{
    for (int i = 0; i < args->mark_count; i++) {
        tsdb_label *l = &b->extra[b->extra_count++];
        if (!sx_str_cut(sx_str_z(args->marks[i].value), '=', &l->name, &l->value))
            return sx_fail(err, SX_EINVAL, "--label %s is not as name=value", args->marks[i].value);
    }
    return SX_OK;
}

int cmd_tsdb_backfill(const cmd_args *args)
{
    backfill b = {.file = args->rest[0]};
    const char *dir = args->rest_count > 1 ? args->rest[1] : DEFAULT_DIR;
    tsdb *db = NULL;
    sx_mapping file = {0};
    sx_error err;
    tsdb_labels_builder_init(&b.builder);
    sx_status st = read_labels(args, &b, &err);
    if (st == SX_OK)
        st = sx_mapping_open(&file, b.file, SX_MAP_SEQUENTIAL, &err);
    if (st == SX_OK)
        st = tsdb_open(dir, &(tsdb_options){.retention_ms = CENTURY_MS}, &db, &err);
    if (st == SX_OK) {
        tsdb_appendable *store = tsdb_appendable_of(db);
        st = store->appender(store, &b.appender, &err);
    }
    if (st == SX_OK)
        st = read_file(&b, sx_str_of(file.data, file.len), &err);
    if (b.appender)
        b.appender->ops->free(b.appender);
    if (st == SX_OK)
        st = tsdb_maintain(db, &err); /* old samples go into blocks */
    if (db)
        tsdb_close(db);
    sx_mapping_close(&file);
    tsdb_labels_builder_done(&b.builder);
    if (st != SX_OK)
        return cmd_failed(&err);
    printf("%llu samples taken\n", (unsigned long long)b.taken);
    if (b.refused)
        fprintf(stderr, "sextant: %llu samples refused; the first: %s\n",
                (unsigned long long)b.refused, tsdb_refusal_words(b.why));
    return b.refused ? 1 : 0;
}
