/* format.c - a tree over several lines, as format_query and `promql format` lay it out.
 *
 * What fits in 100 columns stays on one line, indentation not counted; anything else is opened up,
 * its parts a level further in. */
#include "observe/promql/print.h"

enum { COLUMNS = 100 };

static void indent(int level, sx_buf *out)
{
    for (int i = 0; i < level; i++)
        sx_buf_str(out, SX_STR("  "));
}

/* Prints the node on one line if it fits. */
static bool print_short(const promql_expr *e, int level, sx_buf *out)
{
    sx_buf line;
    sx_buf_init(&line, COLUMNS);
    promql_print_node(e, &line);
    bool fits = !line.failed;
    if (line.failed && !line.hit_limit)
        out->failed = true;
    if (fits) {
        indent(level, out);
        sx_buf_str(out, sx_buf_view(&line));
    }
    sx_buf_done(&line);
    return fits;
}

static void format_node(const promql_expr *e, int level, sx_buf *out);

static void format_close(int level, sx_buf *out)
{
    sx_buf_byte(out, '\n');
    indent(level, out);
    sx_buf_byte(out, ')');
}

static void format_aggregate(const promql_expr *e, int level, sx_buf *out)
{
    indent(level, out);
    promql_print_aggregation(e, out);
    sx_buf_str(out, SX_STR("(\n"));
    if (e->aggregate.param) {
        format_node(e->aggregate.param, level + 1, out);
        sx_buf_str(out, SX_STR(",\n"));
    }
    format_node(e->aggregate.expr, level + 1, out);
    format_close(level, out);
}

static void format_call(const promql_expr *e, int level, sx_buf *out)
{
    indent(level, out);
    sx_buf_str(out, e->call.function->name);
    sx_buf_str(out, SX_STR("(\n"));
    for (uint32_t i = 0; i < e->call.arg_count; i++) {
        if (i)
            sx_buf_str(out, SX_STR(",\n"));
        format_node(e->call.args[i], level + 1, out);
    }
    format_close(level, out);
}

static void format_binary(const promql_expr *e, int level, sx_buf *out)
{
    format_node(e->binary.left, level + 1, out);
    sx_buf_byte(out, '\n');
    indent(level, out);
    promql_print_operator(e, out);
    sx_buf_byte(out, '\n');
    format_node(e->binary.right, level + 1, out);
}

/* The sign goes between the indentation and the operand. */
static void format_unary(const promql_expr *e, int level, sx_buf *out)
{
    size_t from = out->len;
    format_node(e->unary.expr, level, out);
    if (out->failed)
        return;
    size_t spaces = 0;
    while (from + spaces < out->len && out->data[from + spaces] == ' ')
        spaces++;
    size_t wanted = (size_t)level * 2;
    char *gap = sx_buf_reserve(out, wanted + 1);
    if (!gap)
        return;
    size_t rest = out->len - from - spaces;
    memmove(out->data + from + wanted + 1, out->data + from + spaces, rest);
    memset(out->data + from, ' ', wanted);
    out->data[from + wanted] = promql_op_name(e->unary.op)[0];
    out->len = from + wanted + 1 + rest;
}

/* A short subquery is not indented, by Prometheus's rules. */
static void format_subquery(const promql_expr *e, int level, sx_buf *out)
{
    if (print_short(e, 0, out))
        return;
    format_node(e->subquery.expr, level, out);
    promql_print_subquery_suffix(e, out);
}

static void format_node(const promql_expr *e, int level, sx_buf *out)
{
    if (out->failed)
        return;
    switch (e->kind) {
    case PROMQL_SUBQUERY:
        format_subquery(e, level, out);
        return;
    case PROMQL_UNARY:
        format_unary(e, level, out);
        return;
    case PROMQL_STEP_INVARIANT:
        format_node(e->inner, level, out);
        return;
    case PROMQL_AGGREGATE:
        if (!print_short(e, level, out))
            format_aggregate(e, level, out);
        return;
    case PROMQL_CALL:
        if (!print_short(e, level, out))
            format_call(e, level, out);
        return;
    case PROMQL_BINARY:
        if (!print_short(e, level, out))
            format_binary(e, level, out);
        return;
    case PROMQL_PAREN:
        if (print_short(e, level, out))
            return;
        indent(level, out);
        sx_buf_str(out, SX_STR("(\n"));
        format_node(e->inner, level + 1, out);
        format_close(level, out);
        return;
    case PROMQL_NUMBER:
    case PROMQL_STRING_LITERAL:
    case PROMQL_SELECTOR:
    case PROMQL_RANGE:
    case PROMQL_ARITHMETIC:
        break;
    }
    indent(level, out);
    promql_print_node(e, out);
}

sx_status promql_format(const promql_expr *e, sx_buf *out, sx_error *err)
{
    format_node(e, 0, out);
    return sx_buf_status(out, "a formatted query", err);
}
