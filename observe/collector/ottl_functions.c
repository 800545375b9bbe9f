/* ottl_functions.c - the functions of OTTL, a row each: converters, which give a value, and editors.
 *
 * Source: opentelemetry-collector-contrib, pkg/ottl/ottlfuncs/README.md. */
#include <math.h>

#include <sextant/number.h>

#include "observe/collector/ottl_impl.h"

static bool fail(ottl_target *t, const ottl_node *n, const char *what)
{
    sx_fail(t->err, SX_EINVAL, "OTTL: %s: %s", n->function->name, what);
    return false;
}

static bool no_memory(ottl_target *t)
{
    sx_fail_memory(t->err, "a value of OTTL");
    return false;
}

static bool give_bool(span_value *out, bool truth)
{
    *out = (span_value){.i = truth, .type = SPAN_BOOL};
    return true;
}

static bool give_text(ottl_target *t, sx_str text, span_value *out)
{
    if (!text.data)
        return no_memory(t);
    *out = (span_value){.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
    return true;
}

static bool give_buf(ottl_target *t, sx_buf *buf, span_value *out)
{
    sx_str text = {0};
    if (!buf->failed)
        text = sx_arena_copy(t->arena, sx_buf_view(buf));
    sx_buf_done(buf);
    return give_text(t, text, out);
}

static bool arg(const ottl_node *n, ottl_target *t, uint32_t i, span_value *out)
{
    return ottl_eval(n->children[i], t, out);
}

static bool arg_text(const ottl_node *n, ottl_target *t, uint32_t i, sx_str *out)
{
    span_value v;
    if (!arg(n, t, i, &v))
        return false;
    *out = span_value_str(&v);
    return v.type == SPAN_STR ? true : fail(t, n, "a text is expected");
}

static bool arg_int(const ottl_node *n, ottl_target *t, uint32_t i, int64_t *out)
{
    span_value v;
    if (!arg(n, t, i, &v))
        return false;
    *out = v.i;
    return v.type == SPAN_INT ? true : fail(t, n, "a whole number is expected");
}

/* --- Converters. */

static bool is_match(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v;
    if (!arg(n, t, 0, &v))
        return false;
    if (v.type == SPAN_EMPTY)
        return give_bool(out, false);
    sx_str text = span_value_string(&v, t->arena);
    return text.data ? give_bool(out, sx_regex_search(n->pattern, text)) : no_memory(t);
}

static bool is_type(const ottl_node *n, ottl_target *t, span_value *out, span_type type)
{
    span_value v;
    return arg(n, t, 0, &v) && give_bool(out, v.type == (uint32_t)type);
}

static bool is_string(const ottl_node *n, ottl_target *t, span_value *out)
{
    return is_type(n, t, out, SPAN_STR);
}
static bool is_int(const ottl_node *n, ottl_target *t, span_value *out)
{
    return is_type(n, t, out, SPAN_INT);
}
static bool is_double(const ottl_node *n, ottl_target *t, span_value *out)
{
    return is_type(n, t, out, SPAN_DOUBLE);
}
static bool is_bool(const ottl_node *n, ottl_target *t, span_value *out)
{
    return is_type(n, t, out, SPAN_BOOL);
}
static bool is_map(const ottl_node *n, ottl_target *t, span_value *out)
{
    return is_type(n, t, out, SPAN_MAP);
}
static bool is_list(const ottl_node *n, ottl_target *t, span_value *out)
{
    return is_type(n, t, out, SPAN_LIST);
}

static bool is_root(const ottl_node *n, ottl_target *t, span_value *out)
{
    static const uint8_t NONE[8];
    if (!t->span)
        return fail(t, n, "there is no span here");
    return give_bool(out, memcmp(t->span->parent, NONE, 8) == 0);
}

static bool has_prefix(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text, part;
    return arg_text(n, t, 0, &text) && arg_text(n, t, 1, &part) &&
           give_bool(out, sx_str_starts(text, part));
}

static bool has_suffix(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text, part;
    return arg_text(n, t, 0, &text) && arg_text(n, t, 1, &part) &&
           give_bool(out, sx_str_ends(text, part));
}

static bool concat(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value list;
    sx_str between;
    sx_buf buf;
    if (!arg(n, t, 0, &list) || !arg_text(n, t, 1, &between))
        return false;
    if (list.type != SPAN_LIST)
        return fail(t, n, "a list is expected");
    sx_buf_init(&buf, 1 << 20);
    for (uint32_t i = 0; i < list.len; i++) {
        if (i)
            sx_buf_str(&buf, between);
        if (list.items[i].type == SPAN_EMPTY)
            sx_buf_str(&buf, SX_STR("<nil>"));
        else
            span_value_text(&list.items[i], &buf);
    }
    return give_buf(t, &buf, out);
}

static bool split(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text, by;
    if (!arg_text(n, t, 0, &text) || !arg_text(n, t, 1, &by))
        return false;
    if (by.len == 0)
        return fail(t, n, "the delimiter is empty");
    size_t count = 1;
    for (sx_str rest = text; sx_str_find(rest, by) < rest.len; count++)
        rest = sx_str_from(rest, sx_str_find(rest, by) + by.len);
    span_value *items = sx_arena_calloc(t->arena, count, sizeof(*items));
    if (!items)
        return no_memory(t);
    for (size_t i = 0; i < count; i++) {
        size_t end = sx_str_find(text, by);
        items[i] = (span_value){
            .data = text.data ? text.data : "", .len = (uint32_t)end, .type = SPAN_STR};
        text = sx_str_from(text, end + by.len);
    }
    *out = (span_value){.items = items, .len = (uint32_t)count, .type = SPAN_LIST};
    return true;
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* snake: a capital begins a word. camel: what follows _, - or a space is a capital, as is the first. */
static bool convert_case(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text, how;
    sx_buf buf;
    if (!arg_text(n, t, 0, &text) || !arg_text(n, t, 1, &how))
        return false;
    bool lower = sx_str_eq(how, SX_STR("lower")), upper = sx_str_eq(how, SX_STR("upper"));
    bool snake = sx_str_eq(how, SX_STR("snake")), camel = sx_str_eq(how, SX_STR("camel"));
    if (!lower && !upper && !snake && !camel)
        return fail(t, n, "the case is none of: lower, upper, snake, camel");
    sx_buf_init(&buf, 0);
    bool begins = true;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool gap = c == '_' || c == '-' || c == ' ';
        char low = is_upper(c) ? (char)(c + 32) : c, high = is_lower(c) ? (char)(c - 32) : c;
        if (snake && is_upper(c) && i && !is_upper(text.data[i - 1]) && text.data[i - 1] != '_' &&
            text.data[i - 1] != '-' && text.data[i - 1] != ' ')
            sx_buf_byte(&buf, '_');
        if (!(camel && gap))
            sx_buf_byte(&buf, lower || snake    ? (snake && gap ? '_' : low)
                              : upper || begins ? high
                                                : c);
        begins = camel && gap;
    }
    return give_buf(t, &buf, out);
}

static bool length(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v;
    if (!arg(n, t, 0, &v))
        return false;
    if (v.type != SPAN_STR && v.type != SPAN_LIST && v.type != SPAN_MAP && v.type != SPAN_BYTES)
        return fail(t, n, "a text, list or map is expected");
    *out = (span_value){.i = v.len, .type = SPAN_INT};
    return true;
}

static bool to_int(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v;
    if (!arg(n, t, 0, &v))
        return false;
    *out = (span_value){.type = SPAN_EMPTY};
    if (v.type == SPAN_INT || v.type == SPAN_BOOL)
        *out = (span_value){.i = v.i, .type = SPAN_INT};
    else if (v.type == SPAN_DOUBLE && fabs(v.d) < 9.2e18)
        *out = (span_value){.i = (int64_t)v.d, .type = SPAN_INT};
    else if (v.type == SPAN_STR && sx_str_to_i64(span_value_str(&v), &v.i))
        *out = (span_value){.i = v.i, .type = SPAN_INT};
    return true; /* what is no number is nil */
}

static bool to_double(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v;
    double d;
    if (!arg(n, t, 0, &v))
        return false;
    *out = (span_value){.type = SPAN_EMPTY};
    if (v.type == SPAN_INT || v.type == SPAN_BOOL)
        *out = (span_value){.d = (double)v.i, .type = SPAN_DOUBLE};
    else if (v.type == SPAN_DOUBLE)
        *out = v;
    else if (v.type == SPAN_STR && sx_double_parse(span_value_str(&v), &d))
        *out = (span_value){.d = d, .type = SPAN_DOUBLE};
    return true;
}

static bool to_string(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v;
    if (!arg(n, t, 0, &v))
        return false;
    if (v.type == SPAN_EMPTY) {
        *out = v;
        return true;
    }
    return give_text(t, span_value_string(&v, t->arena), out);
}

static bool substring(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text;
    int64_t at, len;
    if (!arg_text(n, t, 0, &text) || !arg_int(n, t, 1, &at) || !arg_int(n, t, 2, &len))
        return false;
    if (at < 0 || len <= 0 || (uint64_t)at > text.len || (uint64_t)len > text.len - (uint64_t)at)
        return fail(t, n, "the range is not within the text");
    return give_text(t, sx_str_of(text.data + at, (size_t)len), out);
}

static bool trim(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text;
    return arg_text(n, t, 0, &text) &&
           give_text(t, text.data ? sx_str_trim_all(text) : SX_STR(""), out);
}

static bool sha256(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text;
    return arg_text(n, t, 0, &text) && give_text(t, hash_hex(text, t->arena), out);
}

static bool duration(const ottl_node *n, ottl_target *t, span_value *out)
{
    sx_str text;
    *out = (span_value){.type = SPAN_INT};
    if (!arg_text(n, t, 0, &text))
        return false;
    return settings_go_duration(text, &out->i) ? true : fail(t, n, "no duration");
}

static bool divided(const ottl_node *n, ottl_target *t, span_value *out, double by)
{
    int64_t ns;
    if (!arg_int(n, t, 0, &ns))
        return false;
    *out = (span_value){.d = (double)ns / by, .type = SPAN_DOUBLE};
    return true;
}
static bool seconds(const ottl_node *n, ottl_target *t, span_value *out)
{
    return divided(n, t, out, 1e9);
}
static bool milliseconds(const ottl_node *n, ottl_target *t, span_value *out)
{
    int64_t ns;
    if (!arg_int(n, t, 0, &ns))
        return false;
    *out = (span_value){.i = ns / 1000000, .type = SPAN_INT};
    return true;
}
static bool nanoseconds(const ottl_node *n, ottl_target *t, span_value *out)
{
    return arg(n, t, 0, out);
}
static bool minutes(const ottl_node *n, ottl_target *t, span_value *out)
{
    return divided(n, t, out, 60e9);
}

static bool id_of(const ottl_node *n, ottl_target *t, span_value *out, uint32_t len)
{
    return arg(n, t, 0, out) &&
           ((out->type == SPAN_BYTES && out->len == len) || fail(t, n, "bytes of an id's length"));
}
static bool trace_id(const ottl_node *n, ottl_target *t, span_value *out)
{
    return id_of(n, t, out, 16);
}
static bool span_id(const ottl_node *n, ottl_target *t, span_value *out)
{
    return id_of(n, t, out, 8);
}

/* --- Editors. */

static bool nothing(span_value *out)
{
    *out = (span_value){.type = SPAN_EMPTY};
    return true;
}

static bool done(attr_edit *e, ottl_target *t, span_value *out)
{
    return e->failed ? no_memory(t) : nothing(out);
}

static bool set(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v;
    if (!arg(n, t, 1, &v))
        return false;
    if (v.type != SPAN_EMPTY && !ottl_set(n->children[0], t, &v))
        return false;
    return nothing(out); /* nil sets nothing */
}

static bool delete_key(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    sx_str key;
    if (!arg_text(n, t, 1, &key))
        return false;
    for (uint32_t i = e->count; i-- > 0;)
        if (sx_str_eq(span_attr_key(&attr_edit_items(e)[i]), key))
            attr_edit_remove(e, i);
    return done(e, t, out);
}

static bool delete_matching(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    for (uint32_t i = e->count; i-- > 0;)
        if (sx_regex_search(n->pattern, span_attr_key(&attr_edit_items(e)[i])))
            attr_edit_remove(e, i);
    return done(e, t, out);
}

static bool keep_matching(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    for (uint32_t i = e->count; i-- > 0;)
        if (!sx_regex_search(n->pattern, span_attr_key(&attr_edit_items(e)[i])))
            attr_edit_remove(e, i);
    return done(e, t, out);
}

static bool is_in(const span_value *list, sx_str key)
{
    for (uint32_t i = 0; i < list->len; i++)
        if (list->items[i].type == SPAN_STR && sx_str_eq(span_value_str(&list->items[i]), key))
            return true;
    return false;
}

static bool keep_keys(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    span_value list;
    if (!arg(n, t, 1, &list))
        return false;
    if (list.type != SPAN_LIST)
        return fail(t, n, "a list of keys is expected");
    for (uint32_t i = e->count; i-- > 0;)
        if (!is_in(&list, span_attr_key(&attr_edit_items(e)[i])))
            attr_edit_remove(e, i);
    return done(e, t, out);
}

/* False: nothing matched, or no memory (t->err->status tells). */
static bool replaced(const ottl_node *n, ottl_target *t, sx_str text, sx_str by, span_value *out)
{
    sx_buf buf;
    sx_buf_init(&buf, 16 << 20);
    if (sx_regex_replace_all(n->pattern, text, by, &buf) == 0 && !buf.failed) {
        sx_buf_done(&buf);
        return false;
    }
    return give_buf(t, &buf, out);
}

static bool replace_pattern(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v, fresh;
    sx_str by;
    if (!arg(n, t, 0, &v) || !arg_text(n, t, 2, &by))
        return false;
    if (v.type == SPAN_STR && replaced(n, t, span_value_str(&v), by, &fresh) &&
        !ottl_set(n->children[0], t, &fresh))
        return false;
    return nothing(out);
}

static bool replace_all_patterns(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    sx_str mode, by;
    span_value fresh;
    if (!arg_text(n, t, 1, &mode) || !arg_text(n, t, 3, &by))
        return false;
    bool keys = sx_str_eq(mode, SX_STR("key"));
    if (!keys && !sx_str_eq(mode, SX_STR("value")))
        return fail(t, n, "the mode is none of: key, value");
    for (uint32_t i = 0; i < e->count && !e->failed; i++) {
        const span_attr *a = &attr_edit_items(e)[i];
        if (!keys && a->value.type == SPAN_STR &&
            replaced(n, t, span_value_str(&a->value), by, &fresh))
            attr_edit_value(e, i, &fresh);
        if (keys && replaced(n, t, span_attr_key(a), by, &fresh)) {
            attr_edit_value(e, i, &a->value); /* the list is its own from here on */
            if (!e->failed) {
                e->items[i].key = fresh.data;
                e->items[i].key_len = fresh.len;
            }
        }
    }
    return done(e, t, out);
}

/* A pattern with * and ? for the whole text. */
static bool glob(sx_str pattern, sx_str text)
{
    size_t p = 0, s = 0, star = pattern.len + 1, mark = 0;
    while (s < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            mark = s;
        } else if (p < pattern.len && (pattern.data[p] == '?' || pattern.data[p] == text.data[s])) {
            p++;
            s++;
        } else if (star <= pattern.len) {
            p = star + 1;
            s = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}

static bool replace_match(const ottl_node *n, ottl_target *t, span_value *out)
{
    span_value v, fresh;
    sx_str pattern, by;
    if (!arg(n, t, 0, &v) || !arg_text(n, t, 1, &pattern) || !arg_text(n, t, 2, &by))
        return false;
    fresh = (span_value){.data = by.data, .len = (uint32_t)by.len, .type = SPAN_STR};
    if (v.type == SPAN_STR && glob(pattern, span_value_str(&v)) &&
        !ottl_set(n->children[0], t, &fresh))
        return false;
    return nothing(out);
}

static bool replace_all_matches(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    sx_str pattern, by;
    if (!arg_text(n, t, 1, &pattern) || !arg_text(n, t, 2, &by))
        return false;
    span_value fresh = {.data = by.data, .len = (uint32_t)by.len, .type = SPAN_STR};
    for (uint32_t i = 0; i < e->count && !e->failed; i++) {
        const span_value *v = &attr_edit_items(e)[i].value;
        if (v->type == SPAN_STR && glob(pattern, span_value_str(v)))
            attr_edit_value(e, i, &fresh);
    }
    return done(e, t, out);
}

static bool truncate_all(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    int64_t most;
    if (!arg_int(n, t, 1, &most))
        return false;
    if (most < 0)
        return fail(t, n, "the limit is negative");
    for (uint32_t i = 0; i < e->count && !e->failed; i++) {
        span_value v = attr_edit_items(e)[i].value;
        if (v.type != SPAN_STR || v.len <= (uint64_t)most)
            continue;
        v.len = (uint32_t)most;
        while (v.len && (v.data[v.len] & 0xc0) == 0x80) /* a character is not cut in two */
            v.len--;
        attr_edit_value(e, i, &v);
    }
    return done(e, t, out);
}

/* The prior keys stay first, then others from the front. */
static bool limit(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    int64_t most;
    span_value prior = {.type = SPAN_LIST};
    if (!arg_int(n, t, 1, &most) || (n->count > 2 && !arg(n, t, 2, &prior)))
        return false;
    if (most < 0 || prior.type != SPAN_LIST || prior.len > (uint64_t)most)
        return fail(t, n, "the limit is negative or less than the keys to keep");
    int64_t kept = 0, others;
    for (uint32_t i = 0; i < e->count; i++)
        kept += is_in(&prior, span_attr_key(&attr_edit_items(e)[i]));
    others = most - kept;
    for (uint32_t i = 0; i < e->count && !e->failed;) {
        if (is_in(&prior, span_attr_key(&attr_edit_items(e)[i])) || others-- > 0)
            i++;
        else
            attr_edit_remove(e, i);
    }
    return done(e, t, out);
}

static bool merge_maps(const ottl_node *n, ottl_target *t, span_value *out)
{
    attr_edit *e = ottl_attrs(n->children[0], t);
    span_value from;
    sx_str how;
    if (!arg(n, t, 1, &from) || !arg_text(n, t, 2, &how))
        return false;
    bool insert = sx_str_eq(how, SX_STR("insert")), update = sx_str_eq(how, SX_STR("update"));
    if (from.type != SPAN_MAP || (!insert && !update && !sx_str_eq(how, SX_STR("upsert"))))
        return fail(t, n, "a map and one of insert, update, upsert are expected");
    for (uint32_t i = 0; i < from.len && !e->failed; i++) {
        sx_str key = span_attr_key(&from.members[i]);
        bool there = attr_edit_find(e, key) != NULL;
        if (there ? !insert : !update)
            attr_edit_set(e, key, &from.members[i].value);
    }
    return done(e, t, out);
}

const ottl_function OTTL_FUNCTIONS[] = {
    {"IsMatch", 2, 2, 1, -1, false, is_match},
    {"IsString", 1, 1, -1, -1, false, is_string},
    {"IsInt", 1, 1, -1, -1, false, is_int},
    {"IsDouble", 1, 1, -1, -1, false, is_double},
    {"IsBool", 1, 1, -1, -1, false, is_bool},
    {"IsMap", 1, 1, -1, -1, false, is_map},
    {"IsList", 1, 1, -1, -1, false, is_list},
    {"IsRootSpan", 0, 0, -1, -1, false, is_root},
    {"HasPrefix", 2, 2, -1, -1, false, has_prefix},
    {"HasSuffix", 2, 2, -1, -1, false, has_suffix},
    {"Concat", 2, 2, -1, -1, false, concat},
    {"Split", 2, 2, -1, -1, false, split},
    {"ConvertCase", 2, 2, -1, -1, false, convert_case},
    {"Len", 1, 1, -1, -1, false, length},
    {"Int", 1, 1, -1, -1, false, to_int},
    {"Double", 1, 1, -1, -1, false, to_double},
    {"String", 1, 1, -1, -1, false, to_string},
    {"Substring", 3, 3, -1, -1, false, substring},
    {"Trim", 1, 1, -1, -1, false, trim},
    {"SHA256", 1, 1, -1, -1, false, sha256},
    {"Duration", 1, 1, -1, -1, false, duration},
    {"Seconds", 1, 1, -1, -1, false, seconds},
    {"Minutes", 1, 1, -1, -1, false, minutes},
    {"Milliseconds", 1, 1, -1, -1, false, milliseconds},
    {"Nanoseconds", 1, 1, -1, -1, false, nanoseconds},
    {"UnixNano", 1, 1, -1, -1, false, nanoseconds},
    {"TraceID", 1, 1, -1, -1, false, trace_id},
    {"SpanID", 1, 1, -1, -1, false, span_id},
    {"set", 2, 2, -1, 0, false, set},
    {"delete_key", 2, 2, -1, 0, true, delete_key},
    {"delete_matching_keys", 2, 2, 1, 0, true, delete_matching},
    {"keep_keys", 2, 2, -1, 0, true, keep_keys},
    {"keep_matching_keys", 2, 2, 1, 0, true, keep_matching},
    {"replace_pattern", 3, 3, 1, 0, false, replace_pattern},
    {"replace_match", 3, 3, -1, 0, false, replace_match},
    {"replace_all_patterns", 4, 4, 2, 0, true, replace_all_patterns},
    {"replace_all_matches", 3, 3, -1, 0, true, replace_all_matches},
    {"truncate_all", 2, 2, -1, 0, true, truncate_all},
    {"limit", 2, 3, -1, 0, true, limit},
    {"merge_maps", 3, 3, -1, 0, true, merge_maps},
};
const size_t OTTL_FUNCTION_COUNT = SX_COUNT_OF(OTTL_FUNCTIONS);
