/* params.c - forms, times, durations, numbers, matchers. */
#include "observe/api/params.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

enum { NUMBER_BYTES_MAX = 512 };

/* ---- forms ---- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* The first broken escape of an encoded text, in Go's words. False: there is none. */
static bool find_fault(sx_str text, sx_arena *arena, sx_str *fault)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '%' ||
            (i + 2 < text.len && is_hex(text.data[i + 1]) && is_hex(text.data[i + 2])))
            continue;
        sx_buf quoted;
        sx_buf_init(&quoted, 64);
        tsdb_quote(sx_str_first(sx_str_from(text, i), 3), &quoted);
        *fault = sx_arena_printf(arena, "invalid URL escape %.*s", SX_ARG(sx_buf_view(&quoted)));
        sx_buf_done(&quoted);
        return true;
    }
    return false;
}

typedef struct gathering {
    sx_arena *arena;
    api_param *items;
    size_t count, cap;
    sx_str fault;
} gathering;

static sx_status gather(gathering *g, sx_str rest, bool in_address, sx_error *err)
{
    while (rest.len) {
        sx_str pair, name, value, fault;
        sx_str_cut(rest, '&', &pair, &rest);
        if (pair.len == 0)
            continue;
        if (sx_str_find_byte(pair, ';') < pair.len) {
            if (!g->fault.len)
                g->fault = SX_STR("invalid semicolon separator in query");
            continue;
        }
        if (!sx_str_cut(pair, '=', &name, &value))
            value = SX_STR("");
        if (find_fault(pair, g->arena, &fault)) {
            if (!g->fault.len)
                g->fault = fault;
            continue;
        }
        if (g->count == API_PARAMS_MAX)
            return sx_fail(err, SX_ELIMIT, "more than %d parameters", API_PARAMS_MAX);
        if (!sx_arena_grow(g->arena, &g->items, &g->cap, g->count + 1, sizeof *g->items))
            return sx_fail_memory(err, "parameters");
        api_param *p = &g->items[g->count];
        p->in_address = in_address;
        sx_status status = sx_percent_decode(g->arena, name, SX_PERCENT_FORM, &p->name, err);
        if (status == SX_OK)
            status = sx_percent_decode(g->arena, value, SX_PERCENT_FORM, &p->value, err);
        if (status != SX_OK)
            return status;
        g->count++;
    }
    return SX_OK;
}

static bool has_form_body(const sx_request *r)
{
    sx_str type = sx_request_header(r, SX_STR("content-type")), rest;
    sx_str_cut(type, ';', &type, &rest);
    return (r->method == SX_POST || r->method == SX_PUT || r->method == SX_PATCH) &&
           sx_str_ieq(sx_str_trim(type), SX_STR("application/x-www-form-urlencoded"));
}

sx_status api_form_read(const sx_request *r, sx_arena *arena, api_form *out, sx_error *err)
{
    gathering g = {.arena = arena};
    sx_status status = SX_OK;
    if (has_form_body(r))
        status = gather(&g, r->body, false, err);
    if (status == SX_OK)
        status = gather(&g, r->query, true, err);
    *out = (api_form){.items = g.items, .count = g.count, .fault = g.fault};
    return status;
}

static sx_str first_of(const api_form *f, const char *name, bool address_only)
{
    for (size_t i = 0; i < f->count; i++)
        if ((!address_only || f->items[i].in_address) &&
            sx_str_eq(f->items[i].name, sx_str_z(name)))
            return f->items[i].value;
    return SX_STR("");
}

sx_str api_form_get(const api_form *f, const char *name)
{
    return first_of(f, name, false);
}

sx_str api_form_address(const api_form *f, const char *name)
{
    return first_of(f, name, true);
}

sx_status api_form_all(const api_form *f, const char *name, sx_arena *arena, sx_str **out,
                       size_t *count, sx_error *err)
{
    *count = 0;
    *out = sx_arena_calloc(arena, f->count + 1, sizeof **out);
    if (!*out)
        return sx_fail_memory(err, "parameters");
    for (size_t i = 0; i < f->count; i++)
        if (sx_str_eq(f->items[i].name, sx_str_z(name)))
            (*out)[(*count)++] = f->items[i].value;
    return SX_OK;
}

/* ---- numbers ---- */

/* The grammar of decimal floats: [digits][.digits][e[+-]digits] with a digit in front of the e. */
static bool is_decimal(sx_str s)
{
    size_t i = 0, digits = 0;
    for (; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++)
        digits++;
    if (i < s.len && s.data[i] == '.')
        for (i++; i < s.len && s.data[i] >= '0' && s.data[i] <= '9'; i++)
            digits++;
    if (digits && i < s.len && (s.data[i] | 32) == 'e') {
        i++;
        if (i < s.len && (s.data[i] == '+' || s.data[i] == '-'))
            i++;
        size_t from = i;
        while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9')
            i++;
        digits = i > from ? digits : 0;
    }
    return digits && i == s.len;
}

/* Copies without the underscores that stand between digits; false if one stands elsewhere. */
static bool drop_underscores(sx_str s, char copy[NUMBER_BYTES_MAX], size_t *len)
{
    *len = 0;
    if (s.len >= NUMBER_BYTES_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] != '_')
            copy[(*len)++] = s.data[i];
        else if (i == 0 || i + 1 == s.len || !is_hex(s.data[i - 1]) || !is_hex(s.data[i + 1]))
            return false;
    }
    copy[*len] = '\0';
    return true;
}

/* 0x1.8p3: Go wants the exponent. */
static bool is_hexadecimal(sx_str s)
{
    size_t i = 2, digits = 0;
    if (s.len < 3 || s.data[0] != '0' || (s.data[1] | 32) != 'x')
        return false;
    for (; i < s.len && (is_hex(s.data[i]) || s.data[i] == '.'); i++)
        digits += s.data[i] != '.';
    sx_str mantissa = sx_str_first(sx_str_from(s, 2), i - 2), before, after;
    sx_str_cut(mantissa, '.', &before, &after);
    if (!digits || sx_str_find_byte(after, '.') < after.len || i + 1 >= s.len ||
        (s.data[i] | 32) != 'p')
        return false;
    i++;
    i += s.data[i] == '+' || s.data[i] == '-';
    size_t from = i;
    while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9')
        i++;
    return i > from && i == s.len;
}

bool api_float_read(sx_str text, double *out)
{
    char copy[NUMBER_BYTES_MAX];
    size_t len;
    bool minus = text.len && text.data[0] == '-';
    sx_str rest = minus || (text.len && text.data[0] == '+') ? sx_str_from(text, 1) : text;
    double value;
    if (sx_str_ieq(rest, SX_STR("inf")) || sx_str_ieq(rest, SX_STR("infinity"))) {
        value = INFINITY;
    } else if (sx_str_ieq(text, SX_STR("nan"))) {
        value = NAN;
    } else if (drop_underscores(rest, copy, &len) &&
               (is_decimal(sx_str_of(copy, len)) || is_hexadecimal(sx_str_of(copy, len)))) {
        value = strtod(copy, NULL); /* the grammar was checked, the locale is C's */
        if (isinf(value))
            return false; /* Go: value out of range */
    } else {
        return false;
    }
    *out = minus ? -value : value;
    return true;
}

static sx_status bad_int(const char *function, sx_str text, const char *why, sx_error *err)
{
    sx_buf quoted;
    sx_buf_init(&quoted, 1024);
    tsdb_quote(sx_str_first(text, 200), &quoted);
    sx_fail(err, SX_EFORMAT, "strconv.%s: parsing %.*s: %s", function, SX_ARG(sx_buf_view(&quoted)),
            why);
    sx_buf_done(&quoted);
    return SX_EFORMAT;
}

sx_status api_int_read(sx_str text, const char *go_function, int bits, int64_t *out, sx_error *err)
{
    bool plus = text.len && text.data[0] == '+';
    sx_str digits = plus ? sx_str_from(text, 1) : text;
    sx_str bare = sx_str_from(digits, !plus && digits.len && digits.data[0] == '-');
    for (size_t i = 0; i < bare.len; i++)
        if (bare.data[i] < '0' || bare.data[i] > '9')
            return bad_int(go_function, text, "invalid syntax", err);
    if (!bare.len)
        return bad_int(go_function, text, "invalid syntax", err);
    while (bare.len > 1 && bare.data[0] == '0')
        bare = sx_str_from(bare, 1);
    int64_t value, most = bits == 32 ? INT32_MAX : INT64_MAX;
    if (!sx_str_to_i64(bare, &value) || value > most)
        return bad_int(go_function, text, "value out of range", err);
    *out = text.data[0] == '-' ? -value : value;
    return SX_OK;
}

bool api_bool_read(sx_str text, bool *out)
{
    static const char *const WORDS[] = {"1", "t", "T", "true",  "TRUE",  "True",
                                        "0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (!sx_str_eq(text, sx_str_z(WORDS[i])))
            continue;
        *out = i < SX_COUNT_OF(WORDS) / 2;
        return true;
    }
    return false;
}

sx_status api_form_limit(const api_form *f, int64_t *out, sx_error *err)
{
    sx_str text = api_form_get(f, "limit");
    *out = 0;
    if (!text.len)
        return SX_OK;
    sx_status status = api_int_read(text, "Atoi", 64, out, err);
    if (status == SX_OK && *out < 0)
        return sx_fail(err, SX_EFORMAT, "limit must be non-negative");
    return status;
}

/* ---- times ---- */

static bool take_number(sx_str *s, size_t digits, int *out)
{
    int value = 0;
    if (s->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (s->data[i] < '0' || s->data[i] > '9')
            return false;
        value = value * 10 + (s->data[i] - '0');
    }
    *s = sx_str_from(*s, digits);
    *out = value;
    return true;
}

static bool take_byte(sx_str *s, char byte)
{
    if (!s->len || s->data[0] != byte)
        return false;
    *s = sx_str_from(*s, 1);
    return true;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int year, int month)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap);
}

/* .5 or ,5: Go takes both; digits beyond nanoseconds are cut. */
static bool take_fraction(sx_str *s, int32_t *ns)
{
    *ns = 0;
    if (!s->len || (s->data[0] != '.' && s->data[0] != ','))
        return true;
    *s = sx_str_from(*s, 1);
    int32_t unit = 100000000;
    size_t digits = 0;
    for (; s->len && s->data[0] >= '0' && s->data[0] <= '9'; *s = sx_str_from(*s, 1), digits++) {
        *ns += (s->data[0] - '0') * unit;
        unit /= 10;
    }
    return digits > 0;
}

static bool take_zone(sx_str *s, int *minutes)
{
    int hour, minute;
    *minutes = 0;
    if (take_byte(s, 'Z'))
        return true;
    bool west = s->len && s->data[0] == '-';
    if (!take_byte(s, '+') && !take_byte(s, '-'))
        return false;
    if (!take_number(s, 2, &hour) || !take_byte(s, ':') || !take_number(s, 2, &minute) ||
        hour > 24 || minute > 60)
        return false;
    *minutes = (hour * 60 + minute) * (west ? -1 : 1);
    return true;
}

static bool read_rfc3339(sx_str s, api_time *out)
{
    int year, month, day, hour, minute, second, zone;
    bool good = take_number(&s, 4, &year) && take_byte(&s, '-') && take_number(&s, 2, &month) &&
                take_byte(&s, '-') && take_number(&s, 2, &day) && take_byte(&s, 'T') &&
                take_number(&s, 2, &hour) && take_byte(&s, ':') && take_number(&s, 2, &minute) &&
                take_byte(&s, ':') && take_number(&s, 2, &second) && take_fraction(&s, &out->ns) &&
                take_zone(&s, &zone) && s.len == 0;
    if (!good || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    out->s = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone * 60;
    return true;
}

/* Prometheus's own bounds, which have years of more than four digits. */
static bool read_bound(sx_str s, api_time *out)
{
    bool least = sx_str_eq(s, SX_STR("-292273086-05-16T16:47:06Z"));
    if (!least && !sx_str_eq(s, SX_STR("292277025-08-18T07:12:54.999999999Z")))
        return false;
    *out = least ? (api_time){API_TIME_MIN_MS / 1000, 0}
                 : (api_time){API_TIME_MAX_MS / 1000, 999999999};
    return true;
}

sx_status api_time_read(sx_str text, api_time *out, sx_error *err)
{
    double value, whole;
    if (api_float_read(text, &value)) {
        double rest = round(modf(value, &whole) * 1000) / 1000;
        if (!(fabs(whole) < 9.2e18)) /* what Go makes of these is the processor's affair */
            whole = whole < 0 ? (double)(API_TIME_MIN_MS / 1000) : (double)(API_TIME_MAX_MS / 1000);
        int64_t ns = (int64_t)(rest * 1e9);
        *out = (api_time){(int64_t)whole, (int32_t)ns};
        if (ns < 0)
            *out = (api_time){out->s - 1, (int32_t)(ns + 1000000000)};
        else if (ns >= 1000000000)
            *out = (api_time){out->s + 1, (int32_t)(ns - 1000000000)};
        return SX_OK;
    }
    api_time parsed = {0};
    if (read_rfc3339(text, &parsed) || read_bound(text, &parsed)) {
        *out = parsed;
        return SX_OK;
    }
    sx_buf quoted;
    sx_buf_init(&quoted, 2048);
    tsdb_quote(sx_str_first(text, 300), &quoted);
    sx_fail(err, SX_EFORMAT, "cannot parse %.*s to a valid timestamp",
            SX_ARG(sx_buf_view(&quoted)));
    sx_buf_done(&quoted);
    return SX_EFORMAT;
}

int64_t api_time_ms(api_time t)
{
    int64_t ms;
    if (__builtin_mul_overflow(t.s, 1000, &ms) || __builtin_add_overflow(ms, t.ns / 1000000, &ms))
        return t.s < 0 ? INT64_MIN : INT64_MAX;
    return ms;
}

int64_t api_time_minus(api_time a, api_time b)
{
    __int128 ns = ((__int128)a.s - b.s) * 1000000000 + a.ns - b.ns;
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

sx_status api_form_time(const api_form *f, const char *name, int64_t fallback_ms, int64_t *out,
                        sx_error *err)
{
    sx_str text = api_form_get(f, name);
    api_time t;
    *out = fallback_ms;
    if (!text.len)
        return SX_OK;
    sx_status status = api_time_read(text, &t, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "invalid time value for '%s'", name);
    *out = api_time_ms(t);
    return SX_OK;
}

sx_status api_duration_read(sx_str text, int64_t *ns, sx_error *err)
{
    double value;
    int64_t ms;
    if (api_float_read(text, &value) && fabs(value * 1e9) < 0x1p63) {
        *ns = (int64_t)(value * 1e9);
        return SX_OK;
    }
    sx_status status = promql_parse_duration(text, true, &ms, err);
    if (status == SX_OK && __builtin_mul_overflow(ms, 1000000, ns))
        *ns = ms < 0 ? INT64_MIN : INT64_MAX;
    return status;
}

/* ---- matchers ---- */

const tsdb_matcher *api_matchers_set(const api_matchers *m, size_t i, size_t *count)
{
    const promql_expr *e = m->sets[i].expr;
    *count = e->selector.matcher_count;
    return e->selector.matchers;
}

static sx_status refuse_empty(const api_matchers *m, sx_error *err)
{
    for (size_t i = 0; i < m->count; i++) {
        size_t count;
        bool refuses = false;
        const tsdb_matcher *matchers = api_matchers_set(m, i, &count);
        for (size_t k = 0; k < count && !refuses; k++)
            refuses = !tsdb_matcher_matches(&matchers[k], SX_STR(""));
        if (!refuses)
            return sx_fail(err, SX_EFORMAT, "match[] must contain at least one non-empty matcher");
    }
    return SX_OK;
}

sx_status api_matchers_read(const api_form *f, bool empty_allowed, sx_arena *arena,
                            api_matchers *out, sx_error *err)
{
    sx_str *texts;
    size_t count;
    *out = (api_matchers){0};
    sx_status status = api_form_all(f, "match[]", arena, &texts, &count, err);
    if (status != SX_OK || count == 0)
        return status;
    out->sets = sx_arena_calloc(arena, count, sizeof *out->sets);
    if (!out->sets)
        return sx_fail_memory(err, "matchers");
    for (size_t i = 0; i < count; i++) {
        status = promql_parse_selector(texts[i], arena, &out->sets[i], err);
        if (status != SX_OK)
            return status;
        out->count++;
    }
    return empty_allowed ? SX_OK : refuse_empty(out, err);
}

void api_matchers_done(api_matchers *m)
{
    for (size_t i = 0; i < m->count; i++)
        promql_parsed_done(&m->sets[i]);
    m->count = 0;
}

/* ---- escaped names ---- */

/* _XX_ at `at` of `name`: the character and how many bytes it took; 0: it is none. */
static size_t read_escape(sx_str name, size_t at, uint32_t *code)
{
    uint32_t value = 0;
    size_t i = at + 1;
    for (; i < name.len && is_hex(name.data[i]) && i - at <= 6; i++) {
        char c = name.data[i];
        if (c >= 'A' && c <= 'F')
            return 0;
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (i == at + 1 || i >= name.len || name.data[i] != '_')
        return 0;
    *code = value;
    return i + 1 - at;
}

sx_status api_name_unescape(sx_str name, sx_arena *arena, sx_str *out, sx_error *err)
{
    *out = name;
    if (!sx_str_starts(name, SX_STR("U__")))
        return SX_OK;
    char *to = sx_arena_alloc(arena, name.len + 8);
    if (!to)
        return sx_fail_memory(err, "a name");
    size_t len = 0;
    for (size_t i = 3; i < name.len;) {
        uint32_t code = 0;
        if (name.data[i] != '_') {
            to[len++] = name.data[i++];
        } else if (i + 1 < name.len && name.data[i + 1] == '_') {
            to[len++] = '_';
            i += 2;
        } else {
            size_t used = read_escape(name, i, &code);
            char bytes[4];
            size_t n = used ? sx_utf8_encode(code, bytes) : 0;
            if (n == 0)
                return SX_OK;           /* no such escape: the name as it was */
            memcpy(to + len, bytes, n); /* no longer than what it stood for: _, digits, _ */
            len += n;
            i += used;
        }
    }
    *out = sx_str_of(to, len);
    return SX_OK;
}
