/* print.c - a query as text again: canonical, as Tempo prints it (all operations in brackets). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/traceql/ast.h"

static const char *const OPS[TQ_OPS] = {
    [TQ_ADD] = "+",
    [TQ_SUB] = "-",
    [TQ_MUL] = "*",
    [TQ_DIV] = "/",
    [TQ_MOD] = "%",
    [TQ_POW] = "^",
    [TQ_EQ] = "=",
    [TQ_NE] = "!=",
    [TQ_LT] = "<",
    [TQ_LE] = "<=",
    [TQ_GT] = ">",
    [TQ_GE] = ">=",
    [TQ_MATCH] = "=~",
    [TQ_NOT_MATCH] = "!~",
    [TQ_AND] = "&&",
    [TQ_OR] = "||",
    [TQ_NOT] = "!",
    [TQ_NEG] = "-",
    [TQ_EXISTS] = "!=",
    [TQ_ABSENT] = "=",
    [TQ_CHILD] = ">",
    [TQ_PARENT_OF] = "<",
    [TQ_DESCENDANT] = ">>",
    [TQ_ANCESTOR] = "<<",
    [TQ_SIBLING] = "~",
    [TQ_NOT_CHILD] = "!>",
    [TQ_NOT_PARENT_OF] = "!<",
    [TQ_NOT_DESCENDANT] = "!>>",
    [TQ_NOT_ANCESTOR] = "!<<",
    [TQ_NOT_SIBLING] = "!~",
    [TQ_UNION_CHILD] = "&>",
    [TQ_UNION_PARENT_OF] = "&<",
    [TQ_UNION_DESCENDANT] = "&>>",
    [TQ_UNION_ANCESTOR] = "&<<",
    [TQ_UNION_SIBLING] = "&~",
};

static const char *const FUNCTIONS[TQ_FUNCTIONS] = {[TQ_COUNT] = "count",
                                                    [TQ_AVG] = "avg",
                                                    [TQ_MAX] = "max",
                                                    [TQ_MIN] = "min",
                                                    [TQ_SUM] = "sum",
                                                    [TQ_RATE] = "rate",
                                                    [TQ_COUNT_OVER_TIME] = "count_over_time",
                                                    [TQ_MIN_OVER_TIME] = "min_over_time",
                                                    [TQ_MAX_OVER_TIME] = "max_over_time",
                                                    [TQ_AVG_OVER_TIME] = "avg_over_time",
                                                    [TQ_SUM_OVER_TIME] = "sum_over_time",
                                                    [TQ_QUANTILE_OVER_TIME] = "quantile_over_time",
                                                    [TQ_HISTOGRAM_OVER_TIME] =
                                                        "histogram_over_time",
                                                    [TQ_COMPARE] = "compare",
                                                    [TQ_TOPK] = "topk",
                                                    [TQ_BOTTOMK] = "bottomk"};

static const char *const SOURCES[TQ_SOURCES] = {
    [TQ_ATTR] = ".",
    [TQ_ATTR_SPAN] = "span.",
    [TQ_ATTR_RESOURCE] = "resource.",
    [TQ_ATTR_EVENT] = "event.",
    [TQ_ATTR_LINK] = "link.",
    [TQ_ATTR_SCOPE] = "instrumentation.",
    [TQ_SPAN_DURATION] = "duration",
    [TQ_SPAN_NAME] = "name",
    [TQ_SPAN_STATUS] = "status",
    [TQ_SPAN_STATUS_MESSAGE] = "statusMessage",
    [TQ_SPAN_KIND] = "kind",
    [TQ_SPAN_CHILDREN] = "span:childCount",
    [TQ_SPAN_ID] = "span:id",
    [TQ_SPAN_PARENT_ID] = "span:parentID",
    [TQ_TRACE_ID] = "trace:id",
    [TQ_TRACE_DURATION] = "traceDuration",
    [TQ_TRACE_ROOT_NAME] = "rootName",
    [TQ_TRACE_ROOT_SERVICE] = "rootServiceName",
    [TQ_EVENT_NAME] = "event:name",
    [TQ_EVENT_SINCE_START] = "event:timeSinceStart",
    [TQ_LINK_TRACE_ID] = "link:traceID",
    [TQ_LINK_SPAN_ID] = "link:spanID",
    [TQ_SCOPE_NAME] = "instrumentation:name",
    [TQ_SCOPE_VERSION] = "instrumentation:version",
    [TQ_NESTED_LEFT] = "nestedSetLeft",
    [TQ_NESTED_RIGHT] = "nestedSetRight",
    [TQ_NESTED_PARENT] = "nestedSetParent",
    [TQ_PARENT] = "parent",
};

static const char *const STATUSES[] = {"unset", "ok", "error"};
static const char *const KINDS[] = {"unspecified", "internal", "server",
                                    "client",      "producer", "consumer"};

const char *tq_op_text(tq_op op)
{
    return OPS[op] ? OPS[op] : "";
}

const char *tq_function_name(tq_function f)
{
    return FUNCTIONS[f];
}

static void put(sx_buf *out, const char *text)
{
    sx_buf_str(out, sx_str_z(text));
}

/* Names with characters that would end them are quoted. */
static void put_key(sx_str key, sx_buf *out)
{
    bool plain = key.len > 0;
    for (size_t i = 0; i < key.len; i++)
        plain &= !memchr("{}()=~!<>&|^,\" \t\n\r\v\f\\", key.data[i], 22) && key.data[i];
    if (plain) {
        sx_buf_str(out, key);
        return;
    }
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < key.len; i++) {
        if (key.data[i] == '"' || key.data[i] == '\\')
            sx_buf_byte(out, '\\');
        sx_buf_byte(out, key.data[i]);
    }
    sx_buf_byte(out, '"');
}

void tq_print_field(const tq_field *f, sx_buf *out)
{
    if (f->of_parent)
        put(out, f->source == TQ_ATTR ? "parent" : "parent.");
    put(out, SOURCES[f->source]);
    if (tq_is_attribute(f->source))
        put_key(f->key, out);
}

static void put_duration(int64_t ns, sx_buf *out)
{
    static const struct {
        int64_t ns;
        const char *name;
    } UNITS[] = {{3600000000000, "h"}, {60000000000, "m"}, {1000000000, "s"},
                 {1000000, "ms"},      {1000, "us"},       {1, "ns"}};
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        sx_buf_byte(out, '-');
    if (!ns)
        put(out, "0s");
    for (size_t i = 0; left && i < sizeof UNITS / sizeof UNITS[0]; i++) {
        uint64_t n = left / (uint64_t)UNITS[i].ns;
        left -= n * (uint64_t)UNITS[i].ns;
        if (n) {
            sx_buf_u64(out, n);
            put(out, UNITS[i].name);
        }
    }
}

static void put_string(sx_str s, sx_buf *out)
{
    bool raw = true;
    for (size_t i = 0; i < s.len; i++)
        raw &= s.data[i] != '`' && s.data[i] != '\r';
    if (raw) {
        sx_buf_byte(out, '`');
        sx_buf_str(out, s);
        sx_buf_byte(out, '`');
        return;
    }
    sx_buf_byte(out, '"');
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] == '"' || s.data[i] == '\\')
            sx_buf_printf(out, "\\%c", s.data[i]);
        else if ((unsigned char)s.data[i] < ' ')
            sx_buf_printf(out, "\\x%02x", (unsigned char)s.data[i]);
        else
            sx_buf_byte(out, s.data[i]);
    sx_buf_byte(out, '"');
}

static void put_float(double d, sx_buf *out)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    put(out, text);
    if (isfinite(d) && !strpbrk(text, ".e"))
        put(out, ".0");
}

void tq_print_value(const tq_value *v, sx_buf *out)
{
    switch (v->type) {
    case TQ_NIL:
    case TQ_ANY:
        put(out, "nil");
        break;
    case TQ_INT:
        sx_buf_i64(out, v->i);
        break;
    case TQ_FLOAT:
        put_float(v->d, out);
        break;
    case TQ_STR:
        put_string(v->s, out);
        break;
    case TQ_BOOL:
        put(out, v->i ? "true" : "false");
        break;
    case TQ_DURATION:
        put_duration(v->i, out);
        break;
    case TQ_STATUS:
        put(out, STATUSES[v->i]);
        break;
    case TQ_KIND:
        put(out, KINDS[v->i]);
        break;
    }
}

static bool is_leaf(const tq_node *n)
{
    return n->kind == TQ_STATIC || n->kind == TQ_FIELD || n->kind == TQ_AGGREGATE ||
           n->kind == TQ_FILTER;
}

static void print_wrapped(const tq_node *n, sx_buf *out)
{
    if (is_leaf(n)) {
        tq_print(n, out);
        return;
    }
    sx_buf_byte(out, '(');
    tq_print(n, out);
    sx_buf_byte(out, ')');
}

static void print_items(const tq_node *n, const char *between, sx_buf *out)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (i)
            put(out, between);
        tq_print(n->items[i], out);
    }
}

static void print_series(const tq_node *n, sx_buf *out)
{
    tq_print(n->left, out);
    sx_buf_printf(out, " | %s(", FUNCTIONS[n->function]);
    if (n->right)
        tq_print(n->right, out);
    for (uint32_t i = 0; i < n->number_count; i++) {
        tq_value v = {.type = TQ_FLOAT, .d = n->numbers[i]};
        put(out, ",");
        if (n->function == TQ_COMPARE)
            v = (tq_value){.type = TQ_INT, .i = (int64_t)n->numbers[i]};
        tq_print_value(&v, out);
    }
    put(out, ")");
    if (n->count) {
        put(out, " by(");
        print_items(n, ",", out);
        put(out, ")");
    }
}

void tq_print(const tq_node *n, sx_buf *out)
{
    switch (n->kind) {
    case TQ_STATIC:
        tq_print_value(&n->value, out);
        break;
    case TQ_FIELD:
        tq_print_field(&n->field, out);
        break;
    case TQ_UNARY:
        if (n->op == TQ_EXISTS || n->op == TQ_ABSENT) {
            print_wrapped(n->left, out);
            put(out, n->op == TQ_EXISTS ? " != nil" : " = nil");
        } else {
            put(out, OPS[n->op]);
            print_wrapped(n->left, out);
        }
        break;
    case TQ_FILTER:
        put(out, "{ ");
        tq_print(n->left, out);
        put(out, " }");
        break;
    case TQ_BINARY:
    case TQ_RELATION:
    case TQ_SCALAR:
    case TQ_SCALAR_FILTER:
    case TQ_SERIES_MATH:
        print_wrapped(n->left, out);
        sx_buf_printf(out, " %s ", tq_op_text(n->op));
        print_wrapped(n->right, out);
        break;
    case TQ_SERIES_FILTER:
        print_wrapped(n->left, out);
        sx_buf_printf(out, " %s ", tq_op_text(n->op));
        tq_print(n->right, out);
        break;
    case TQ_PIPELINE:
        print_items(n, " | ", out);
        break;
    case TQ_BY:
        put(out, "by(");
        tq_print(n->left, out);
        put(out, ")");
        break;
    case TQ_COALESCE:
        put(out, "coalesce()");
        break;
    case TQ_SELECT:
        put(out, "select(");
        print_items(n, ", ", out);
        put(out, ")");
        break;
    case TQ_AGGREGATE:
        sx_buf_printf(out, "%s(", FUNCTIONS[n->function]);
        if (n->left)
            tq_print(n->left, out);
        put(out, ")");
        break;
    case TQ_SERIES:
        print_series(n, out);
        break;
    case TQ_SERIES_TOP:
        print_wrapped(n->left, out);
        sx_buf_printf(out, " | %s(%lld)", FUNCTIONS[n->function], (long long)n->value.i);
        break;
    }
}

sx_str tq_text(sx_arena *arena, const tq_node *n)
{
    sx_buf out;
    sx_buf_init(&out, 1 << 20);
    tq_print(n, &out);
    sx_str text = out.failed ? sx_str_of(NULL, 0) : sx_arena_copy(arena, sx_buf_view(&out));
    sx_buf_done(&out);
    return text;
}

void traceql_print(const traceql_query *q, sx_buf *out)
{
    tq_print(q->root, out);
    if (!q->hint_count)
        return;
    put(out, " with(");
    for (size_t i = 0; i < q->hint_count; i++) {
        if (i)
            put(out, ",");
        sx_buf_str(out, q->hints[i].name);
        put(out, "=");
        tq_print_value(&q->hints[i].value, out);
    }
    put(out, ")");
}
