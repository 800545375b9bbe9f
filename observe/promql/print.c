/* print.c - a tree as text on one line, as Prometheus prints it: in rules, errors and caches' keys.
 *
 * What it prints parses to an equal tree. */
#include <math.h>
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/promql/print.h"

const char *promql_op_name(promql_op op)
{
    static const char *const names[PROMQL_OPS] = {
        [PROMQL_OP_NONE] = "",
        [PROMQL_ADD] = "+",
        [PROMQL_SUB] = "-",
        [PROMQL_MUL] = "*",
        [PROMQL_DIV] = "/",
        [PROMQL_MOD] = "%",
        [PROMQL_POW] = "^",
        [PROMQL_ATAN2] = "atan2",
        [PROMQL_EQ] = "==",
        [PROMQL_NE] = "!=",
        [PROMQL_GT] = ">",
        [PROMQL_LT] = "<",
        [PROMQL_GE] = ">=",
        [PROMQL_LE] = "<=",
        [PROMQL_TRIM_UPPER] = "</",
        [PROMQL_TRIM_LOWER] = ">/",
        [PROMQL_AND] = "and",
        [PROMQL_OR] = "or",
        [PROMQL_UNLESS] = "unless",
        [PROMQL_AGG_SUM] = "sum",
        [PROMQL_AGG_AVG] = "avg",
        [PROMQL_AGG_COUNT] = "count",
        [PROMQL_AGG_MIN] = "min",
        [PROMQL_AGG_MAX] = "max",
        [PROMQL_AGG_GROUP] = "group",
        [PROMQL_AGG_STDDEV] = "stddev",
        [PROMQL_AGG_STDVAR] = "stdvar",
        [PROMQL_AGG_TOPK] = "topk",
        [PROMQL_AGG_BOTTOMK] = "bottomk",
        [PROMQL_AGG_COUNT_VALUES] = "count_values",
        [PROMQL_AGG_QUANTILE] = "quantile",
        [PROMQL_AGG_LIMITK] = "limitk",
        [PROMQL_AGG_LIMIT_RATIO] = "limit_ratio",
        [PROMQL_DURATION_STEP] = "step",
        [PROMQL_DURATION_RANGE] = "range",
        [PROMQL_DURATION_MIN_OF] = "min_of",
        [PROMQL_DURATION_MAX_OF] = "max_of",
    };
    return names[op];
}

/* --- Parts. */

static void print_op(promql_op op, sx_buf *out)
{
    sx_buf_str(out, sx_str_z(promql_op_name(op)));
}

static void print_ms(int64_t ms, sx_buf *out)
{
    char text[64];
    if (ms < 0)
        sx_buf_byte(out, '-');
    promql_print_duration(ms < 0 ? -ms : ms, text);
    sx_buf_str(out, sx_str_z(text));
}

static void print_duration(const promql_duration *d, sx_buf *out)
{
    if (d->expr)
        promql_print_node(d->expr, out);
    else
        print_ms(d->ms, out);
}

/* In quotes as Go's; but U+FFFD, which no query may hold as it is, by its number. */
static void print_quoted(sx_str text, sx_buf *out)
{
    static const sx_str replacement = SX_STR_INIT("\xef\xbf\xbd");
    size_t at = sx_str_find(text, replacement);
    if (at == text.len) {
        tsdb_quote(text, out);
        return;
    }
    sx_buf piece;
    sx_buf_init(&piece, 0);
    sx_buf_byte(out, '"');
    for (;;) {
        sx_buf_clear(&piece);
        tsdb_quote(sx_str_first(text, at), &piece);
        if (piece.failed)
            break;
        sx_buf_bytes(out, piece.data + 1, piece.len - 2);
        if (at == text.len)
            break;
        sx_buf_str(out, SX_STR("\\ufffd"));
        text = sx_str_from(text, at + replacement.len);
        at = sx_str_find(text, replacement);
    }
    sx_buf_byte(out, '"');
    out->failed |= piece.failed;
    sx_buf_done(&piece);
}

static void print_labels(const sx_str *labels, uint32_t count, sx_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            sx_buf_str(out, SX_STR(", "));
        if (tsdb_label_name_is_legacy(labels[i]))
            sx_buf_str(out, labels[i]);
        else
            print_quoted(labels[i], out);
    }
}

static void print_group(const char *before, const sx_str *labels, uint32_t count, sx_buf *out)
{
    sx_buf_str(out, sx_str_z(before));
    print_labels(labels, count, out);
    sx_buf_byte(out, ')');
}

void promql_print_number(double value, sx_buf *out)
{
    char text[SX_DOUBLE_FIXED_BYTES];
    sx_buf_str(out, sx_str_of(text, sx_double_plain(value, text)));
}

static void print_at(promql_at at, int64_t ms, sx_buf *out)
{
    char text[SX_DOUBLE_FIXED_BYTES];
    switch (at) {
    case PROMQL_AT_NONE:
        break;
    case PROMQL_AT_TIME:
        sx_buf_str(out, SX_STR(" @ "));
        sx_buf_str(out, sx_str_of(text, sx_double_fixed((double)ms / 1000, 3, text)));
        break;
    case PROMQL_AT_START:
        sx_buf_str(out, SX_STR(" @ start()"));
        break;
    case PROMQL_AT_END:
        sx_buf_str(out, SX_STR(" @ end()"));
        break;
    }
}

static void print_offset(const promql_duration *offset, sx_buf *out)
{
    if (offset->ms == 0 && !offset->expr)
        return;
    sx_buf_str(out, SX_STR(" offset "));
    print_duration(offset, out);
}

static void print_extended(const promql_expr *selector, sx_buf *out)
{
    if (selector->selector.anchored)
        sx_buf_str(out, SX_STR(" anchored"));
    else if (selector->selector.smoothed)
        sx_buf_str(out, SX_STR(" smoothed"));
}

/* --- Matchers, in the order of their text. */

static void print_matcher(const tsdb_matcher *m, sx_buf *out)
{
    static const sx_str signs[] = {SX_STR_INIT("="), SX_STR_INIT("!="), SX_STR_INIT("=~"),
                                   SX_STR_INIT("!~")};
    if (tsdb_label_name_is_legacy(m->name))
        sx_buf_str(out, m->name);
    else
        print_quoted(m->name, out);
    sx_buf_str(out, signs[m->kind]);
    print_quoted(m->value, out);
}

/* The one that the name before the braces stands for. */
static bool is_name_matcher(const tsdb_matcher *m, sx_str name)
{
    return m->kind == TSDB_MATCH_EQUAL && name.len && sx_str_eq(m->value, name) &&
           sx_str_eq(m->name, TSDB_METRIC_NAME);
}

typedef struct piece {
    size_t from, len;
    const char *data; /* set when all are printed */
} piece;

static int compare_pieces(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    return sx_str_cmp(sx_str_of(x->data, x->len), sx_str_of(y->data, y->len));
}

static void print_sorted_matchers(const promql_expr *e, sx_buf *out)
{
    uint32_t count = e->selector.matcher_count, used = 0;
    sx_buf text;
    sx_buf_init(&text, 0);
    piece *pieces = sx_calloc(count, sizeof *pieces);
    if (!pieces) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_name_matcher(&e->selector.matchers[i], e->selector.name))
            continue;
        size_t from = text.len;
        print_matcher(&e->selector.matchers[i], &text);
        pieces[used++] = (piece){.from = from, .len = text.len - from};
    }
    out->failed |= text.failed;
    for (uint32_t i = 0; !text.failed && i < used; i++)
        pieces[i].data = text.data + pieces[i].from;
    if (!text.failed && used)
        qsort(pieces, used, sizeof *pieces, compare_pieces);
    for (uint32_t i = 0; !text.failed && i < used; i++) {
        sx_buf_byte(out, i ? ',' : '{');
        sx_buf_bytes(out, pieces[i].data, pieces[i].len);
    }
    if (used)
        sx_buf_byte(out, '}');
    sx_free(pieces);
    sx_buf_done(&text);
}

/* name{matchers}, without modifiers. */
static void print_metric(const promql_expr *e, sx_buf *out)
{
    if (e->selector.name.len == 0 && e->selector.matcher_count == 0) {
        sx_buf_str(out, SX_STR("{}")); /* of info(); Prometheus prints nothing, which is no query */
        return;
    }
    sx_buf_str(out, e->selector.name);
    if (e->selector.matcher_count > (e->selector.name.len ? 1 : 0))
        print_sorted_matchers(e, out);
}

/* --- Nodes. */

static void print_range(const promql_expr *e, sx_buf *out)
{
    const promql_expr *s = e->range.selector;
    print_metric(s, out);
    sx_buf_byte(out, '[');
    print_duration(&e->range.range, out);
    sx_buf_byte(out, ']');
    print_extended(s, out);
    print_at(s->selector.at, s->selector.at_ms, out);
    print_offset(&s->selector.offset, out);
}

void promql_print_subquery_suffix(const promql_expr *e, sx_buf *out)
{
    sx_buf_byte(out, '[');
    print_duration(&e->subquery.range, out);
    sx_buf_byte(out, ':');
    if (e->subquery.step.ms || e->subquery.step.expr)
        print_duration(&e->subquery.step, out);
    sx_buf_byte(out, ']');
    print_at(e->subquery.at, e->subquery.at_ms, out);
    print_offset(&e->subquery.offset, out);
}

void promql_print_aggregation(const promql_expr *e, sx_buf *out)
{
    print_op(e->aggregate.op, out);
    if (e->aggregate.without)
        print_group(" without (", e->aggregate.labels, e->aggregate.label_count, out);
    else if (e->aggregate.label_count)
        print_group(" by (", e->aggregate.labels, e->aggregate.label_count, out);
    else
        return;
    sx_buf_byte(out, ' ');
}

static void print_fill(const char *word, double value, sx_buf *out)
{
    char text[SX_DOUBLE_BYTES];
    sx_double_format(value, SX_DOUBLE_GO, text);
    sx_buf_printf(out, " %s (%s)", word, text);
}

void promql_print_operator(const promql_expr *e, sx_buf *out)
{
    const promql_matching *m = e->binary.matching;
    print_op(e->binary.op, out);
    if (e->binary.return_bool)
        sx_buf_str(out, SX_STR(" bool"));
    if (!m)
        return;
    bool grouped = m->card == PROMQL_MANY_TO_ONE || m->card == PROMQL_ONE_TO_MANY;
    if (m->label_count || m->on || grouped)
        print_group(m->on ? " on (" : " ignoring (", m->labels, m->label_count, out);
    if (grouped)
        print_group(m->card == PROMQL_MANY_TO_ONE ? " group_left (" : " group_right (", m->include,
                    m->include_count, out);
    if (m->has_fill_left && m->has_fill_right && m->fill_left == m->fill_right) {
        print_fill("fill", m->fill_left, out);
        return;
    }
    if (m->has_fill_left)
        print_fill("fill_left", m->fill_left, out);
    if (m->has_fill_right)
        print_fill("fill_right", m->fill_right, out);
}

static void print_arithmetic(const promql_expr *e, sx_buf *out)
{
    promql_op op = e->arithmetic.op;
    const promql_expr *left = e->arithmetic.left, *right = e->arithmetic.right;
    if (e->arithmetic.parens)
        sx_buf_byte(out, '(');
    if (op >= PROMQL_DURATION_STEP) {
        print_op(op, out);
        sx_buf_byte(out, '(');
        if (left) {
            promql_print_node(left, out);
            sx_buf_str(out, SX_STR(", "));
            promql_print_node(right, out);
        }
        sx_buf_byte(out, ')');
    } else if (!left) { /* a plus says nothing */
        if (op == PROMQL_SUB)
            sx_buf_byte(out, '-');
        promql_print_node(right, out);
    } else {
        promql_print_node(left, out);
        sx_buf_byte(out, ' ');
        print_op(op, out);
        sx_buf_byte(out, ' ');
        promql_print_node(right, out);
    }
    if (e->arithmetic.parens)
        sx_buf_byte(out, ')');
}

static void print_call(const promql_expr *e, sx_buf *out)
{
    sx_buf_str(out, e->call.function->name);
    sx_buf_byte(out, '(');
    for (uint32_t i = 0; i < e->call.arg_count; i++) {
        if (i)
            sx_buf_str(out, SX_STR(", "));
        promql_print_node(e->call.args[i], out);
    }
    sx_buf_byte(out, ')');
}

static void print_aggregate(const promql_expr *e, sx_buf *out)
{
    promql_print_aggregation(e, out);
    sx_buf_byte(out, '(');
    if (e->aggregate.param) {
        promql_print_node(e->aggregate.param, out);
        sx_buf_str(out, SX_STR(", "));
    }
    promql_print_node(e->aggregate.expr, out);
    sx_buf_byte(out, ')');
}

static void print_literal_number(const promql_expr *e, sx_buf *out)
{
    if (e->number.duration)
        print_ms((int64_t)(e->number.value * 1e9) / 1000000, out);
    else
        promql_print_number(e->number.value, out);
}

void promql_print_node(const promql_expr *e, sx_buf *out)
{
    if (out->failed)
        return;
    switch (e->kind) {
    case PROMQL_NUMBER:
        print_literal_number(e, out);
        break;
    case PROMQL_STRING_LITERAL:
        print_quoted(e->string, out);
        break;
    case PROMQL_SELECTOR:
        print_metric(e, out);
        print_at(e->selector.at, e->selector.at_ms, out);
        print_extended(e, out);
        print_offset(&e->selector.offset, out);
        break;
    case PROMQL_RANGE:
        print_range(e, out);
        break;
    case PROMQL_SUBQUERY:
        promql_print_node(e->subquery.expr, out);
        promql_print_subquery_suffix(e, out);
        break;
    case PROMQL_CALL:
        print_call(e, out);
        break;
    case PROMQL_AGGREGATE:
        print_aggregate(e, out);
        break;
    case PROMQL_BINARY:
        promql_print_node(e->binary.left, out);
        sx_buf_byte(out, ' ');
        promql_print_operator(e, out);
        sx_buf_byte(out, ' ');
        promql_print_node(e->binary.right, out);
        break;
    case PROMQL_UNARY:
        print_op(e->unary.op, out);
        promql_print_node(e->unary.expr, out);
        break;
    case PROMQL_PAREN:
        sx_buf_byte(out, '(');
        promql_print_node(e->inner, out);
        sx_buf_byte(out, ')');
        break;
    case PROMQL_ARITHMETIC:
        print_arithmetic(e, out);
        break;
    case PROMQL_STEP_INVARIANT:
        promql_print_node(e->inner, out);
        break;
    }
}

sx_status promql_print(const promql_expr *e, sx_buf *out, sx_error *err)
{
    promql_print_node(e, out);
    return sx_buf_status(out, "a printed query", err);
}
