/* check_metrics.c - metrics in text form: are they well-formed, and named as they should be?
 *
 * The first pass takes families with their types, the second gives each sample to its family and looks
 * at names. The lints and their words are promtool's `check metrics` (client_golang's promlint); a
 * text that ends in "# EOF" is read as OpenMetrics, where counters' families have no _total. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/map.h>

#include "observe/check/check_internal.h"
#include "observe/scrape/exposition.h"

typedef enum family_type { UNTYPED, COUNTER, GAUGE, HISTOGRAM, SUMMARY, TYPES } family_type;
static const char *const TYPE_NAMES[TYPES] = {"untyped", "counter", "gauge", "histogram",
                                              "summary"};

typedef struct family {
    sx_str name;
    family_type type;
    bool helped;
    uint64_t metrics; /* label sets, those of a histogram's series without le */
    uint64_t first;   /* hash of the first of them */
    uint64_t parts;   /* buckets or quantiles that it has */
    sx_map64 seen;    /* hashes of label sets */
} family;

typedef struct problem {
    sx_str metric, text;
} problem;

typedef struct linter {
    sx_arena arena;
    sx_map by_name; /* of family */
    family **families;
    size_t family_count, family_cap;
    problem *problems;
    size_t problem_count, problem_cap;
    bool open_metrics, no_memory;
} linter;

static family *family_of(linter *l, sx_str name)
{
    family *f = sx_map_get(&l->by_name, name);
    if (f)
        return f;
    bool added;
    f = sx_arena_calloc(&l->arena, 1, sizeof *f);
    sx_str copy = sx_arena_copy(&l->arena, name);
    sx_map_entry *e = f && copy.data ? sx_map_put(&l->by_name, copy, &added) : NULL;
    if (!e || !sx_arena_grow(&l->arena, &l->families, &l->family_cap, l->family_count + 1,
                             sizeof(family *))) {
        l->no_memory = true;
        return NULL;
    }
    f->name = copy;
    sx_map64_init(&f->seen, &l->arena);
    e->ptr = f;
    l->families[l->family_count++] = f;
    return f;
}

static void tell(linter *l, const family *f, const char *fmt, ...) SX_PRINTF(3, 4);
static void tell(linter *l, const family *f, const char *fmt, ...)
{
    char text[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sx_str copy = sx_arena_copy(&l->arena, sx_str_z(text));
    if (!copy.data || !sx_arena_grow(&l->arena, &l->problems, &l->problem_cap, l->problem_count + 1,
                                     sizeof(problem)))
        l->no_memory = true;
    else
        l->problems[l->problem_count++] = (problem){f->name, copy};
}

/* --- Names. */

static const char *const UNITS[][2] = {
    {"amperes", "amperes"},    {"bytes", "bytes"},     {"celsius", "celsius"},
    {"grams", "grams"},        {"joules", "joules"},   {"kelvin", "kelvin"},
    {"meters", "meters"},      {"metres", "metres"},   {"seconds", "seconds"},
    {"volts", "volts"},        {"minutes", "seconds"}, {"hours", "seconds"},
    {"days", "seconds"},       {"weeks", "seconds"},   {"kelvins", "kelvin"},
    {"fahrenheit", "celsius"}, {"rankine", "celsius"}, {"inches", "meters"},
    {"yards", "meters"},       {"miles", "meters"},    {"bits", "bytes"},
    {"calories", "joules"},    {"pounds", "grams"},    {"ounces", "grams"},
};
static const char *const PREFIXES[] = {"pico", "nano",  "micro", "milli", "centi", "deci",
                                       "deca", "hecto", "kilo",  "kibi",  "mega",  "mebi",
                                       "giga", "gibi",  "tera",  "tebi",  "peta",  "pebi"};
static const char *const ABBREVIATIONS[] = {"s",  "ms", "us", "ns", "sec", "b", "kb",
                                            "mb", "gb", "tb", "pb", "m",   "h", "d"};

static const char *base_unit(sx_str word)
{
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        if (sx_str_eq(word, sx_str_z(UNITS[i][0])))
            return UNITS[i][1];
    }
    return NULL;
}

static void lint_units(linter *l, const family *f)
{
    for (sx_str word, rest = f->name; rest.len;) {
        sx_str_cut(rest, '_', &word, &rest);
        const char *base = base_unit(word);
        for (size_t i = 0; !base && i < SX_COUNT_OF(PREFIXES); i++) {
            if (sx_str_starts(word, sx_str_z(PREFIXES[i])))
                base = base_unit(sx_str_from(word, strlen(PREFIXES[i])));
        }
        if (!base)
            continue;
        if (!sx_str_eq(word, sx_str_z(base)))
            tell(l, f, "use base unit \"%s\" instead of \"%.*s\"", base, SX_ARG(word));
        return; /* the first unit counts */
    }
}

/* A word of the name behind its first underscore, whatever its case. */
static bool has_word(sx_str name, const char *wanted)
{
    sx_str word, rest;
    sx_str_cut(name, '_', &word, &rest);
    while (rest.len) {
        sx_str_cut(rest, '_', &word, &rest);
        if (sx_str_ieq(word, sx_str_z(wanted)))
            return true;
    }
    return false;
}

static bool is_camel(sx_str name)
{
    for (size_t i = 1; i < name.len; i++) {
        char a = name.data[i - 1], b = name.data[i];
        if (a >= 'a' && a <= 'z' && b >= 'A' && b <= 'Z')
            return true;
    }
    return false;
}

static void lint_suffixes(linter *l, const family *f)
{
    static const struct {
        const char *suffix;
        bool summary; /* may have it, too */
    } RESERVED[] = {{"_bucket", false}, {"_count", true}, {"_sum", true}};
    bool total = sx_str_ends(f->name, SX_STR("_total"));
    if (f->type == COUNTER && !total && !l->open_metrics)
        tell(l, f, "counter metrics should have \"_total\" suffix");
    if (f->type != COUNTER && f->type != UNTYPED && total)
        tell(l, f, "non-counter metrics should not have \"_total\" suffix");
    for (size_t i = 0; i < SX_COUNT_OF(RESERVED) && f->type != UNTYPED; i++) {
        if (f->type != HISTOGRAM && !(RESERVED[i].summary && f->type == SUMMARY) &&
            sx_str_ends(f->name, sx_str_z(RESERVED[i].suffix)))
            tell(l, f, "non-histogram%s metrics should not have \"%s\" suffix",
                 RESERVED[i].summary ? " and non-summary" : "", RESERVED[i].suffix);
    }
}

static void lint_family(linter *l, const family *f)
{
    if (!f->helped)
        tell(l, f, "no help text");
    lint_units(l, f);
    lint_suffixes(l, f);
    if (f->type != UNTYPED && has_word(f->name, TYPE_NAMES[f->type]))
        tell(l, f, "metric name should not include type '%s'", TYPE_NAMES[f->type]);
    if (sx_str_find_byte(f->name, ':') < f->name.len)
        tell(l, f, "metric names should not contain ':'");
    if (is_camel(f->name))
        tell(l, f, "metric names should be written in 'snake_case' not 'camelCase'");
    for (size_t i = 0; i < SX_COUNT_OF(ABBREVIATIONS); i++) {
        if (has_word(f->name, ABBREVIATIONS[i]))
            tell(l, f, "metric names should not contain abbreviated units");
    }
}

static void lint_labels(linter *l, const family *f, tsdb_labels labels)
{
    for (uint32_t i = 0; i < labels.count; i++) {
        sx_str name = labels.items[i].name;
        if (is_camel(name))
            tell(l, f, "label names should be written in 'snake_case' not 'camelCase'");
        if (f->type == UNTYPED)
            continue;
        if (f->type != HISTOGRAM && sx_str_eq(name, SX_STR("le")))
            tell(l, f, "non-histogram metrics should not have \"le\" label");
        if (f->type != SUMMARY && sx_str_eq(name, SX_STR("quantile")))
            tell(l, f, "non-summary metrics should not have \"quantile\" label");
    }
}

/* --- Samples. */

/* The family that a series belongs to: foo_bucket to the histogram foo. */
static family *family_of_series(linter *l, sx_str name)
{
    static const struct {
        const char *suffix;
        unsigned types; /* bits */
    } PARTS[] = {{"_bucket", 1 << HISTOGRAM},
                 {"_count", 1 << HISTOGRAM | 1 << SUMMARY},
                 {"_sum", 1 << HISTOGRAM | 1 << SUMMARY},
                 {"_created", 1 << HISTOGRAM | 1 << SUMMARY | 1 << COUNTER},
                 {"_total", 1 << COUNTER}};
    if (!sx_map_find(&l->by_name, name)) {
        for (size_t i = 0; i < SX_COUNT_OF(PARTS); i++) {
            if (!sx_str_ends(name, sx_str_z(PARTS[i].suffix)))
                continue;
            family *f =
                sx_map_get(&l->by_name, sx_str_first(name, name.len - strlen(PARTS[i].suffix)));
            if (f && (PARTS[i].types >> f->type & 1))
                return f;
        }
    }
    return family_of(l, name);
}

static void take_series(linter *l, tsdb_labels labels)
{
    sx_str name = tsdb_labels_get(labels, TSDB_METRIC_NAME);
    family *f = family_of_series(l, name);
    tsdb_label *own = sx_arena_alloc(&l->arena, (labels.count + 1) * sizeof *own);
    if (!f || !own) {
        l->no_memory = true;
        return;
    }
    sx_str part = f->type == HISTOGRAM ? SX_STR("le") : SX_STR("quantile");
    bool grouped = f->type == HISTOGRAM || f->type == SUMMARY, is_part = false, added;
    tsdb_labels set = {own, 0};
    for (uint32_t i = 0; i < labels.count; i++) {
        bool this_part = grouped && sx_str_eq(labels.items[i].name, part);
        is_part |= this_part;
        if (!this_part && !sx_str_eq(labels.items[i].name, TSDB_METRIC_NAME))
            own[set.count++] = labels.items[i];
    }
    uint64_t hash = tsdb_labels_hash(set);
    if (!sx_map64_put(&f->seen, hash, &added)) {
        l->no_memory = true;
        return;
    }
    if (f->metrics == 0)
        f->first = hash;
    f->parts += is_part && hash == f->first;
    if (!added && !grouped)
        tell(l, f, "metric not unique");
    f->metrics += added || !grouped;
    if (added || !grouped)
        lint_labels(l, f, set);
}

static void take_meta(linter *l, const prom_entry *e)
{
    family *f = family_of(l, e->metric);
    if (!f)
        return;
    if (e->kind == PROM_ENTRY_HELP)
        f->helped = true;
    for (int t = 0; e->kind == PROM_ENTRY_TYPE && t < TYPES; t++) {
        if (sx_str_eq(e->text, sx_str_z(TYPE_NAMES[t])))
            f->type = (family_type)t;
    }
}

/* One pass over the text: of its families if `meta`, else of its samples. */
static sx_status pass(linter *l, prom_exposition *x, const prom_exposition_options *options,
                      sx_str text, bool meta, sx_error *err)
{
    prom_entry e;
    sx_status st;
    sx_arena scratch;
    sx_arena_init(&scratch, 0, 0);
    prom_exposition_reset(x, options, text);
    while (!l->no_memory && (st = prom_exposition_next(x, &e, err)) == SX_OK) {
        tsdb_labels labels;
        if (e.kind != PROM_ENTRY_SERIES) {
            if (meta)
                take_meta(l, &e);
            continue;
        }
        if (meta)
            continue;
        sx_arena_reset(&scratch);
        st = prom_exposition_labels(x, &e, &scratch, &labels, err);
        if (st != SX_OK)
            break;
        take_series(l, labels);
    }
    sx_arena_done(&scratch);
    if (l->no_memory)
        return sx_fail_memory(err, "the check of metrics");
    return st == SX_END ? SX_OK : st;
}

static int by_metric_and_text(const void *a, const void *b)
{
    const problem *x = a, *y = b;
    int order = sx_str_cmp(x->metric, y->metric);
    return order ? order : sx_str_cmp(x->text, y->text);
}

/* --- What is told. */

static uint64_t cardinality(const family *f)
{
    bool grouped = f->type == HISTOGRAM || f->type == SUMMARY;
    return grouped ? f->metrics * (2 + f->parts) : f->metrics;
}

static int by_cardinality(const void *a, const void *b)
{
    const family *x = *(family *const *)a, *y = *(family *const *)b;
    uint64_t m = cardinality(x), n = cardinality(y);
    return m > n ? -1 : m < n ? 1 : sx_str_cmp(x->name, y->name);
}

static void say_cardinality(checker *c, linter *l)
{
    uint64_t total = 0;
    size_t width = 6; /* "Metric" */
    for (size_t i = 0; i < l->family_count; i++) {
        total += cardinality(l->families[i]);
        width = l->families[i]->name.len > width ? l->families[i]->name.len : width;
    }
    if (l->family_count)
        qsort(l->families, l->family_count, sizeof(family *), by_cardinality);
    check_say(c, CHECK_TEXT, "%-*s    Cardinality    Percentage", (int)width, "Metric");
    for (size_t i = 0; i < l->family_count; i++) {
        const family *f = l->families[i];
        if (f->metrics)
            check_say(c, CHECK_TEXT, "%-*.*s    %-11llu    %.2f%%", (int)width, SX_ARG(f->name),
                      (unsigned long long)cardinality(f),
                      100 * (double)cardinality(f) / (double)total);
    }
    check_say(c, CHECK_TEXT, "%-*s    %-11llu    100%%", (int)width, "Total",
              (unsigned long long)total);
}

static void say_all(checker *c, linter *l)
{
    for (size_t i = 0; i < l->family_count; i++) {
        if (l->families[i]->metrics)
            lint_family(l, l->families[i]);
    }
    if (l->problem_count)
        qsort(l->problems, l->problem_count, sizeof(problem), by_metric_and_text);
    for (size_t i = 0; i < l->problem_count && c->options->lint_metrics; i++)
        check_say(c, CHECK_LINT, "%.*s %.*s", SX_ARG(l->problems[i].metric),
                  SX_ARG(l->problems[i].text));
    if (!c->options->lint_metrics || !l->problem_count)
        check_say(c, CHECK_GOOD, "%zu metrics found", l->family_count);
    if (c->options->extended)
        say_cardinality(c, l);
}

sx_status check_metrics(checker *c, sx_str text, sx_error *err)
{
    sx_str end = sx_str_trim_all(text);
    linter l = {.open_metrics = sx_str_ends(end, SX_STR("# EOF"))};
    prom_exposition_options options = {.protocol = l.open_metrics ? PROM_PROTOCOL_OPENMETRICS_1_0_0
                                                                  : PROM_PROTOCOL_TEXT_0_0_4};
    prom_exposition *x = NULL;
    sx_arena_init(&l.arena, 0, 0);
    sx_map_init(&l.by_name, &l.arena);
    sx_status st = prom_exposition_new(&options, &x, err);
    if (st == SX_OK)
        st = pass(&l, x, &options, text, true, err);
    if (st == SX_OK)
        st = pass(&l, x, &options, text, false, err);
    if (st == SX_OK)
        say_all(c, &l);
    else if (st != SX_ENOMEM)
        check_say(c, CHECK_FAULT, "%s: error while linting: %s", c->path, err->message);
    if (st == SX_OK && l.no_memory)
        st = sx_fail_memory(err, "the check of metrics");
    prom_exposition_free(x);
    sx_arena_done(&l.arena);
    return st == SX_ENOMEM ? st : SX_OK;
}
