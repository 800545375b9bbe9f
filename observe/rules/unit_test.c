/* unit_test.c - runs unit tests of rules: a store in memory, an engine and a rule manager for each. */
#include "observe/rules/unit_test.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/regex.h>

#include "observe/rules/rule_store.h"
#include "observe/rules/rules.h"
#include "observe/rules/unit_test_internal.h"

/* The faults of one file: each is printed with a newline, and another behind it. */
typedef struct faults {
    sx_buf text;
    size_t count;
} faults;

static void fault(faults *f, const char *fmt, ...) SX_PRINTF(2, 3);
static void fault(faults *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    sx_buf_vprintf(&f->text, fmt, args);
    va_end(args);
    sx_buf_str(&f->text, SX_STR("\n\n"));
    f->count++;
}

/* A series as it will be loaded. */
typedef struct input {
    tsdb_labels labels;
    promql_test_value *values;
    size_t count, next; /* the next value to be loaded */
} input;

/* One test under way. */
typedef struct unit_run {
    const unit_file *file;
    const unit_group *group;
    const rule_unit_test_options *options;
    sx_arena *arena;
    prom_config config; /* what the manager reads of one */
    rule_store *store;
    promql_engine *engine;
    rule_manager *manager;
    input *inputs;
    faults *faults;
} unit_run;

/* --- Input. */

/* The message with the line that the series has in what promtool makes of the file. */
static void fault_input(unit_run *u, uint32_t i, const char *message)
{
    sx_str text = sx_str_z(message), line, rest;
    if (sx_str_cut(text, ':', &line, &rest) && sx_str_eq(line, SX_STR("1")))
        fault(u->faults, "%u:%.*s", i + 2, SX_ARG(rest));
    else
        fault(u->faults, "%s", message);
}

static sx_status parse_inputs(unit_run *u, sx_error *err)
{
    u->inputs = sx_arena_calloc(u->arena, (size_t)u->group->series_count + 1, sizeof *u->inputs);
    if (!u->inputs)
        return sx_fail_memory(err, "input series");
    for (uint32_t i = 0; i < u->group->series_count; i++) {
        const unit_series *s = &u->group->series[i];
        input *in = &u->inputs[i];
        sx_str text = sx_arena_printf(u->arena, "%.*s %.*s", SX_ARG(s->series), SX_ARG(s->values));
        if (!text.data)
            return sx_fail_memory(err, "input series");
        sx_status st =
            promql_parse_series(text, u->arena, &in->labels, &in->values, &in->count, err);
        if (st == SX_ENOMEM)
            return st;
        if (st != SX_OK) {
            fault_input(u, i, err->message);
            return SX_EFORMAT;
        }
    }
    return SX_OK;
}

static sx_status load_one(unit_run *u, tsdb_appender *a, input *in, int64_t until, sx_error *err)
{
    int64_t interval = u->group->interval_ms;
    tsdb_ref ref = 0;
    for (; in->next < in->count; in->next++) {
        const promql_test_value *v = &in->values[in->next];
        int64_t t = u->group->start_ms + (int64_t)in->next * interval;
        tsdb_refusal why;
        if (t > until)
            break;
        if (v->omitted)
            continue;
        sx_status st =
            ref ? SX_OK
                : a->ops->series(a, in->labels, tsdb_labels_hash(in->labels), &ref, &why, err);
        if (st == SX_OK && v->is_histogram)
            st = a->ops->histogram(a, ref, t, v->histogram, &why, err);
        else if (st == SX_OK)
            st = a->ops->sample(a, ref, t, v->value, &why, err);
        if (st == SX_OK && why != TSDB_TAKEN)
            st = sx_fail(err, SX_EINVAL, "%s", tsdb_refusal_words(why));
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

/* Samples up to `until`: rules see no later ones, not even by a negative offset. */
static sx_status load_inputs(unit_run *u, int64_t until, sx_error *err)
{
    tsdb_appendable *store = rule_store_appendable(u->store);
    tsdb_appender *a;
    sx_status st = store->appender(store, &a, err);
    if (st != SX_OK)
        return st;
    for (uint32_t i = 0; st == SX_OK && i < u->group->series_count; i++)
        st = load_one(u, a, &u->inputs[i], until, err);
    if (st == SX_OK)
        st = a->ops->commit(a, err);
    else
        a->ops->rollback(a);
    a->ops->free(a);
    return st;
}

/* --- Alerts. */

static int compare_alerts(const void *a, const void *b)
{
    const unit_alert *x = a, *y = b;
    int by_labels = tsdb_labels_compare(x->labels, y->labels);
    return by_labels ? by_labels : tsdb_labels_compare(x->annotations, y->annotations);
}

/* The alerts of that name which are firing. */
static sx_status firing(unit_run *u, sx_str name, sx_arena *arena, unit_alert **out, size_t *count,
                        sx_error *err)
{
    rule_group_info *groups;
    size_t group_count, cap = 0;
    *out = NULL;
    *count = 0;
    sx_status st = rule_manager_read(u->manager, arena, &groups, &group_count, err);
    for (size_t g = 0; st == SX_OK && g < group_count; g++) {
        for (size_t i = 0; i < groups[g].rule_count; i++) {
            const rule_info *r = &groups[g].rules[i];
            for (size_t k = 0; r->alert && sx_str_eq(r->name, name) && k < r->alert_count; k++) {
                if (r->alerts[k].state != RULE_FIRING)
                    continue;
                if (!sx_arena_grow(arena, out, &cap, *count + 1, sizeof **out))
                    return sx_fail_memory(err, "alerts");
                (*out)[(*count)++] = (unit_alert){r->alerts[k].labels, r->alerts[k].annotations};
            }
        }
    }
    if (*count)
        qsort(*out, *count, sizeof **out, compare_alerts);
    return st;
}

/* What the test expects, with the label that every alert has. */
static sx_status expected(const unit_alert_case *c, sx_arena *arena, unit_alert **out,
                          sx_error *err)
{
    *out = sx_arena_calloc(arena, (size_t)c->alert_count + 1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "alerts");
    for (uint32_t i = 0; i < c->alert_count; i++) {
        tsdb_labels from = c->alerts[i].labels;
        tsdb_label *items = sx_arena_calloc(arena, (size_t)from.count + 1, sizeof *items);
        tsdb_label name = {SX_STR("alertname"), c->alertname};
        uint32_t n = 0;
        if (!items)
            return sx_fail_memory(err, "alerts");
        bool placed = false;
        for (uint32_t k = 0; k < from.count; k++) {
            int order = sx_str_cmp(from.items[k].name, name.name);
            if (order >= 0 && !placed) {
                items[n++] = name;
                placed = true;
            }
            if (order != 0)
                items[n++] = from.items[k];
        }
        if (!placed)
            items[n++] = name;
        (*out)[i] = (unit_alert){{items, n}, c->alerts[i].annotations};
    }
    if (c->alert_count)
        qsort(*out, c->alert_count, sizeof **out, compare_alerts);
    return SX_OK;
}

static sx_status check_alerts(unit_run *u, const unit_alert_case *c, sx_error *err)
{
    sx_arena arena;
    unit_alert *want, *got;
    size_t got_count;
    sx_arena_init(&arena, 0, 0);
    sx_status st = expected(c, &arena, &want, err);
    if (st == SX_OK)
        st = firing(u, c->alertname, &arena, &got, &got_count, err);
    bool same = st == SX_OK && got_count == c->alert_count;
    for (size_t i = 0; same && i < got_count; i++)
        same = compare_alerts(&want[i], &got[i]) == 0;
    if (st == SX_OK && !same) {
        char at[64];
        sx_buf text;
        sx_buf_init(&text, 0);
        promql_print_duration(c->at_ms, at);
        if (u->group->name.len)
            sx_buf_printf(&text, "    name: %.*s,\n", SX_ARG(u->group->name));
        sx_buf_printf(&text, "    alertname: %.*s, time: %s, \n        exp:", SX_ARG(c->alertname),
                      at);
        unit_print_alerts(want, c->alert_count, &text);
        sx_buf_str(&text, SX_STR(", \n        got:"));
        unit_print_alerts(got, got_count, &text);
        fault(u->faults, "%.*s", SX_ARG(sx_buf_view(&text)));
        sx_buf_done(&text);
    }
    sx_arena_done(&arena);
    return st;
}

/* Tests of a moment between two evaluations look at what the first of them left. */
static sx_status check_alerts_at(unit_run *u, int64_t since_start, sx_error *err)
{
    int64_t last = -1;
    for (;;) { /* each moment in turn, its tests in the order of the file */
        int64_t next = INT64_MAX;
        for (uint32_t i = 0; i < u->group->alert_count; i++) {
            int64_t at = u->group->alerts[i].at_ms;
            if (at >= since_start && at < since_start + u->file->interval_ms && at > last &&
                at < next)
                next = at;
        }
        if (next == INT64_MAX)
            return SX_OK;
        for (uint32_t i = 0; i < u->group->alert_count; i++) {
            if (u->group->alerts[i].at_ms != next)
                continue;
            sx_status st = check_alerts(u, &u->group->alerts[i], err);
            if (st != SX_OK)
                return st;
        }
        last = next;
    }
}

/* --- Expressions. */

typedef struct printed_sample {
    tsdb_labels labels;
    double value;
    sx_str histogram; /* as text; empty: none */
} printed_sample;

static int compare_samples(const void *a, const void *b)
{
    return tsdb_labels_compare(((const printed_sample *)a)->labels,
                               ((const printed_sample *)b)->labels);
}

static sx_status print_histogram(const tsdb_histogram *h, sx_arena *arena, sx_str *out,
                                 sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    unit_print_histogram(h, &text);
    *out = sx_arena_copy(arena, sx_buf_view(&text));
    bool failed = text.failed || !out->data;
    sx_buf_done(&text);
    return failed ? sx_fail_memory(err, "a histogram") : SX_OK;
}

static sx_status got_samples(const promql_result *r, sx_arena *arena, printed_sample **out,
                             size_t *count, sx_error *err)
{
    *count = r->type == PROMQL_SCALAR ? 1 : r->series_count;
    *out = sx_arena_calloc(arena, *count + 1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "samples");
    if (r->type == PROMQL_SCALAR) {
        (*out)[0].value = r->scalar;
        return SX_OK;
    }
    for (size_t i = 0; i < *count; i++) {
        const promql_series *s = &r->series[i];
        printed_sample *to = &(*out)[i];
        to->labels = s->labels;
        sx_status st = SX_OK;
        if (s->h && s->h[0])
            st = print_histogram(s->h[0], arena, &to->histogram, err);
        else
            to->value = s->v[0];
        if (st != SX_OK)
            return st;
    }
    if (*count)
        qsort(*out, *count, sizeof **out, compare_samples);
    return SX_OK;
}

static sx_status parse_expected(const unit_sample *s, sx_arena *arena, printed_sample *out,
                                sx_error *err)
{
    promql_test_value *values;
    tsdb_labels none;
    size_t count;
    sx_status st = promql_parse_series(s->labels, arena, &out->labels, &values, &count, err);
    if (st != SX_OK)
        return st;
    if (count)
        return sx_fail(err, SX_EFORMAT, "there are values behind the labels");
    out->value = s->value;
    if (!s->histogram.len)
        return SX_OK;
    sx_str text = sx_arena_printf(arena, "{} %.*s", SX_ARG(s->histogram));
    if (!text.data)
        return sx_fail_memory(err, "a histogram");
    st = promql_parse_series(text, arena, &none, &values, &count, err);
    if (st != SX_OK)
        return st;
    if (count != 1)
        return sx_fail(err, SX_EFORMAT, "expected 1 value, got %zu", count);
    if (!values[0].is_histogram)
        return sx_fail(err, SX_EFORMAT, "expected histogram, got a number");
    return print_histogram(values[0].histogram, arena, &out->histogram, err);
}

static bool same_value(double a, double b, bool fuzzy)
{
    return a == b || (fuzzy && (nextafter(a, -INFINITY) == b || nextafter(a, INFINITY) == b));
}

static bool same_samples(const printed_sample *a, size_t a_count, const printed_sample *b,
                         size_t b_count, bool fuzzy)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        if (!tsdb_labels_equal(a[i].labels, b[i].labels) ||
            !sx_str_eq(a[i].histogram, b[i].histogram) ||
            (!a[i].histogram.len && !same_value(a[i].value, b[i].value, fuzzy)))
            return false;
    }
    return true;
}

static void print_samples(const printed_sample *s, size_t count, sx_buf *out)
{
    if (count == 0)
        sx_buf_str(out, SX_STR("nil"));
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_str(out, SX_STR(", "));
        tsdb_labels_print(s[i].labels, out, NULL);
        sx_buf_byte(out, ' ');
        if (s[i].histogram.len)
            sx_buf_str(out, s[i].histogram);
        else
            unit_print_value(s[i].value, out);
    }
}

/* `    expr: "up", time: 4m`: how each of its faults begins. */
static void begin_expr(const unit_expr_case *c, sx_buf *out)
{
    char at[64];
    promql_print_duration(c->at_ms, at);
    sx_buf_str(out, SX_STR("    expr: "));
    tsdb_quote(c->expr, out);
    sx_buf_printf(out, ", time: %s,", at);
}

static void fault_expr(unit_run *u, const unit_expr_case *c, sx_str what)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    begin_expr(c, &text);
    sx_buf_str(&text, what);
    fault(u->faults, "%.*s", SX_ARG(sx_buf_view(&text)));
    sx_buf_done(&text);
}

static sx_status compare_expr(unit_run *u, const unit_expr_case *c, const promql_result *r,
                              sx_arena *arena, sx_error *err)
{
    printed_sample *got, *want = sx_arena_calloc(arena, (size_t)c->sample_count + 1, sizeof *want);
    size_t got_count;
    if (!want)
        return sx_fail_memory(err, "samples");
    sx_status st = got_samples(r, arena, &got, &got_count, err);
    if (st != SX_OK)
        return st;
    for (uint32_t i = 0; i < c->sample_count; i++) {
        st = parse_expected(&c->samples[i], arena, &want[i], err);
        if (st == SX_ENOMEM)
            return st;
        if (st != SX_OK) {
            sx_buf text;
            sx_buf_init(&text, 0);
            sx_buf_str(&text, SX_STR(" err: labels "));
            tsdb_quote(c->samples[i].labels, &text);
            sx_buf_printf(&text, ": %s", err->message);
            fault_expr(u, c, sx_buf_view(&text));
            sx_buf_done(&text);
            return SX_OK;
        }
    }
    if (c->sample_count)
        qsort(want, c->sample_count, sizeof *want, compare_samples);
    if (same_samples(want, c->sample_count, got, got_count, u->file->fuzzy))
        return SX_OK;
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, SX_STR("\n        exp: "));
    print_samples(want, c->sample_count, &text);
    sx_buf_str(&text, SX_STR("\n        got: "));
    print_samples(got, got_count, &text);
    fault_expr(u, c, sx_buf_view(&text));
    sx_buf_done(&text);
    return SX_OK;
}

static sx_status check_expr(unit_run *u, const unit_expr_case *c, sx_error *err)
{
    int64_t t = u->group->start_ms + c->at_ms;
    promql_request request = {.text = c->expr, .start_ms = t, .end_ms = t};
    promql_result result;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status st = promql_query(u->engine, rule_store_queryable(u->store), &request, &result, err);
    if (st == SX_OK && result.type != PROMQL_VECTOR && result.type != PROMQL_SCALAR)
        st = sx_fail(err, SX_EINVAL, "rule result is not a vector or scalar");
    if (st == SX_OK) {
        st = compare_expr(u, c, &result, &arena, err);
    } else if (st != SX_ENOMEM) {
        sx_str what = sx_arena_printf(&arena, " err: %s", err->message);
        fault_expr(u, c, what);
        st = what.data ? SX_OK : sx_fail_memory(err, "a message");
    }
    promql_result_done(&result);
    sx_arena_done(&arena);
    return st;
}

/* --- One test. */

static sx_status open_run(unit_run *u, sx_error *err)
{
    promql_engine_options engine = {
        .features = u->options->features, .threads = 1, .default_step_ms = u->file->interval_ms};
    sx_status st = rule_store_new(&u->store, err);
    if (st == SX_OK)
        st = promql_engine_new(&engine, &u->engine, err);
    if (st != SX_OK)
        return st;
    rule_manager_options manager = {
        .engine = u->engine,
        .queryable = rule_store_queryable(u->store),
        .appendable = rule_store_appendable(u->store),
        .external_url = u->group->external_url.data ? u->group->external_url : SX_STR(""),
        .serial = true,
        .files = {.features = u->options->features,
                  .ignore_unknown_fields = u->options->ignore_unknown_fields},
        .no_restore = true,
        .group_order = u->file->order,
        .group_order_count = u->file->order_count};
    u->config.rule_files = u->file->patterns;
    u->config.rule_file_count = u->file->pattern_count;
    u->config.evaluation_interval_ms = u->group->interval_ms;
    u->config.external_labels = u->group->external_labels;
    return rule_manager_new(&manager, &u->manager, err);
}

static void close_run(unit_run *u)
{
    rule_manager_free(u->manager);
    promql_engine_free(u->engine);
    rule_store_free(u->store);
}

/* The lines of `problems`, each a fault. */
static void fault_lines(faults *f, sx_str problems)
{
    sx_str line;
    while (problems.len) {
        sx_str_cut(problems, '\n', &line, &problems);
        fault(f, "%.*s", SX_ARG(line));
    }
}

static sx_status load_rules(unit_run *u, sx_error *err)
{
    sx_buf problems;
    sx_buf_init(&problems, 0);
    sx_status st = rule_manager_apply(u->manager, &u->config, &problems, err);
    if (st != SX_OK && st != SX_ENOMEM) {
        fault_lines(u->faults, problems.len ? sx_buf_view(&problems) : sx_str_z(err->message));
        st = SX_EFORMAT;
    }
    sx_buf_done(&problems);
    return st;
}

/* Rules that failed in the evaluation at `t` end the test. */
static sx_status check_health(unit_run *u, int64_t t, bool *failed, sx_error *err)
{
    rule_group_info *groups;
    size_t count;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_status st = rule_manager_read(u->manager, &arena, &groups, &count, err);
    for (size_t g = 0; st == SX_OK && g < count; g++) {
        for (size_t i = 0; i < groups[g].rule_count; i++) {
            const rule_info *r = &groups[g].rules[i];
            if (r->last_error.len == 0)
                continue;
            sx_buf at;
            sx_buf_init(&at, 0);
            unit_print_go_duration(t, &at);
            fault(u->faults, "    rule: %.*s, time: %.*s, err: %.*s", SX_ARG(r->name),
                  SX_ARG(sx_buf_view(&at)), SX_ARG(r->last_error));
            sx_buf_done(&at);
            *failed = true;
        }
    }
    sx_arena_done(&arena);
    return st;
}

static int64_t last_moment(const unit_group *g)
{
    int64_t last = 0;
    for (uint32_t i = 0; i < g->alert_count; i++)
        last = g->alerts[i].at_ms > last ? g->alerts[i].at_ms : last;
    for (uint32_t i = 0; i < g->expr_count; i++)
        last = g->exprs[i].at_ms > last ? g->exprs[i].at_ms : last;
    return last;
}

static sx_status evaluate(unit_run *u, bool *failed, sx_error *err)
{
    int64_t start = u->group->start_ms, end = start + last_moment(u->group);
    for (int64_t t = start; t <= end; t += u->file->interval_ms) {
        sx_status st = load_inputs(u, t, err);
        if (st == SX_ENOMEM)
            return st;
        if (st != SX_OK)
            fault(u->faults, "%s", err->message);
        else
            st = rule_manager_run_once(u->manager, t, err);
        if (st == SX_OK)
            st = check_health(u, t, failed, err);
        if (st == SX_ENOMEM || *failed)
            return st;
        st = check_alerts_at(u, t - start, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status check_names(unit_run *u)
{
    for (uint32_t i = 0; i < u->group->alert_count; i++) {
        char at[64];
        if (u->group->alerts[i].alertname.len)
            continue;
        promql_print_duration(u->group->alerts[i].at_ms, at);
        bool named = u->group->name.len > 0;
        fault(u->faults,
              "an item under alert_rule_test misses required attribute alertname at eval_time "
              "%s%s%.*s%s",
              at, named ? " (in TestGroup " : "", SX_ARG(u->group->name), named ? ")" : "");
        return SX_EFORMAT;
    }
    return SX_OK;
}

/* SX_OK also if the test fails; SX_EFORMAT after a fault that ends it. */
static sx_status run_test(unit_run *u, sx_error *err)
{
    bool failed = false;
    sx_status st = parse_inputs(u, err);
    if (st == SX_OK)
        st = open_run(u, err);
    if (st == SX_OK)
        st = load_rules(u, err);
    if (st == SX_OK)
        st = check_names(u);
    if (st == SX_OK)
        st = evaluate(u, &failed, err);
    if (st == SX_OK && !failed)
        st = load_inputs(u, INT64_MAX, err); /* expressions may look ahead */
    for (uint32_t i = 0; st == SX_OK && !failed && i < u->group->expr_count; i++)
        st = check_expr(u, &u->group->exprs[i], err);
    close_run(u);
    return st;
}

/* --- One file. */

static sx_status check_order(const unit_file *f, faults *out)
{
    for (uint32_t i = 0; i < f->order_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (sx_str_eq(f->order[i], f->order[k])) {
                fault(out, "group name repeated in evaluation order: %.*s", SX_ARG(f->order[i]));
                return SX_EFORMAT;
            }
        }
    }
    return SX_OK;
}

/* Patterns that name no file get a warning, before all else. */
static void warn_of_nothing(const unit_file *f, sx_buf *out)
{
    for (uint32_t i = 0; i < f->pattern_count; i++) {
        sx_buf path;
        glob_t found = {0};
        sx_buf_init(&path, 0);
        sx_buf_str(&path, f->patterns[i]);
        sx_buf_byte(&path, '\0');
        if (!path.failed && glob(path.data, 0, NULL, &found) == GLOB_NOMATCH)
            sx_buf_printf(out, "  WARNING: no file match pattern %.*s\n", SX_ARG(f->patterns[i]));
        globfree(&found);
        sx_buf_done(&path);
    }
}

static bool is_wanted(sx_regex *const *run, size_t count, sx_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_regex_search(run[i], name))
            return true;
    }
    return count == 0;
}

static sx_status run_file(const char *path, const rule_unit_test_options *options,
                          sx_regex *const *run, faults *out_faults, sx_buf *out, sx_error *err)
{
    unit_file file = {0};
    sx_arena arena;
    sx_buf problems;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&problems, 0);
    sx_status st = unit_file_read(path, &arena, &file, &problems, err);
    if (st != SX_OK && st != SX_ENOMEM)
        fault_lines(out_faults, sx_buf_view(&problems));
    if (st == SX_OK) {
        warn_of_nothing(&file, out);
        st = check_order(&file, out_faults);
    }
    for (uint32_t i = 0; st == SX_OK && i < file.group_count; i++) {
        unit_group group = file.groups[i];
        if (!is_wanted(run, options->run_count, group.name))
            continue;
        if (group.interval_ms <= 0)
            group.interval_ms = file.interval_ms;
        unit_run u = {.file = &file,
                      .group = &group,
                      .options = options,
                      .arena = &arena,
                      .faults = out_faults};
        st = run_test(&u, err);
        st = st == SX_EFORMAT ? SX_OK : st; /* told; the next test is run */
    }
    if (st != SX_OK && out_faults->count == 0)
        fault(out_faults, "%s", err->message);
    sx_buf_done(&problems);
    sx_arena_done(&arena);
    return st;
}

int rule_unit_test_run(const char *const *paths, size_t count,
                       const rule_unit_test_options *options, sx_buf *out)
{
    static const rule_unit_test_options NONE = {0};
    sx_error err;
    int verdict = 0;
    options = options ? options : &NONE;
    sx_regex **run = sx_calloc(options->run_count + 1, sizeof(sx_regex *));
    if (!run) {
        sx_buf_str(out, SX_STR("  FAILED:\nno memory\n"));
        return 1;
    }
    for (size_t i = 0; i < options->run_count && verdict == 0; i++) {
        if (sx_regex_new(&run[i], options->run[i], NULL, &err) != SX_OK) {
            sx_buf_printf(out, "%s\n", err.message);
            verdict = 1;
        }
    }
    bool usable = verdict == 0;
    for (size_t i = 0; usable && i < count; i++) {
        faults f = {0};
        sx_buf_init(&f.text, 0);
        sx_status st = run_file(paths[i], options, run, &f, out, &err);
        if (st != SX_OK || f.count) {
            sx_buf_str(out, SX_STR("  FAILED:\n"));
            sx_buf_str(out, sx_buf_view(&f.text));
            verdict = 1;
        } else {
            sx_buf_str(out, SX_STR("  SUCCESS\n"));
        }
        sx_buf_byte(out, '\n');
        sx_buf_done(&f.text);
    }
    for (size_t i = 0; i < options->run_count; i++)
        sx_regex_free(run[i]);
    sx_free(run);
    return verdict;
}
