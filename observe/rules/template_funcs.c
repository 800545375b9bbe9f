/* template_funcs.c - the table of Prometheus's template functions, those on texts, and expansion. */
#include "observe/rules/template_funcs.h"

#include <arpa/inet.h>

#include <sextant/mem.h>
#include <sextant/regex.h>

#include "observe/rules/template_case.h"
#include "observe/rules/template_internal.h"

/* The alert's text comes right behind, on the same line. */
static const char DECLARATIONS[] = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
                                   "{{$externalURL := .ExternalURL}}{{$value := .Value}}";

sx_status rule_template_give(sx_buf *text, sx_arena *arena, sx_tvalue *out, sx_error *err)
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

const char *rule_template_type(const sx_tvalue *v)
{
    switch (v->kind) {
    case SX_TVALUE_NIL:
        return "<nil>";
    case SX_TVALUE_BOOL:
        return "bool";
    case SX_TVALUE_INT:
        return "int";
    case SX_TVALUE_FLOAT:
        return "float64";
    case SX_TVALUE_STRING:
        return "string";
    case SX_TVALUE_FUNC:
        return "func";
    default:
        return v->ops->type;
    }
}

sx_status rule_template_text(const sx_tvalue *v, sx_str *out, sx_error *err)
{
    if (v->kind != SX_TVALUE_STRING)
        return sx_fail(err, SX_EINVAL, "wrong type for value; expected string; got %s",
                       rule_template_type(v));
    *out = v->string;
    return SX_OK;
}

/* --- Functions on texts. */

static sx_status change_case(const sx_tvalue *v, rule_template_case to, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    sx_str text;
    sx_buf changed;
    sx_status st = rule_template_text(v, &text, err);
    if (st != SX_OK)
        return st;
    sx_buf_init(&changed, 0);
    rule_template_change_case(text, to, &changed);
    return rule_template_give(&changed, arena, out, err);
}

static sx_status to_upper(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                          sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count;
    return change_case(&args[0], RULE_UPPER, arena, out, err);
}

static sx_status to_lower(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                          sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count;
    return change_case(&args[0], RULE_LOWER, arena, out, err);
}

static sx_status to_title(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                          sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count;
    return change_case(&args[0], RULE_TITLE, arena, out, err);
}

static sx_status match(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                       sx_tvalue *out, sx_error *err)
{
    const sx_regex_options options = {.flags = SX_REGEX_DOT_NO_LINE};
    sx_str pattern, text;
    sx_regex *re;
    (void)ctx, (void)count, (void)arena;
    sx_status st = rule_template_text(&args[0], &pattern, err);
    if (st == SX_OK)
        st = rule_template_text(&args[1], &text, err);
    if (st == SX_OK)
        st = sx_regex_new(&re, pattern, &options, err);
    if (st != SX_OK)
        return st;
    *out = (sx_tvalue){.kind = SX_TVALUE_BOOL, .boolean = sx_regex_search(re, text)};
    sx_regex_free(re);
    return SX_OK;
}

static sx_status replace_all(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    const sx_regex_options options = {.flags = SX_REGEX_DOT_NO_LINE | SX_REGEX_CAPTURES};
    enum { RESULT_BYTES_MAX = 16 << 20 };
    sx_str pattern, replacement, text;
    sx_regex *re;
    sx_buf result;
    (void)ctx, (void)count;
    sx_status st = rule_template_text(&args[0], &pattern, err);
    if (st == SX_OK)
        st = rule_template_text(&args[1], &replacement, err);
    if (st == SX_OK)
        st = rule_template_text(&args[2], &text, err);
    if (st == SX_OK)
        st = sx_regex_new(&re, pattern, &options, err);
    if (st != SX_OK)
        return st;
    sx_buf_init(&result, RESULT_BYTES_MAX);
    sx_regex_replace_all(re, text, replacement, &result);
    sx_regex_free(re);
    return rule_template_give(&result, arena, out, err);
}

static sx_status safe_html(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                           sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count, (void)arena;
    *out = args[0];
    return rule_template_text(&args[0], &out->string, err);
}

/* Splits "host:port", "[v6]:port" as Go's net.SplitHostPort; false if it is neither. */
static bool split_host_port(sx_str s, sx_str *host, sx_str *port)
{
    size_t colon = s.len;
    while (colon > 0 && s.data[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    *port = sx_str_from(s, colon);
    *host = sx_str_first(s, colon - 1);
    if (s.data[0] == '[') {
        size_t end = sx_str_find_byte(s, ']');
        if (end == s.len || end + 1 != colon - 1)
            return false;
        *host = sx_str_of(s.data + 1, end - 1);
        return sx_str_find_byte(*host, '[') == host->len &&
               sx_str_find_byte(*port, '[') == port->len &&
               sx_str_find_byte(*port, ']') == port->len;
    }
    static const char NONE_OF[] = {':', '[', ']'};
    for (size_t i = 0; i < sizeof NONE_OF; i++) {
        if (sx_str_find_byte(*host, NONE_OF[i]) < host->len ||
            sx_str_find_byte(*port, NONE_OF[i]) < port->len)
            return false;
    }
    return true;
}

static bool is_ip(sx_str host)
{
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char address[16];
    if (host.len == 0 || host.len >= sizeof text)
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static sx_status strip_port(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    sx_str text, host, port;
    (void)ctx, (void)count, (void)arena;
    sx_status st = rule_template_text(&args[0], &text, err);
    if (st == SX_OK)
        *out = (sx_tvalue){.kind = SX_TVALUE_STRING,
                           .string = split_host_port(text, &host, &port) ? host : text};
    return st;
}

static sx_status strip_domain(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    sx_str text, host, port = {0}, rest;
    (void)ctx, (void)count;
    sx_status st = rule_template_text(&args[0], &text, err);
    if (st != SX_OK)
        return st;
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = text};
    if (!split_host_port(text, &host, &port)) {
        host = text;
        port = (sx_str){0};
    }
    if (is_ip(host))
        return SX_OK;
    sx_str_cut(host, '.', &host, &rest);
    out->string = host;
    if (port.len == 0)
        return SX_OK;
    bool colons = sx_str_find_byte(host, ':') < host.len;
    out->string = sx_arena_printf(arena, "%s%.*s%s:%.*s", colons ? "[" : "", SX_ARG(host),
                                  colons ? "]" : "", SX_ARG(port));
    return out->string.data ? SX_OK : sx_fail_memory(err, "a template's text");
}

/* As Go's url.QueryEscape. */
static void query_escape(sx_str text, sx_buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';
        if (plain)
            sx_buf_byte(out, (char)c);
        else if (c == ' ')
            sx_buf_byte(out, '+');
        else
            sx_buf_printf(out, "%%%02X", c);
    }
}

void rule_link(sx_str expr, bool table, sx_buf *out)
{
    sx_buf_str(out, SX_STR("/graph?g0.expr="));
    query_escape(expr, out);
    sx_buf_str(out, table ? SX_STR("&g0.tab=1") : SX_STR("&g0.tab=0"));
}

static sx_status give_link(const sx_tvalue *v, bool table, sx_arena *arena, sx_tvalue *out,
                           sx_error *err)
{
    sx_str expr;
    sx_buf link;
    sx_status st = rule_template_text(v, &expr, err);
    if (st != SX_OK)
        return st;
    sx_buf_init(&link, 0);
    rule_link(expr, table, &link);
    return rule_template_give(&link, arena, out, err);
}

static sx_status graph_link(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count;
    return give_link(&args[0], false, arena, out, err);
}

static sx_status table_link(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                            sx_tvalue *out, sx_error *err)
{
    (void)ctx, (void)count;
    return give_link(&args[0], true, arena, out, err);
}

static sx_status url_query_escape(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                                  sx_tvalue *out, sx_error *err)
{
    sx_str text;
    sx_buf escaped;
    (void)ctx, (void)count;
    sx_status st = rule_template_text(&args[0], &text, err);
    if (st != SX_OK)
        return st;
    sx_buf_init(&escaped, 0);
    query_escape(text, &escaped);
    return rule_template_give(&escaped, arena, out, err);
}

static sx_status external_url(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                              sx_tvalue *out, sx_error *err)
{
    (void)args, (void)count, (void)arena, (void)err;
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING,
                       .string = ((const rule_template_env *)ctx)->external_url};
    return SX_OK;
}

/* The path of the external URL: what stands behind the host. */
static sx_status path_prefix(void *ctx, const sx_tvalue *args, size_t count, sx_arena *arena,
                             sx_tvalue *out, sx_error *err)
{
    sx_str url = ((const rule_template_env *)ctx)->external_url;
    (void)args, (void)count, (void)arena, (void)err;
    size_t host = sx_str_find(url, SX_STR("://"));
    url = sx_str_from(url, host < url.len ? host + 3 : 0);
    url = sx_str_from(url, sx_str_find_byte(url, '/'));
    url = sx_str_first(url, sx_str_find_byte(url, '?'));
    *out = (sx_tvalue){.kind = SX_TVALUE_STRING,
                       .string = sx_str_first(url, sx_str_find_byte(url, '#'))};
    return SX_OK;
}

static const sx_tfunc FUNCS[] = {{"query", 1, 1, rule_template_query},
                                 {"first", 1, 1, rule_template_first},
                                 {"label", 2, 2, rule_template_label},
                                 {"value", 1, 1, rule_template_value},
                                 {"strvalue", 1, 1, rule_template_strvalue},
                                 {"sortByLabel", 2, 2, rule_template_sort},
                                 {"args", 0, -1, rule_template_args},
                                 {"reReplaceAll", 3, 3, replace_all},
                                 {"safeHtml", 1, 1, safe_html},
                                 {"match", 2, 2, match},
                                 {"title", 1, 1, to_title},
                                 {"toUpper", 1, 1, to_upper},
                                 {"toLower", 1, 1, to_lower},
                                 {"graphLink", 1, 1, graph_link},
                                 {"tableLink", 1, 1, table_link},
                                 {"stripPort", 1, 1, strip_port},
                                 {"stripDomain", 1, 1, strip_domain},
                                 {"humanize", 1, 1, rule_template_humanize},
                                 {"humanize1024", 1, 1, rule_template_humanize1024},
                                 {"humanizeDuration", 1, 1, rule_template_humanize_duration},
                                 {"humanizePercentage", 1, 1, rule_template_humanize_percentage},
                                 {"humanizeTimestamp", 1, 1, rule_template_humanize_timestamp},
                                 {"toTime", 1, 1, rule_template_to_time},
                                 {"toDuration", 1, 1, rule_template_to_duration},
                                 {"now", 0, 0, rule_template_now},
                                 {"pathPrefix", 0, 0, path_prefix},
                                 {"externalURL", 0, 0, external_url},
                                 {"parseDuration", 1, 1, rule_template_parse_duration},
                                 {"urlQueryEscape", 1, 1, url_query_escape}};

/* --- Templates. */

sx_status rule_template_new(sx_str alert, sx_str text, sx_template **out, sx_error *err)
{
    const sx_template_options options = {
        .funcs = FUNCS, .func_count = SX_COUNT_OF(FUNCS), .missing_key_zero = true};
    sx_buf whole, name;
    *out = NULL;
    sx_buf_init(&whole, 0);
    sx_buf_init(&name, 0);
    sx_buf_str(&whole, sx_str_z(DECLARATIONS));
    sx_buf_str(&whole, text);
    sx_buf_str(&name, SX_STR("__alert_"));
    sx_buf_str(&name, alert);
    sx_status st = sx_buf_status(&whole, "a template", err);
    if (st == SX_OK)
        st = sx_buf_status(&name, "a template", err);
    if (st == SX_OK)
        st = sx_template_new(sx_buf_view(&name), sx_buf_view(&whole), &options, out, err);
    sx_buf_done(&whole);
    sx_buf_done(&name);
    return st;
}

/* The dot: what .Labels, .ExternalLabels, .ExternalURL and .Value are. */
typedef struct dot {
    sx_tvalue labels, external_labels, external_url, value;
} dot;

static sx_status dot_get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                         sx_error *err)
{
    const dot *d = object;
    (void)arena, (void)err;
    if (sx_str_eq(name, SX_STR("Labels")))
        *out = d->labels;
    else if (sx_str_eq(name, SX_STR("ExternalLabels")))
        *out = d->external_labels;
    else if (sx_str_eq(name, SX_STR("ExternalURL")))
        *out = d->external_url;
    else if (sx_str_eq(name, SX_STR("Value")))
        *out = d->value;
    else
        return SX_ENOTFOUND;
    return SX_OK;
}

static const sx_tobject_ops DOT = {
    .type = "struct { Labels map[string]string; ExternalLabels map[string]string; "
            "ExternalURL string; Value interface {} }",
    .get = dot_get};

static sx_status run(const sx_template *t, const rule_template_data *data, rule_template_env *env,
                     sx_arena *arena, sx_buf *out, sx_error *err)
{
    dot d = {.external_url = {.kind = SX_TVALUE_STRING, .string = data->external_url},
             .value = {.kind = SX_TVALUE_FLOAT, .number = data->value}};
    sx_tvalue top = {.kind = SX_TVALUE_STRUCT, .object = &d, .ops = &DOT};
    sx_status st = rule_template_labels(data->labels, arena, &d.labels, err);
    if (st == SX_OK)
        st = rule_template_labels(data->external_labels, arena, &d.external_labels, err);
    if (st == SX_OK && data->histogram)
        st = rule_template_histogram(data->histogram, arena, &d.value, err);
    return st == SX_OK ? sx_template_run(t, (sx_str){0}, &top, env, arena, out, err) : st;
}

sx_status rule_template_expand(const sx_template *t, const rule_template_data *data,
                               rule_template_env *env, sx_arena *arena, sx_buf *out,
                               sx_error *trouble, sx_error *err)
{
    size_t begin = out->len;
    sx_error why = {0};
    if (trouble)
        trouble->message[0] = '\0';
    sx_status st = run(t, data, env, arena, out, &why);
    if (st == SX_ENOMEM)
        return sx_fail_memory(err, "a template's text");
    if (st != SX_OK) {
        out->len = begin;
        sx_buf_printf(out, "<error expanding template: error executing template %.*s: %s>",
                      SX_ARG(sx_template_name(t, 0)), why.message);
        if (trouble)
            *trouble = why;
    }
    return sx_buf_status(out, "a template's text", err);
}
