/* unit_test_file.c - reads unit-test files by tables, and prints what they speak of. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sextant/file.h>
#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/config/bind.h"
#include "observe/rules/unit_test_internal.h"

enum { FILE_BYTES_MAX = 64 << 20 };

/* --- Tables. */

/* A map of labels whose empty values stay, sorted. */
static sx_status read_labels(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    struct {
        const tsdb_label *items;
        uint32_t count;
    } map = {0};
    const bind_field as_map = {
        .key = f->key, .kind = BIND_MAP, .at = 0, .count_at = sizeof(const tsdb_label *)};
    sx_status st = bind_read_field(b, &as_map, value, &map);
    tsdb_labels *out = (tsdb_labels *)(void *)((char *)target + f->at);
    if (st != SX_OK)
        return st;
    tsdb_label *items = sx_arena_calloc(b->arena, (size_t)map.count + 1, sizeof *items);
    if (!items) {
        b->no_memory = true;
        return SX_ENOMEM;
    }
    for (uint32_t i = 0; i < map.count; i++) { /* by insertion: they are few */
        uint32_t k = i;
        for (; k > 0 && sx_str_cmp(items[k - 1].name, map.items[i].name) > 0; k--)
            items[k] = items[k - 1];
        items[k] = map.items[i];
    }
    *out = (tsdb_labels){items, map.count};
    return SX_OK;
}

/* 2024-01-15T10:30:00.5+02:00 as milliseconds since 1970. */
static bool parse_rfc3339(sx_str text, int64_t *ms)
{
    struct tm tm = {0};
    char copy[48], sign = 'Z';
    double seconds = 0;
    int hours = 0, minutes = 0, used = 0;
    if (text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%lf%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &seconds, &used) != 6)
        return false;
    const char *zone = copy + used;
    if (sscanf(zone, "%c%2d:%2d", &sign, &hours, &minutes) < 1)
        return false;
    if (sign != 'Z' && sign != 'z' && sign != '+' && sign != '-')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t offset = (int64_t)(hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    *ms = ((int64_t)timegm(&tm) - offset) * 1000 + (int64_t)llround(seconds * 1000);
    return true;
}

static sx_status read_start(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    sx_str text;
    double seconds;
    int64_t *out = (int64_t *)(void *)((char *)target + f->at);
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    if (sx_double_parse(text, &seconds) && fabs(seconds) < 9e12)
        *out = llround(seconds * 1000);
    else if (!parse_rfc3339(text, out))
        return bind_fault(b, value, "cannot parse \"%.*s\" to a valid timestamp",
                          SX_ARG(sx_str_first(text, 60)));
    return SX_OK;
}

/* Go reads .inf, .nan, Inf and the like into a float64. */
static sx_status read_value(bind *b, const sx_yaml_node *value, void *target, const bind_field *f)
{
    static const struct {
        sx_str word;
        double value;
    } WORDS[] = {{SX_STR_INIT(".nan"), NAN},
                 {SX_STR_INIT(".inf"), INFINITY},
                 {SX_STR_INIT("+.inf"), INFINITY},
                 {SX_STR_INIT("-.inf"), -INFINITY}};
    sx_str text;
    double *out = (double *)(void *)((char *)target + f->at);
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (sx_str_ieq(text, WORDS[i].word)) {
            *out = WORDS[i].value;
            return SX_OK;
        }
    }
    bool plus = text.len && text.data[0] == '+';
    char copy[64], *end;
    text = sx_str_from(text, plus);
    if (text.len == 0 || text.len >= sizeof copy)
        return bind_fault(b, value, "expected a number");
    for (size_t i = 0; i < text.len; i++)
        copy[i] = text.data[i];
    copy[text.len] = '\0';
    bool number = (copy[0] >= '0' && copy[0] <= '9') || copy[0] == '-' || copy[0] == '.';
    *out = strtod(copy, &end); /* also 1. and 0x1F, which JSON does not know */
    if (!number || *end)
        return bind_fault(b, value, "expected a number");
    return SX_OK;
}

#define AT(type, member)          .at = offsetof(type, member)
#define LIST(type, member, count) AT(type, member), .count_at = offsetof(type, count)

static const bind_field SERIES_FIELDS[] = {
    {.key = "series", .kind = BIND_STR, AT(unit_series, series)},
    {.key = "values", .kind = BIND_STR, AT(unit_series, values)},
    {0}};
static const bind_table SERIES = {.fields = SERIES_FIELDS, .size = sizeof(unit_series)};

static const bind_field ALERT_FIELDS[] = {
    {.key = "exp_labels", .kind = BIND_CUSTOM, .read = read_labels, AT(unit_alert, labels)},
    {.key = "exp_annotations",
     .kind = BIND_CUSTOM,
     .read = read_labels,
     AT(unit_alert, annotations)},
    {0}};
static const bind_table ALERT = {.fields = ALERT_FIELDS, .size = sizeof(unit_alert)};

static const bind_field ALERT_CASE_FIELDS[] = {
    {.key = "eval_time", .kind = BIND_MS, AT(unit_alert_case, at_ms)},
    {.key = "alertname", .kind = BIND_STR, AT(unit_alert_case, alertname)},
    {.key = "exp_alerts",
     .kind = BIND_STRUCTS,
     LIST(unit_alert_case, alerts, alert_count),
     .table = &ALERT},
    {0}};
static const bind_table ALERT_CASE = {.fields = ALERT_CASE_FIELDS, .size = sizeof(unit_alert_case)};

static const bind_field SAMPLE_FIELDS[] = {
    {.key = "labels", .kind = BIND_STR, AT(unit_sample, labels)},
    {.key = "value", .kind = BIND_CUSTOM, .read = read_value, AT(unit_sample, value)},
    {.key = "histogram", .kind = BIND_STR, AT(unit_sample, histogram)},
    {0}};
static const bind_table SAMPLE = {.fields = SAMPLE_FIELDS, .size = sizeof(unit_sample)};

static const bind_field EXPR_CASE_FIELDS[] = {
    {.key = "expr", .kind = BIND_STR, AT(unit_expr_case, expr)},
    {.key = "eval_time", .kind = BIND_MS, AT(unit_expr_case, at_ms)},
    {.key = "exp_samples",
     .kind = BIND_STRUCTS,
     LIST(unit_expr_case, samples, sample_count),
     .table = &SAMPLE},
    {0}};
static const bind_table EXPR_CASE = {.fields = EXPR_CASE_FIELDS, .size = sizeof(unit_expr_case)};

static const bind_field GROUP_FIELDS[] = {
    {.key = "interval", .kind = BIND_MS, AT(unit_group, interval_ms)},
    {.key = "start_timestamp", .kind = BIND_CUSTOM, .read = read_start, AT(unit_group, start_ms)},
    {.key = "name", .kind = BIND_STR, AT(unit_group, name)},
    {.key = "external_url", .kind = BIND_STR, AT(unit_group, external_url)},
    {.key = "external_labels", .kind = BIND_LABELS, AT(unit_group, external_labels)},
    {.key = "input_series",
     .kind = BIND_STRUCTS,
     LIST(unit_group, series, series_count),
     .table = &SERIES},
    {.key = "alert_rule_test",
     .kind = BIND_STRUCTS,
     LIST(unit_group, alerts, alert_count),
     .table = &ALERT_CASE},
    {.key = "promql_expr_test",
     .kind = BIND_STRUCTS,
     LIST(unit_group, exprs, expr_count),
     .table = &EXPR_CASE},
    {0}};
static const bind_table GROUP = {.fields = GROUP_FIELDS, .size = sizeof(unit_group)};

static const bind_field FILE_FIELDS[] = {
    {.key = "rule_files", .kind = BIND_PATHS, LIST(unit_file, patterns, pattern_count)},
    {.key = "evaluation_interval", .kind = BIND_MS, AT(unit_file, interval_ms)},
    {.key = "group_eval_order", .kind = BIND_STRS, LIST(unit_file, order, order_count)},
    {.key = "fuzzy_compare", .kind = BIND_BOOL, AT(unit_file, fuzzy)},
    {.key = "tests", .kind = BIND_STRUCTS, LIST(unit_file, groups, group_count), .table = &GROUP},
    {0}};
static const bind_table FILE_TABLE = {.fields = FILE_FIELDS, .size = sizeof(unit_file)};

sx_status unit_file_read(const char *path, sx_arena *arena, unit_file *out, sx_buf *problems,
                         sx_error *err)
{
    sx_buf text;
    sx_yaml_file tree = {0};
    sx_str name = sx_str_z(path);
    size_t slash = name.len;
    while (slash > 0 && path[slash - 1] != '/')
        slash--;
    bind b = {.arena = arena,
              .folder = sx_str_first(name, slash > 1 ? slash - 1 : slash),
              .problems = problems};
    sx_buf_init(&text, FILE_BYTES_MAX);
    sx_status st = sx_file_read(path, FILE_BYTES_MAX, &text, err);
    if (st == SX_OK)
        st = sx_yaml_parse(sx_buf_view(&text), name, NULL, arena, &tree, err);
    sx_buf_done(&text);
    if (st != SX_OK) {
        sx_buf_printf(problems, "%s\n", err->message);
        return st;
    }
    st = bind_read(&b, &FILE_TABLE, tree.count ? tree.documents[0] : NULL, out);
    if (st == SX_ENOMEM || b.no_memory)
        return sx_fail_memory(err, "a unit-test file");
    if (b.faults) {
        *err = b.first;
        return SX_EFORMAT;
    }
    if (out->interval_ms <= 0)
        out->interval_ms = 60 * 1000;
    return SX_OK;
}

/* --- Printing. */

/* Go's strconv 'E', -1: the fewest digits that read back as the same number. */
void unit_print_value(double v, sx_buf *out)
{
    char text[40];
    if (!isfinite(v)) {
        sx_buf_str(out, isnan(v) ? SX_STR("NaN") : v > 0 ? SX_STR("+Inf") : SX_STR("-Inf"));
        return;
    }
    for (int digits = 0; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*E", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    sx_buf_str(out, sx_str_z(text));
}

static void print_g(double v, sx_buf *out)
{
    char text[SX_DOUBLE_BYTES];
    sx_buf_bytes(out, text, sx_double_format(v, SX_DOUBLE_GO, text));
}

static void print_part(bool *first, const char *key, double v, sx_buf *out)
{
    if (v == 0)
        return;
    sx_buf_printf(out, "%s%s:", *first ? "" : " ", key);
    print_g(v, out);
    *first = false;
}

/* Buckets of one side as one run, empty ones between filled in. */
static void print_buckets(bool *first, const char *key, const char *offset_key,
                          const tsdb_span *spans, uint32_t span_count, const double *counts,
                          sx_buf *out)
{
    enum { GAP_MAX = 1 << 16 };
    int64_t index = 0, begin = 0, written = 0;
    size_t at = 0;
    sx_buf list;
    sx_buf_init(&list, 0);
    for (uint32_t s = 0; s < span_count; s++) {
        index += spans[s].offset;
        for (uint32_t i = 0; i < spans[s].length; i++, index++, at++) {
            if (counts[at] == 0) /* at the ends they are left out, between they are made up below */
                continue;
            if (list.len == 0)
                begin = written = index;
            for (; written < index && written - begin < GAP_MAX; written++)
                sx_buf_str(&list, SX_STR(" 0"));
            if (list.len)
                sx_buf_byte(&list, ' ');
            print_g(counts[at], &list);
            written = index + 1;
        }
    }
    if (list.len) {
        if (begin) {
            sx_buf_printf(out, "%s%s:%lld", *first ? "" : " ", offset_key, (long long)begin);
            *first = false;
        }
        sx_buf_printf(out, "%s%s:[", *first ? "" : " ", key);
        sx_buf_str(out, sx_buf_view(&list));
        sx_buf_byte(out, ']');
        *first = false;
    }
    sx_buf_done(&list);
}

void unit_print_histogram(const tsdb_histogram *h, sx_buf *out)
{
    static const char *const HINTS[] = {
        [TSDB_RESET_YES] = "reset", [TSDB_RESET_NO] = "not_reset", [TSDB_RESET_GAUGE] = "gauge"};
    bool first = true;
    sx_buf_str(out, SX_STR("{{"));
    print_part(&first, "schema", h->schema, out);
    print_part(&first, "count", h->count, out);
    print_part(&first, "sum", h->sum, out);
    print_part(&first, "z_bucket", h->zero_count, out);
    print_part(&first, "z_bucket_w", h->zero_threshold, out);
    if (h->schema == TSDB_SCHEMA_CUSTOM) {
        sx_buf_printf(out, "%scustom_values:[", first ? "" : " ");
        for (uint32_t i = 0; i < h->bound_count; i++) {
            sx_buf_str(out, i ? SX_STR(" ") : SX_STR(""));
            print_g(h->bounds[i], out);
        }
        sx_buf_byte(out, ']');
        first = false;
    }
    if (h->reset != TSDB_RESET_UNKNOWN) {
        sx_buf_printf(out, "%scounter_reset_hint:%s", first ? "" : " ", HINTS[h->reset]);
        first = false;
    }
    print_buckets(&first, "buckets", "offset", h->positive_spans, h->positive_span_count,
                  h->positive, out);
    print_buckets(&first, "n_buckets", "n_offset", h->negative_spans, h->negative_span_count,
                  h->negative, out);
    sx_buf_str(out, SX_STR("}}"));
}

void unit_print_alerts(const unit_alert *a, size_t n, sx_buf *out)
{
    static const char MARGIN[] = "            ";
    if (n == 0) {
        sx_buf_str(out, SX_STR("[]"));
        return;
    }
    sx_buf_byte(out, '[');
    for (size_t i = 0; i < n; i++) {
        sx_buf_printf(out, "%s\n%s%zu:\n%s  Labels:", i ? "," : "", MARGIN, i, MARGIN);
        tsdb_labels_print(a[i].labels, out, NULL);
        sx_buf_printf(out, "\n%s  Annotations:", MARGIN);
        tsdb_labels_print(a[i].annotations, out, NULL);
    }
    sx_buf_printf(out, "\n%s]", MARGIN);
}

void unit_print_go_duration(int64_t ms, sx_buf *out)
{
    int64_t seconds = ms / 1000;
    if (seconds >= 3600)
        sx_buf_printf(out, "%lldh", (long long)(seconds / 3600));
    if (seconds >= 60)
        sx_buf_printf(out, "%lldm", (long long)(seconds / 60 % 60));
    if (ms && seconds == 0) {
        sx_buf_printf(out, "%lldms", (long long)ms);
        return;
    }
    char text[SX_DOUBLE_BYTES];
    sx_double_format((double)(ms % 60000) / 1000, SX_DOUBLE_GO, text);
    sx_buf_printf(out, "%ss", text);
}
