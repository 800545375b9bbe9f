/* template_funcs.c - the functions that every template has. Source: Go, text/template, "Functions". */
#include <sextant/utf8.h>

#include "codec/template_internal.h"

bool template_truth(const sx_tvalue *v)
{
    switch (v->kind) {
    case SX_TVALUE_NIL:
        return false;
    case SX_TVALUE_BOOL:
        return v->boolean;
    case SX_TVALUE_INT:
        return v->integer != 0;
    case SX_TVALUE_FLOAT:
        return v->number != 0;
    case SX_TVALUE_STRING:
        return v->string.len > 0;
    case SX_TVALUE_LIST:
    case SX_TVALUE_MAP:
        return v->ops->count && v->ops->count(v->object) > 0;
    case SX_TVALUE_STRUCT:
    case SX_TVALUE_FUNC:
        break;
    }
    return true;
}

typedef sx_status tfunc_call(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                             sx_tvalue *out, sx_error *err);

/* Hands over what was written as a string. */
static sx_status give_text(sx_buf *text, sx_arena *arena, sx_tvalue *out, sx_error *err)
{
    sx_status st = sx_buf_status(text, "a template's text", err);
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING};
    if (st == SX_OK && text->len) {
        out->string = sx_arena_copy(arena, sx_buf_view(text));
        if (!out->string.data)
            st = sx_fail_memory(err, "a template's text");
    }
    sx_buf_done(text);
    return st;
}

static sx_status give_bool(bool value, sx_tvalue *out)
{
    *out = (sx_tvalue){.kind = SX_TVALUE_BOOL, .boolean = value};
    return SX_OK;
}

/* The executor evaluates these two; the rows are there for their names and numbers of arguments. */
static sx_status call_logic(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)arena, (void)err;
    *out = args[count - 1];
    return SX_OK;
}

static sx_status call_not(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                          sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count, (void)arena, (void)err;
    return give_bool(!template_truth(&args[0]), out);
}

static sx_status call_len(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                          sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count, (void)arena;
    const sx_tvalue *v = &args[0];
    *out = (sx_tvalue){.kind = SX_TVALUE_INT};
    if (v->kind == SX_TVALUE_STRING)
        out->integer = (int64_t)v->string.len;
    else if ((v->kind == SX_TVALUE_LIST || v->kind == SX_TVALUE_MAP) && v->ops->count)
        out->integer = v->ops->count(v->object);
    else
        return sx_fail(err, SX_EINVAL, "len of type %s", template_type(v));
    return SX_OK;
}

static sx_status index_one(const sx_tvalue *v, const sx_tvalue *key, sx_arena *arena,
                           sx_tvalue *out, sx_error *err)
{
    sx_tvalue ignored;
    if (v->kind == SX_TVALUE_NIL)
        return sx_fail(err, SX_EINVAL, "index of untyped nil");
    if (v->kind == SX_TVALUE_MAP) {
        if (key->kind != SX_TVALUE_STRING)
            return sx_fail(err, SX_EINVAL, "value has type %s; should be string",
                           template_type(key));
        sx_status st = v->ops->get(v->object, key->string, arena, out, err);
        if (st != SX_ENOTFOUND)
            return st;
        *out = (sx_tvalue){.kind = SX_TVALUE_STRING}; /* the zero of Go's map[string]string */
        return SX_OK;
    }
    bool text = v->kind == SX_TVALUE_STRING;
    if (!text && v->kind != SX_TVALUE_LIST)
        return sx_fail(err, SX_EINVAL, "can't index item of type %s", template_type(v));
    if (key->kind != SX_TVALUE_INT)
        return sx_fail(err, SX_EINVAL, "cannot index slice/array with type %s", template_type(key));
    int64_t count = text ? (int64_t)v->string.len : v->ops->count(v->object);
    if (key->integer < 0 || key->integer >= count)
        return sx_fail(err, SX_EINVAL, "index out of range: %lld", (long long)key->integer);
    if (!text)
        return v->ops->at(v->object, key->integer, arena, &ignored, out, err);
    *out =
        (sx_tvalue){.kind = SX_TVALUE_INT, .integer = (unsigned char)v->string.data[key->integer]};
    return SX_OK;
}

static sx_status call_index(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    sx_tvalue at = args[0];
    for (size_t i = 1; i < count; i++) {
        sx_tvalue next;
        sx_status st = index_one(&at, &args[i], arena, &next, err);
        if (st != SX_OK)
            return st;
        at = next;
    }
    *out = at;
    return SX_OK;
}

static sx_status call_slice(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)arena;
    if (args[0].kind != SX_TVALUE_STRING)
        return sx_fail(err, SX_EINVAL, "can't slice item of type %s", template_type(&args[0]));
    if (count > 3)
        return sx_fail(err, SX_EINVAL, "cannot 3-index slice a string");
    int64_t bounds[2] = {0, (int64_t)args[0].string.len};
    for (size_t i = 1; i < count; i++) {
        if (args[i].kind != SX_TVALUE_INT)
            return sx_fail(err, SX_EINVAL, "cannot index slice/array with type %s",
                           template_type(&args[i]));
        if (args[i].integer < 0 || args[i].integer > (int64_t)args[0].string.len)
            return sx_fail(err, SX_EINVAL, "index out of range: %lld", (long long)args[i].integer);
        bounds[i - 1] = args[i].integer;
    }
    if (bounds[0] > bounds[1])
        return sx_fail(err, SX_EINVAL, "invalid slice index: %lld > %lld", (long long)bounds[0],
                       (long long)bounds[1]);
    *out = args[0];
    out->string = sx_str_of(args[0].string.data + bounds[0], (size_t)(bounds[1] - bounds[0]));
    return SX_OK;
}

static sx_status call_print(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    sx_buf text;
    sx_buf_init(&text, TEMPLATE_OUTPUT_MAX);
    template_sprint(args, count, &text);
    return give_text(&text, arena, out, err);
}

static sx_status call_println(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    sx_buf text;
    sx_buf_init(&text, TEMPLATE_OUTPUT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&text, ' ');
        template_print(&args[i], &text);
    }
    sx_buf_byte(&text, '\n');
    return give_text(&text, arena, out, err);
}

static sx_status call_printf(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    if (args[0].kind != SX_TVALUE_STRING)
        return sx_fail(err, SX_EINVAL, "wrong type for value; expected string; got %s",
                       template_type(&args[0]));
    sx_buf text;
    sx_buf_init(&text, TEMPLATE_OUTPUT_MAX);
    sx_template_printf(args[0].string, args + 1, count - 1, &text);
    return give_text(&text, arena, out, err);
}

/* --- Escaping. */

/* Writes what stands for a byte, or nothing: then the byte stays as it is. */
typedef void tescape(unsigned char c, sx_buf *out);

static void escape_html(unsigned char c, sx_buf *out)
{
    switch (c) {
    case 0:
        sx_buf_str(out, SX_STR("\xef\xbf\xbd"));
        break;
    case '"':
    case '\'':
        sx_buf_printf(out, "&#%d;", c);
        break;
    case '&':
        sx_buf_str(out, SX_STR("&amp;"));
        break;
    case '<':
        sx_buf_str(out, SX_STR("&lt;"));
        break;
    case '>':
        sx_buf_str(out, SX_STR("&gt;"));
        break;
    default:
        break;
    }
}

static void escape_js(unsigned char c, sx_buf *out)
{
    if (c == '\\' || c == '\'' || c == '"')
        sx_buf_printf(out, "\\%c", c);
    else if (c < ' ' || strchr("<>&=", c))
        sx_buf_printf(out, "\\u%04X", c);
}

static void escape_query(unsigned char c, sx_buf *out)
{
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '-' || c == '_' || c == '.' || c == '~';
    if (c == ' ')
        sx_buf_byte(out, '+');
    else if (!plain)
        sx_buf_printf(out, "%%%02X", c);
}

static sx_status escape_all(const sx_tvalue *args, size_t count, tescape *escape, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    sx_buf text, escaped;
    sx_buf_init(&text, TEMPLATE_OUTPUT_MAX);
    sx_buf_init(&escaped, TEMPLATE_OUTPUT_MAX);
    template_sprint(args, count, &text);
    for (size_t i = 0; i < text.len; i++) {
        size_t before = escaped.len;
        escape((unsigned char)text.data[i], &escaped);
        if (escaped.len == before)
            sx_buf_byte(&escaped, text.data[i]);
    }
    escaped.failed |= text.failed;
    sx_buf_done(&text);
    return give_text(&escaped, arena, out, err);
}

static sx_status call_html(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                           sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    return escape_all(args, count, escape_html, arena, out, err);
}

static sx_status call_js(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                         sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    return escape_all(args, count, escape_js, arena, out, err);
}

static sx_status call_urlquery(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                               sx_tvalue *out, sx_error *err)
{
    (void)ctx;
    return escape_all(args, count, escape_query, arena, out, err);
}

static sx_status call_call(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                           sx_tvalue *out, sx_error *err)
{
    if (args[0].kind != SX_TVALUE_FUNC)
        return sx_fail(err, SX_EINVAL, "non-function of type %s", template_type(&args[0]));
    const sx_tfunc *f = args[0].object;
    if ((int)count - 1 < f->args_min || (f->args_max >= 0 && (int)count - 1 > f->args_max))
        return sx_fail(err, SX_EINVAL, "wrong number of args: got %zu want %d", count - 1,
                       f->args_min);
    return f->call(ctx, args + 1, count - 1, arena, out, err);
}

/* --- Comparison: both sides of one basic kind. */

static bool is_basic(const sx_tvalue *v)
{
    return v->kind == SX_TVALUE_BOOL || v->kind == SX_TVALUE_INT || v->kind == SX_TVALUE_FLOAT ||
           v->kind == SX_TVALUE_STRING;
}

/* <0, 0, >0; 2 if a NaN is among them. */
static int order_of(const sx_tvalue *a, const sx_tvalue *b)
{
    if (a->kind == SX_TVALUE_STRING) {
        int order = sx_str_cmp(a->string, b->string);
        return (order > 0) - (order < 0);
    }
    if (a->kind == SX_TVALUE_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->kind == SX_TVALUE_BOOL)
        return a->boolean - b->boolean;
    if (!(a->number <= b->number) && !(a->number > b->number))
        return 2;
    return (a->number > b->number) - (a->number < b->number);
}

static sx_status compare(const sx_tvalue *a, const sx_tvalue *b, bool ordered, int *order,
                         sx_error *err)
{
    if (!ordered && (a->kind == SX_TVALUE_NIL || b->kind == SX_TVALUE_NIL)) {
        *order = a->kind == b->kind ? 0 : 2;
        return SX_OK;
    }
    if (!is_basic(a) || !is_basic(b) || (ordered && a->kind == SX_TVALUE_BOOL))
        return sx_fail(err, SX_EINVAL, "invalid type for comparison");
    if (a->kind != b->kind)
        return sx_fail(err, SX_EINVAL, "incompatible types for comparison: %s and %s",
                       template_type(a), template_type(b));
    *order = order_of(a, b);
    return SX_OK;
}

static sx_status call_eq(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                         sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)arena;
    bool equal = false;
    if (count == 1)
        return sx_fail(err, SX_EINVAL, "missing argument for comparison");
    for (size_t i = 1; i < count && !equal; i++) {
        int order;
        sx_status st = compare(&args[0], &args[i], false, &order, err);
        if (st != SX_OK)
            return st;
        equal = order == 0;
    }
    return give_bool(equal, out);
}

static sx_status call_ne(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                         sx_tvalue *out, sx_error *err)
{
    sx_status st = call_eq(ctx, args, count, arena, out, err);
    if (st == SX_OK)
        out->boolean = !out->boolean;
    return st;
}

/* A comparison by order: `signs` has a bit for each of less, equal, greater. */
static sx_status by_order(const sx_tvalue *args, unsigned signs, sx_tvalue *out, sx_error *err)
{
    int order;
    sx_status st = compare(&args[0], &args[1], true, &order, err);
    if (st != SX_OK)
        return st;
    unsigned bit = order < 0 ? 1 : order == 0 ? 2 : order == 2 ? 0 : 4;
    return give_bool((signs & bit) != 0, out);
}

#define ORDER_CALL(name, signs)                                                                    \
    static sx_status call_##name(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,  \
                                 sx_tvalue *out, sx_error *err)                                    \
    {                                                                                              \
        (void)ctx, (void)count, (void)arena;                                                       \
        return by_order(args, signs, out, err);                                                    \
    }
ORDER_CALL(lt, 1)
ORDER_CALL(le, 1 | 2)
ORDER_CALL(gt, 4)
ORDER_CALL(ge, 2 | 4)

const sx_tfunc TEMPLATE_BUILTINS[] = {
    {"and", 1, -1, call_logic},     {"or", 1, -1, call_logic},
    {"not", 1, 1, call_not},        {"len", 1, 1, call_len},
    {"index", 1, -1, call_index},   {"slice", 1, 4, call_slice},
    {"print", 0, -1, call_print},   {"println", 0, -1, call_println},
    {"printf", 1, -1, call_printf}, {"html", 0, -1, call_html},
    {"js", 0, -1, call_js},         {"urlquery", 0, -1, call_urlquery},
    {"call", 1, -1, call_call},     {"eq", 1, -1, call_eq},
    {"ne", 2, 2, call_ne},          {"lt", 2, 2, call_lt},
    {"le", 2, 2, call_le},          {"gt", 2, 2, call_gt},
    {"ge", 2, 2, call_ge},
};
const size_t TEMPLATE_BUILTIN_COUNT = SX_COUNT_OF(TEMPLATE_BUILTINS);
