/* query_analyze.c - `sextant query analyze`: how many of their buckets histograms fill. The report is
 * promtool's. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/clock.h>
#include <sextant/json.h>

#include "cmd/command.h"
#include "cmd/fetch.h"
#include "observe/api/params.h"

/* Buckets that were not empty in the samples of one histogram, and all that there were. */
typedef struct fill {
    size_t least, most, all, samples;
    uint64_t sum;
} fill;

/* The same over many histograms. */
typedef struct spread {
    size_t least, most, count;
    double mean;
} spread;

typedef struct report {
    spread least, mean, most, all;
} report;

typedef struct analysis {
    const char *url;
    int64_t time_ms, duration_ms;
    sx_arena arena;
    report classic, native;
} analysis;

static void fill_add(fill *f, size_t filled)
{
    f->least = f->samples && f->least < filled ? f->least : filled;
    f->most = f->most > filled ? f->most : filled;
    f->sum += filled;
    f->samples++;
}

static double fill_mean(const fill *f)
{
    return (double)f->sum / (double)f->samples;
}

static void spread_add(spread *s, size_t n)
{
    s->least = s->count && s->least < n ? s->least : n;
    s->most = s->most > n ? s->most : n;
    s->count++;
    s->mean += ((double)n - s->mean) / (double)s->count;
}

static void tell(report *r, sx_str name, const char *kind, const fill *f)
{
    printf("- %.*s (%s): %zu/%.3f/%zu", SX_ARG(name), kind, f->least, fill_mean(f), f->most);
    if (f->most != f->all)
        printf("/%zu", f->all);
    putchar('\n');
    spread_add(&r->least, f->least);
    spread_add(&r->mean, (size_t)fill_mean(f));
    spread_add(&r->most, f->most);
    spread_add(&r->all, f->all);
}

static void print_spread(const char *name, const spread *s)
{
    printf("- %s: %zu/%.3f/%zu\n", name, s->least, s->mean, s->most);
}

static void print_report(const char *kind, const report *r)
{
    const spread *a = &r->most, *b = &r->all;
    if (r->least.count == 0)
        return;
    printf("\n%s histogram series (%zu in total):\n", kind, r->least.count);
    print_spread("min populated", &r->least);
    print_spread("avg populated", &r->mean);
    print_spread("max populated", &r->most);
    if (a->least != b->least || a->most != b->most || a->mean != b->mean)
        print_spread("total", &r->all);
}

/* ---- native ---- */

typedef struct bounds {
    sx_str boundaries, lower, upper;
} bounds;

static int by_bounds(const void *a, const void *b)
{
    const bounds *x = a, *y = b;
    int order = sx_str_cmp(x->lower, y->lower);
    order = order ? order : sx_str_cmp(x->upper, y->upper);
    return order ? order : sx_str_cmp(x->boundaries, y->boundaries);
}

/* The buckets of {"buckets":[[1,"0.5","1","2"],...]}, appended. */
static bool read_buckets(analysis *a, sx_str json, bounds **all, size_t *count, size_t *cap)
{
    sx_json r;
    sx_str key, ignored;
    sx_json_init(&r, json, &(sx_json_options){.arena = &a->arena});
    sx_json_enter_object(&r);
    while (sx_json_next_key(&r, &key)) {
        if (!sx_str_eq(key, SX_STR("buckets"))) {
            sx_json_skip(&r);
            continue;
        }
        for (sx_json_enter_array(&r); sx_json_next_item(&r);) {
            bounds b = {0};
            sx_json_enter_array(&r);
            if (sx_json_next_item(&r))
                sx_json_raw(&r, &b.boundaries);
            if (sx_json_next_item(&r))
                sx_json_read_str(&r, &b.lower);
            if (sx_json_next_item(&r))
                sx_json_read_str(&r, &b.upper);
            while (sx_json_next_item(&r))
                sx_json_raw(&r, &ignored);
            if (!sx_arena_grow(&a->arena, all, cap, *count + 1, sizeof **all))
                return false;
            (*all)[(*count)++] = b;
        }
    }
    return true;
}

static sx_status analyze_native(analysis *a, const answer_series *s, sx_error *err)
{
    fill f = {0};
    bounds *all = NULL;
    size_t count = 0, cap = 0;
    sx_buf name;
    if (s->count < 2)
        return SX_OK;
    for (size_t i = 0; i < s->count; i++) {
        size_t before = count;
        if (!read_buckets(a, s->samples[i].histogram, &all, &count, &cap))
            return sx_fail_memory(err, "buckets");
        fill_add(&f, count - before);
    }
    if (count)
        qsort(all, count, sizeof *all, by_bounds);
    for (size_t i = 0; i < count; i++)
        f.all += i == 0 || by_bounds(&all[i], &all[i - 1]) != 0;
    sx_buf_init(&name, 0);
    sx_status st = tsdb_labels_print_series(s->labels, &name, err);
    if (st == SX_OK)
        tell(&a->native, sx_buf_view(&name), "native", &f);
    sx_buf_done(&name);
    return st;
}

/* ---- classic ---- */

/* A series of a bucket: which histogram it is of, and its upper bound. */
typedef struct bucket {
    sx_str key;
    double le;
    const answer_series *series;
} bucket;

static int by_key_and_bound(const void *a, const void *b)
{
    const bucket *x = a, *y = b;
    int order = sx_str_cmp(x->key, y->key);
    return order ? order : (x->le > y->le) - (x->le < y->le);
}

/* `name{labels without le}`; false: the series is no bucket. */
static bool read_bucket(analysis *a, const answer_series *s, bucket *out)
{
    tsdb_label rest[64];
    uint32_t count = 0;
    sx_str name = {0}, le = {0};
    for (uint32_t i = 0; i < s->labels.count; i++) {
        const tsdb_label *l = &s->labels.items[i];
        if (sx_str_eq(l->name, SX_STR("le")))
            le = l->value;
        else if (count < SX_COUNT_OF(rest))
            rest[count++] = *l;
        if (sx_str_eq(l->name, SX_STR("__name__")))
            name = l->value;
    }
    if (!le.len || !sx_str_ends(name, SX_STR("_bucket")) || !api_float_read(le, &out->le))
        return false;
    sx_buf text;
    sx_error ignored;
    sx_buf_init(&text, 0);
    sx_status st =
        tsdb_labels_print_series((tsdb_labels){.items = rest, .count = count}, &text, &ignored);
    out->key = sx_arena_copy(&a->arena, sx_buf_view(&text));
    out->series = s;
    sx_buf_done(&text);
    return st == SX_OK && out->key.data;
}

/* Buckets of one histogram, by their bounds; samples are taken to be at the same times. */
static void analyze_classic(analysis *a, const bucket *b, size_t count)
{
    size_t samples = b[0].series->count;
    fill f = {.all = count};
    if (samples < 2)
        return;
    for (size_t i = 0; i < samples; i++) {
        size_t filled = 0;
        double below = 0;
        for (size_t k = 0; k < count && i < b[k].series->count; k++) {
            double v = b[k].series->samples[i].v;
            filled += (int64_t)(v - below) != 0;
            below = v;
        }
        fill_add(&f, filled);
    }
    tell(&a->classic, b[0].key, "classic", &f);
}

/* ---- both ---- */

static sx_status analyze(analysis *a, const char *selector, sx_error *err)
{
    answer found = {0};
    sx_str expression =
        sx_arena_printf(&a->arena, "%s[%lldms]", selector, (long long)a->duration_ms);
    sx_status st = cmd_ask_at(a->url, expression, a->time_ms, &a->arena, &found, err);
    if (st == SX_OK && found.error.len)
        return sx_fail(err, SX_EFORMAT, "%.*s", SX_ARG(found.error));
    bucket *buckets =
        st == SX_OK ? sx_arena_alloc(&a->arena, (found.series_count + 1) * sizeof *buckets) : NULL;
    size_t count = 0;
    if (st == SX_OK && !buckets)
        return sx_fail_memory(err, "buckets");
    for (size_t i = 0; i < found.series_count && st == SX_OK; i++) {
        const answer_series *s = &found.series[i];
        if (s->count && s->samples[0].histogram.len)
            st = analyze_native(a, s, err);
        else if (s->count && read_bucket(a, s, &buckets[count]))
            count++;
    }
    if (count)
        qsort(buckets, count, sizeof *buckets, by_key_and_bound);
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && sx_str_eq(buckets[to].key, buckets[from].key); to++) {
        }
        analyze_classic(a, &buckets[from], to - from);
    }
    return st;
}

int cmd_query_analyze(const cmd_args *args)
{
    analysis a = {.url = cmd_value(args, "url"), .time_ms = sx_clock_ms(sx_clock_system())};
    const char *time = cmd_value(args, "time");
    sx_error err;
    api_time t;
    sx_arena_init(&a.arena, 0, 0);
    sx_status st =
        promql_parse_duration(sx_str_z(cmd_value(args, "duration")), false, &a.duration_ms, &err);
    if (st == SX_OK && time && (st = api_time_read(sx_str_z(time), &t, &err)) == SX_OK)
        a.time_ms = api_time_ms(t);
    if (st == SX_OK)
        puts("Bucket stats for each histogram series over time\n"
             "------------------------------------------------\n"
             "The least, mean and most buckets that were not empty, and how many there are where\n"
             "that is more than the most.\n");
    for (int i = 0; i < args->rest_count && st == SX_OK; i++)
        st = analyze(&a, args->rest[i], &err);
    if (st == SX_OK) {
        puts("\nAggregated bucket stats\n-----------------------\n"
             "Each line has the least, mean and most of the series above.");
        print_report("Native", &a.native);
        print_report("Classic", &a.classic);
    }
    sx_arena_done(&a.arena);
    return st == SX_OK ? 0 : cmd_failed(&err);
}
