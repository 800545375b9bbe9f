/* ottl_parse.c - text to tree, by recursive descent.
 *
 * or < and < not < comparison < + - < * / < value. Paths are looked up in one table, functions in
 * another, so that what is not there is told when the configuration is read. */
#include "observe/collector/ottl_impl.h"
#include "observe/collector/settings_impl.h"

#include <sextant/number.h>

enum { DEPTH_MAX = 64, TEXT_BYTES_MAX = 64 * 1024, ARGUMENTS_MAX = 64, NODES_MAX = 4000 };

typedef struct parser {
    bind *b;
    const sx_yaml_node *node;
    sx_str text;
    size_t at;
    ottl_context context;
    int depth, nodes;
    sx_status status;
} parser;

static void fault(parser *p, const char *what)
{
    if (p->status == SX_OK)
        p->status = bind_fault(p->b, p->node, "OTTL, character %zu: %s, near \"%.*s\"", p->at + 1,
                               what, SX_ARG(sx_str_first(sx_str_from(p->text, p->at), 40)));
}

/* Chains of operators make trees as deep as they are long, so the number of nodes bounds the depth. */
static ottl_node *node_new(parser *p, ottl_kind kind, uint32_t children)
{
    if (++p->nodes > NODES_MAX) {
        fault(p, "the statement has too many parts");
        return NULL;
    }
    ottl_node *n = sx_arena_calloc(p->b->arena, 1, sizeof(*n));
    if (n)
        n->children = sx_arena_calloc(p->b->arena, children + 1, sizeof(*n->children));
    if (!n || !n->children) {
        p->status = settings_no_memory(p->b);
        return NULL;
    }
    n->kind = kind;
    n->count = children;
    return n;
}

static const ottl_node *two(parser *p, ottl_kind kind, int op, const ottl_node *left,
                            const ottl_node *right)
{
    ottl_node *n = left && right ? node_new(p, kind, 2) : NULL;
    if (!n)
        return NULL;
    n->op = op;
    n->children[0] = left;
    n->children[1] = right;
    return n;
}

/* --- Tokens. */

static void skip(parser *p)
{
    while (p->at < p->text.len && (p->text.data[p->at] == ' ' || p->text.data[p->at] == '\t' ||
                                   p->text.data[p->at] == '\n' || p->text.data[p->at] == '\r'))
        p->at++;
}

static char peek(parser *p)
{
    skip(p);
    return p->at < p->text.len ? p->text.data[p->at] : 0;
}

static bool take(parser *p, const char *sign)
{
    skip(p);
    if (!sx_str_starts(sx_str_from(p->text, p->at), sx_str_z(sign)))
        return false;
    p->at += strlen(sign);
    return true;
}

static bool is_letter(char c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static sx_str word_at(parser *p)
{
    size_t end;
    skip(p);
    for (end = p->at; end < p->text.len && (is_letter(p->text.data[end]) ||
                                            (end > p->at && is_digit(p->text.data[end])));)
        end++;
    return sx_str_of(p->text.data + p->at, end - p->at);
}

static bool take_word(parser *p, const char *word)
{
    sx_str there = word_at(p);
    if (!sx_str_eq(there, sx_str_z(word)))
        return false;
    p->at += there.len;
    return true;
}

/* --- Literals. */

static const ottl_node *literal(parser *p, span_value v)
{
    ottl_node *n = node_new(p, OTTL_LITERAL, 0);
    if (n)
        n->value = v;
    return n;
}

static const ottl_node *parse_text(parser *p)
{
    sx_buf buf;
    sx_buf_init(&buf, 0);
    bool closed = false;
    for (p->at++; p->at < p->text.len && !closed; p->at++) {
        char c = p->text.data[p->at];
        if (c == '"') {
            closed = true;
        } else if (c == '\\' && p->at + 1 < p->text.len) {
            char next = p->text.data[++p->at];
            if (next == 'n' || next == 't' || next == 'r')
                sx_buf_byte(&buf, next == 'n' ? '\n' : next == 't' ? '\t' : '\r');
            else {
                if (next != '"' && next != '\\')
                    sx_buf_byte(&buf, '\\'); /* of a regular expression */
                sx_buf_byte(&buf, next);
            }
        } else {
            sx_buf_byte(&buf, c);
        }
    }
    sx_str copy = sx_arena_copy(p->b->arena, sx_buf_view(&buf));
    bool failed = buf.failed || !copy.data;
    sx_buf_done(&buf);
    if (failed)
        p->status = settings_no_memory(p->b);
    else if (!closed)
        fault(p, "the text has no closing \"");
    return p->status == SX_OK ? literal(p, (span_value){.data = copy.data,
                                                        .len = (uint32_t)copy.len,
                                                        .type = SPAN_STR})
                              : NULL;
}

static int hex_digit(char c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 0x0102: bytes, as trace and span ids are written. */
static const ottl_node *parse_bytes(parser *p)
{
    size_t begin = p->at += 2;
    while (p->at < p->text.len && hex_digit(p->text.data[p->at]) >= 0)
        p->at++;
    size_t digits = p->at - begin;
    char *bytes = sx_arena_alloc(p->b->arena, digits / 2 + 1);
    if (!bytes) {
        p->status = settings_no_memory(p->b);
        return NULL;
    }
    if (digits == 0 || digits % 2) {
        fault(p, "bytes need an even number of hexadecimal digits");
        return NULL;
    }
    for (size_t i = 0; i < digits / 2; i++)
        bytes[i] = (char)(hex_digit(p->text.data[begin + 2 * i]) * 16 +
                          hex_digit(p->text.data[begin + 2 * i + 1]));
    return literal(p,
                   (span_value){.data = bytes, .len = (uint32_t)(digits / 2), .type = SPAN_BYTES});
}

static const ottl_node *parse_number(parser *p)
{
    sx_str rest = sx_str_from(p->text, p->at);
    span_value v = {.type = SPAN_INT};
    double d;
    if (sx_str_starts(rest, SX_STR("0x")))
        return parse_bytes(p);
    size_t used = sx_double_scan(rest, &d);
    sx_str text = sx_str_first(rest, used);
    if (used == 0) {
        fault(p, "expected a number");
        return NULL;
    }
    if (!sx_str_to_i64(text, &v.i))
        v = (span_value){.d = d, .type = SPAN_DOUBLE};
    p->at += used;
    return literal(p, v);
}

static const struct {
    const char *word;
    span_value value;
} CONSTANTS[] = {
    {"true", {.i = 1, .type = SPAN_BOOL}},
    {"false", {.i = 0, .type = SPAN_BOOL}},
    {"nil", {.type = SPAN_EMPTY}},
    {"SPAN_KIND_UNSPECIFIED", {.i = 0, .type = SPAN_INT}},
    {"SPAN_KIND_INTERNAL", {.i = 1, .type = SPAN_INT}},
    {"SPAN_KIND_SERVER", {.i = 2, .type = SPAN_INT}},
    {"SPAN_KIND_CLIENT", {.i = 3, .type = SPAN_INT}},
    {"SPAN_KIND_PRODUCER", {.i = 4, .type = SPAN_INT}},
    {"SPAN_KIND_CONSUMER", {.i = 5, .type = SPAN_INT}},
    {"STATUS_CODE_UNSET", {.i = 0, .type = SPAN_INT}},
    {"STATUS_CODE_OK", {.i = 1, .type = SPAN_INT}},
    {"STATUS_CODE_ERROR", {.i = 2, .type = SPAN_INT}},
};

/* --- Paths. */

static const struct {
    const char *name;
    ottl_object object;
    ottl_field field;
    ottl_context least; /* the innermost context it needs */
} PATHS[] = {
    {"resource.attributes", ON_RESOURCE, F_ATTRIBUTES, OTTL_RESOURCE},
    {"resource.schema_url", ON_RESOURCE, F_SCHEMA_URL, OTTL_RESOURCE},
    {"resource.dropped_attributes_count", ON_RESOURCE, F_DROPPED_ATTRIBUTES, OTTL_RESOURCE},
    {"scope.attributes", ON_SCOPE, F_ATTRIBUTES, OTTL_SCOPE},
    {"scope.name", ON_SCOPE, F_NAME, OTTL_SCOPE},
    {"scope.version", ON_SCOPE, F_VERSION, OTTL_SCOPE},
    {"scope.schema_url", ON_SCOPE, F_SCHEMA_URL, OTTL_SCOPE},
    {"span.attributes", ON_SPAN, F_ATTRIBUTES, OTTL_SPAN},
    {"span.name", ON_SPAN, F_NAME, OTTL_SPAN},
    {"span.kind", ON_SPAN, F_KIND, OTTL_SPAN},
    {"span.kind.string", ON_SPAN, F_KIND_STRING, OTTL_SPAN},
    {"span.status.code", ON_SPAN, F_STATUS_CODE, OTTL_SPAN},
    {"span.status.message", ON_SPAN, F_STATUS_MESSAGE, OTTL_SPAN},
    {"span.trace_id", ON_SPAN, F_TRACE_ID, OTTL_SPAN},
    {"span.trace_id.string", ON_SPAN, F_TRACE_ID_STRING, OTTL_SPAN},
    {"span.span_id", ON_SPAN, F_SPAN_ID, OTTL_SPAN},
    {"span.span_id.string", ON_SPAN, F_SPAN_ID_STRING, OTTL_SPAN},
    {"span.parent_span_id", ON_SPAN, F_PARENT, OTTL_SPAN},
    {"span.parent_span_id.string", ON_SPAN, F_PARENT_STRING, OTTL_SPAN},
    {"span.trace_state", ON_SPAN, F_TRACE_STATE, OTTL_SPAN},
    {"span.start_time_unix_nano", ON_SPAN, F_START, OTTL_SPAN},
    {"span.end_time_unix_nano", ON_SPAN, F_END, OTTL_SPAN},
    {"span.start_time", ON_SPAN, F_START, OTTL_SPAN},
    {"span.end_time", ON_SPAN, F_END, OTTL_SPAN},
    {"span.flags", ON_SPAN, F_FLAGS, OTTL_SPAN},
    {"span.dropped_attributes_count", ON_SPAN, F_DROPPED_ATTRIBUTES, OTTL_SPAN},
    {"span.dropped_events_count", ON_SPAN, F_DROPPED_EVENTS, OTTL_SPAN},
    {"span.dropped_links_count", ON_SPAN, F_DROPPED_LINKS, OTTL_SPAN},
    {"spanevent.attributes", ON_EVENT, F_ATTRIBUTES, OTTL_SPANEVENT},
    {"spanevent.name", ON_EVENT, F_NAME, OTTL_SPANEVENT},
    {"spanevent.time_unix_nano", ON_EVENT, F_TIME, OTTL_SPANEVENT},
    {"spanevent.time", ON_EVENT, F_TIME, OTTL_SPANEVENT},
    {"spanevent.dropped_attributes_count", ON_EVENT, F_DROPPED_ATTRIBUTES, OTTL_SPANEVENT},
    {"spanevent.event_index", ON_EVENT, F_EVENT_INDEX, OTTL_SPANEVENT},
    {"spanevent.cache", ON_CACHE, F_ATTRIBUTES, OTTL_SPANEVENT},
    {"span.cache", ON_CACHE, F_ATTRIBUTES, OTTL_SPAN},
    {"resource.cache", ON_CACHE, F_ATTRIBUTES, OTTL_RESOURCE},
    {"scope.cache", ON_CACHE, F_ATTRIBUTES, OTTL_SCOPE},
};

/* A path without its object's name belongs to the context; instrumentation_scope is scope. */
static bool find_path(parser *p, sx_str text, ottl_node *n)
{
    static const char *const CONTEXTS[] = {"resource", "scope", "span", "spanevent"};
    char name[128];
    sx_str long_name = SX_STR("instrumentation_scope.");
    if (sx_str_starts(text, long_name))
        text = sx_str_from(text, long_name.len - 6);
    for (int own = 0; own < 2; own++) {
        size_t len = 0;
        if (own) {
            len = strlen(CONTEXTS[p->context]);
            memcpy(name, CONTEXTS[p->context], len);
            name[len++] = '.';
        }
        if (len + text.len > sizeof(name))
            return false;
        memcpy(name + len, text.data, text.len);
        len += text.len;
        for (size_t i = 0; i < SX_COUNT_OF(PATHS); i++)
            if (PATHS[i].least <= p->context &&
                sx_str_eq(sx_str_of(name, len), sx_str_z(PATHS[i].name))) {
                n->object = PATHS[i].object;
                n->field = PATHS[i].field;
                return true;
            }
    }
    return false;
}

static const ottl_node *parse_or(parser *p);

/* [key] behind a path or call, as often as it stands. */
static const ottl_node *parse_keys(parser *p, const ottl_node *of)
{
    while (of && p->at < p->text.len && p->text.data[p->at] == '[') {
        p->at++;
        const ottl_node *key = parse_or(p);
        if (!key)
            return NULL;
        if (!take(p, "]")) {
            fault(p, "expected ]");
            return NULL;
        }
        of = two(p, OTTL_INDEX, 0, of, key);
    }
    return of;
}

static const ottl_node *parse_path(parser *p)
{
    size_t begin = p->at, end = begin;
    while (end < p->text.len && (is_letter(p->text.data[end]) || is_digit(p->text.data[end]) ||
                                 p->text.data[end] == '.'))
        end++;
    sx_str text = sx_str_of(p->text.data + begin, end - begin);
    ottl_node *n = node_new(p, OTTL_PATH, 0);
    if (!n)
        return NULL;
    if (!find_path(p, text, n)) {
        fault(p, "there is no such path in this context");
        return NULL;
    }
    p->at = end;
    return parse_keys(p, n);
}

/* --- Calls. */

static const ottl_function *find_function(sx_str name)
{
    for (size_t i = 0; i < OTTL_FUNCTION_COUNT; i++)
        if (sx_str_eq(name, sx_str_z(OTTL_FUNCTIONS[i].name)))
            return &OTTL_FUNCTIONS[i];
    return NULL;
}

static bool is_attributes(const ottl_node *n)
{
    return n->kind == OTTL_PATH && n->field == F_ATTRIBUTES;
}

static void check_call(parser *p, ottl_node *n)
{
    const ottl_function *f = n->function;
    if (n->count < f->least || n->count > f->most) {
        fault(p, "the function has another number of arguments");
        return;
    }
    if (f->pattern >= 0 && (uint32_t)f->pattern < n->count) {
        const ottl_node *arg = n->children[f->pattern];
        if (arg->kind != OTTL_LITERAL || arg->value.type != SPAN_STR) {
            fault(p, "the regular expression must be a text");
            return;
        }
        p->status = settings_regex(p->b, p->node, span_value_str(&arg->value), SX_REGEX_CAPTURES,
                                   &n->pattern);
    }
    if (f->target < 0)
        return;
    const ottl_node *target = n->children[f->target];
    bool member = target->kind == OTTL_INDEX && is_attributes(target->children[0]);
    if (f->whole_map ? !is_attributes(target) : target->kind != OTTL_PATH && !member)
        fault(p, f->whole_map ? "the function changes attributes as a whole"
                              : "the function changes a path: a field, or attributes[\"key\"]");
}

static const ottl_node *parse_call(parser *p, sx_str name, bool editor)
{
    const ottl_node *args[ARGUMENTS_MAX];
    uint32_t count = 0;
    const ottl_function *f = find_function(name);
    if (!f || (f->target >= 0) != editor) {
        fault(p, f ? "an editor stands alone, a converter within one" : "unknown function");
        return NULL;
    }
    p->at += name.len;
    if (!take(p, "(")) {
        fault(p, "expected (");
        return NULL;
    }
    while (p->status == SX_OK && peek(p) != ')') {
        if (count && !take(p, ",")) {
            fault(p, "expected , or )");
            return NULL;
        }
        if (count == ARGUMENTS_MAX) {
            fault(p, "too many arguments");
            return NULL;
        }
        args[count] = parse_or(p);
        if (!args[count++])
            return NULL;
    }
    if (!take(p, ")")) {
        fault(p, "expected )");
        return NULL;
    }
    ottl_node *n = node_new(p, OTTL_CALL, count);
    if (!n)
        return NULL;
    n->function = f;
    for (uint32_t i = 0; i < count; i++)
        n->children[i] = args[i];
    check_call(p, n);
    if (p->status != SX_OK)
        return NULL;
    return editor ? n : parse_keys(p, n);
}

/* --- Expressions. */

static const ottl_node *parse_list(parser *p)
{
    const ottl_node *items[ARGUMENTS_MAX];
    uint32_t count = 0;
    p->at++;
    while (p->status == SX_OK && peek(p) != ']') {
        if ((count && !take(p, ",")) || count == ARGUMENTS_MAX) {
            fault(p, "expected , or ] of a list of at most 64");
            return NULL;
        }
        items[count] = parse_or(p);
        if (!items[count++])
            return NULL;
    }
    p->at++;
    ottl_node *n = node_new(p, OTTL_LIST, count);
    for (uint32_t i = 0; n && i < count; i++)
        n->children[i] = items[i];
    return n;
}

static const ottl_node *parse_value(parser *p)
{
    char c = peek(p);
    if (c == '"')
        return parse_text(p);
    if (c == '[')
        return parse_list(p);
    if (is_digit(c) || (c == '-' && p->at + 1 < p->text.len && is_digit(p->text.data[p->at + 1])))
        return parse_number(p);
    if (take(p, "(")) {
        const ottl_node *inner = parse_or(p);
        if (inner && !take(p, ")")) {
            fault(p, "expected )");
            return NULL;
        }
        return inner;
    }
    sx_str word = word_at(p);
    for (size_t i = 0; i < SX_COUNT_OF(CONSTANTS); i++)
        if (sx_str_eq(word, sx_str_z(CONSTANTS[i].word))) {
            p->at += word.len;
            return literal(p, CONSTANTS[i].value);
        }
    if (word.len == 0) {
        fault(p, "expected a value");
        return NULL;
    }
    size_t after = p->at + word.len;
    if (after < p->text.len && p->text.data[after] == '(')
        return parse_call(p, word, false);
    return parse_path(p);
}

static const ottl_node *parse_product(parser *p)
{
    const ottl_node *left = parse_value(p);
    for (char c; left && ((c = peek(p)) == '*' || c == '/');) {
        p->at++;
        left = two(p, OTTL_MATH, c, left, parse_value(p));
    }
    return left;
}

static const ottl_node *parse_sum(parser *p)
{
    const ottl_node *left = parse_product(p);
    for (char c; left && ((c = peek(p)) == '+' || c == '-');) {
        p->at++;
        left = two(p, OTTL_MATH, c, left, parse_product(p));
    }
    return left;
}

static const ottl_node *parse_comparison(parser *p)
{
    static const struct {
        const char *sign;
        ottl_operator op;
    } SIGNS[] = {{"==", OTTL_EQ}, {"!=", OTTL_NE}, {"<=", OTTL_LE},
                 {">=", OTTL_GE}, {"<", OTTL_LT},  {">", OTTL_GT}};
    const ottl_node *left = parse_sum(p);
    for (size_t i = 0; left && i < SX_COUNT_OF(SIGNS); i++)
        if (take(p, SIGNS[i].sign))
            return two(p, OTTL_COMPARE, (int)SIGNS[i].op, left, parse_sum(p));
    return left;
}

static const ottl_node *parse_not(parser *p)
{
    if (!take_word(p, "not"))
        return parse_comparison(p);
    if (++p->depth > DEPTH_MAX) {
        fault(p, "too deep");
        return NULL;
    }
    const ottl_node *inner = parse_not(p);
    p->depth--;
    ottl_node *n = inner ? node_new(p, OTTL_NOT, 1) : NULL;
    if (n)
        n->children[0] = inner;
    return n;
}

static const ottl_node *parse_and(parser *p)
{
    const ottl_node *left = parse_not(p);
    while (left && take_word(p, "and"))
        left = two(p, OTTL_AND, 0, left, parse_not(p));
    return left;
}

/* Everything in parentheses, brackets and arguments comes back here: depth is counted here. */
static const ottl_node *parse_or(parser *p)
{
    if (++p->depth > DEPTH_MAX) {
        fault(p, "too deep");
        return NULL;
    }
    const ottl_node *left = parse_and(p);
    while (left && take_word(p, "or"))
        left = two(p, OTTL_OR, 0, left, parse_and(p));
    p->depth--;
    return left;
}

static sx_status parse(bind *b, const sx_yaml_node *node, sx_str text, ottl_context context,
                       bool statement, const ottl_node **out)
{
    parser p = {.b = b, .node = node, .text = text, .context = context};
    if (text.len > TEXT_BYTES_MAX)
        return bind_fault(b, node, "the statement is longer than %d bytes", TEXT_BYTES_MAX);
    const ottl_node *made = NULL;
    if (statement) {
        ottl_node *whole = node_new(&p, OTTL_STATEMENT, 2);
        sx_str name = word_at(&p);
        made = whole;
        if (whole)
            whole->children[0] = parse_call(&p, name, true);
        if (whole && whole->children[0] && take_word(&p, "where"))
            whole->children[1] = parse_or(&p);
    } else {
        made = parse_or(&p);
    }
    if (p.status == SX_OK && peek(&p))
        fault(&p, "expected the end");
    *out = made;
    return p.status;
}

sx_status ottl_parse_condition(bind *b, const sx_yaml_node *node, sx_str text, ottl_context context,
                               const ottl_node **out)
{
    return parse(b, node, text, context, false, out);
}

sx_status ottl_parse_statement(bind *b, const sx_yaml_node *node, sx_str text, ottl_context context,
                               const ottl_node **out)
{
    return parse(b, node, text, context, true, out);
}
