/* static_rules.c - conditions, ranges, dates and content types of static files (static_rules.h). */
#include "net/static_rules.h"

#include <stdio.h>
#include <time.h>

#include <sextant/static.h>

/* ---- content types ---- */

/* By extension, sorted for nobody: it is short. IANA's media types. */
static const struct {
    sx_str extension, type;
} TYPES[] = {
    {SX_STR_INIT("html"), SX_STR_INIT("text/html; charset=utf-8")},
    {SX_STR_INIT("htm"), SX_STR_INIT("text/html; charset=utf-8")},
    {SX_STR_INIT("css"), SX_STR_INIT("text/css; charset=utf-8")},
    {SX_STR_INIT("js"), SX_STR_INIT("text/javascript; charset=utf-8")},
    {SX_STR_INIT("mjs"), SX_STR_INIT("text/javascript; charset=utf-8")},
    {SX_STR_INIT("json"), SX_STR_INIT("application/json")},
    {SX_STR_INIT("geojson"), SX_STR_INIT("application/geo+json")},
    {SX_STR_INIT("map"), SX_STR_INIT("application/json")},
    {SX_STR_INIT("webmanifest"), SX_STR_INIT("application/manifest+json")},
    {SX_STR_INIT("xml"), SX_STR_INIT("application/xml")},
    {SX_STR_INIT("txt"), SX_STR_INIT("text/plain; charset=utf-8")},
    {SX_STR_INIT("md"), SX_STR_INIT("text/markdown; charset=utf-8")},
    {SX_STR_INIT("csv"), SX_STR_INIT("text/csv; charset=utf-8")},
    {SX_STR_INIT("yaml"), SX_STR_INIT("application/yaml")},
    {SX_STR_INIT("yml"), SX_STR_INIT("application/yaml")},
    {SX_STR_INIT("svg"), SX_STR_INIT("image/svg+xml")},
    {SX_STR_INIT("png"), SX_STR_INIT("image/png")},
    {SX_STR_INIT("jpg"), SX_STR_INIT("image/jpeg")},
    {SX_STR_INIT("jpeg"), SX_STR_INIT("image/jpeg")},
    {SX_STR_INIT("gif"), SX_STR_INIT("image/gif")},
    {SX_STR_INIT("webp"), SX_STR_INIT("image/webp")},
    {SX_STR_INIT("avif"), SX_STR_INIT("image/avif")},
    {SX_STR_INIT("ico"), SX_STR_INIT("image/x-icon")},
    {SX_STR_INIT("woff"), SX_STR_INIT("font/woff")},
    {SX_STR_INIT("woff2"), SX_STR_INIT("font/woff2")},
    {SX_STR_INIT("ttf"), SX_STR_INIT("font/ttf")},
    {SX_STR_INIT("wasm"), SX_STR_INIT("application/wasm")},
    {SX_STR_INIT("pdf"), SX_STR_INIT("application/pdf")},
    {SX_STR_INIT("zip"), SX_STR_INIT("application/zip")},
    {SX_STR_INIT("gz"), SX_STR_INIT("application/gzip")},
};

sx_str sx_content_type_of(sx_str path)
{
    size_t at = path.len;
    while (at > 0 && path.data[at - 1] != '.' && path.data[at - 1] != '/')
        at--;
    if (at > 0 && path.data[at - 1] == '.') {
        sx_str extension = sx_str_from(path, at);
        for (size_t i = 0; i < SX_COUNT_OF(TYPES); i++) {
            if (sx_str_ieq(extension, TYPES[i].extension))
                return TYPES[i].type;
        }
    }
    return SX_STR("application/octet-stream");
}

/* ---- dates ---- */

static const char DAYS[] = "SunMonTueWedThuFriSat";
static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

sx_str static_date_format(int64_t unix_s, char out[32])
{
    struct tm tm;
    time_t t = (time_t)unix_s;
    gmtime_r(&t, &tm);
    int len = snprintf(out, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", DAYS + 3 * tm.tm_wday,
                       tm.tm_mday % 100, MONTHS + 3 * tm.tm_mon, (tm.tm_year + 1900) % 10000,
                       tm.tm_hour % 100, tm.tm_min % 100, tm.tm_sec % 100);
    return sx_str_of(out, (size_t)len);
}

/* Takes `n` digits off the text (leading spaces count as zeros where asctime pads); -1 if there are
 * others. */
static int take_digits(sx_str *text, size_t n)
{
    int value = 0;
    if (text->len < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        char c = text->data[i] == ' ' && i == 0 && n == 2 ? '0' : text->data[i];
        if (c < '0' || c > '9')
            return -1;
        value = value * 10 + (c - '0');
    }
    *text = sx_str_from(*text, n);
    return value;
}

static int take_month(sx_str *text)
{
    for (int i = 0; i < 12; i++) {
        if (sx_str_starts(*text, sx_str_of(MONTHS + 3 * i, 3))) {
            *text = sx_str_from(*text, 3);
            return i;
        }
    }
    return -1;
}

static bool take(sx_str *text, sx_str literal)
{
    if (!sx_str_starts(*text, literal))
        return false;
    *text = sx_str_from(*text, literal.len);
    return true;
}

static bool take_time(sx_str *text, struct tm *tm)
{
    tm->tm_hour = take_digits(text, 2);
    bool ok = take(text, SX_STR(":"));
    tm->tm_min = take_digits(text, 2);
    ok = take(text, SX_STR(":")) && ok;
    tm->tm_sec = take_digits(text, 2);
    return ok && tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 &&
           tm->tm_sec >= 0 && tm->tm_sec <= 60;
}

/* "06 Nov 1994 08:49:37 GMT" and, with dashes and two digits of the year, "06-Nov-94 ...". */
static bool take_day_first(sx_str *text, struct tm *tm)
{
    tm->tm_mday = take_digits(text, 2);
    bool is_old = sx_str_starts(*text, SX_STR("-"));
    sx_str gap = is_old ? SX_STR("-") : SX_STR(" ");
    if (!take(text, gap))
        return false;
    tm->tm_mon = take_month(text);
    if (!take(text, gap))
        return false;
    int year = take_digits(text, is_old ? 2 : 4);
    /* RFC 9110: two digits that seem over 50 years ahead mean the past. */
    tm->tm_year = is_old ? (year < 70 ? year + 100 : year) : year - 1900;
    return year >= 0 && take(text, SX_STR(" ")) && take_time(text, tm) &&
           take(text, SX_STR(" GMT"));
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(sx_str *text, struct tm *tm)
{
    tm->tm_mon = take_month(text);
    bool ok = take(text, SX_STR(" "));
    tm->tm_mday = take_digits(text, 2);
    ok = ok && take(text, SX_STR(" ")) && take_time(text, tm) && take(text, SX_STR(" "));
    int year = take_digits(text, 4);
    tm->tm_year = year - 1900;
    return ok && year >= 0;
}

int64_t static_date_parse(sx_str text)
{
    struct tm tm = {0};
    sx_str weekday;
    bool ok;
    if (sx_str_find_byte(text, ',') < text.len) {
        sx_str_cut(text, ',', &weekday, &text);
        ok = weekday.len >= 3 && weekday.len <= 9 && take(&text, SX_STR(" ")) &&
             take_day_first(&text, &tm);
    } else {
        sx_str_cut(text, ' ', &weekday, &text);
        ok = weekday.len == 3 && take_asctime(&text, &tm);
    }
    if (!ok || text.len || tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31)
        return -1;
    time_t t = timegm(&tm);
    return t < 0 ? -1 : (int64_t)t;
}

/* ---- conditions ---- */

/* Whether a list of entity tags, or "*", names ours. `weak`: W/ before a tag does not matter. */
static bool names_etag(sx_str list, sx_str etag, bool weak)
{
    sx_str member;
    if (sx_str_eq(list, SX_STR("*")))
        return true;
    while (list.len) {
        sx_str_cut(list, ',', &member, &list);
        member = sx_str_trim(member);
        if (weak && sx_str_starts(member, SX_STR("W/")))
            member = sx_str_from(member, 2);
        if (sx_str_eq(member, etag))
            return true;
    }
    return false;
}

/* 0: go on; else 304 or 412. */
static int check_conditions(const sx_request *r, const static_content *c)
{
    sx_str match = sx_request_header(r, SX_STR("if-match"));
    sx_str none_match = sx_request_header(r, SX_STR("if-none-match"));
    sx_str since = sx_request_header(r, SX_STR("if-modified-since"));
    sx_str until = sx_request_header(r, SX_STR("if-unmodified-since"));
    int64_t date;
    if (match.data) {
        if (!names_etag(match, c->etag, false))
            return 412;
    } else if (until.data && c->modified_s && (date = static_date_parse(until)) >= 0 &&
               c->modified_s > date) {
        return 412;
    }
    if (none_match.data)
        return names_etag(none_match, c->etag, true) ? 304 : 0;
    if (since.data && c->modified_s && (date = static_date_parse(since)) >= 0 &&
        c->modified_s <= date)
        return 304;
    return 0;
}

/* ---- ranges ---- */

typedef enum range_kind { RANGE_NONE, RANGE_OK, RANGE_UNSATISFIABLE } range_kind;

/* "bytes=a-b", "bytes=a-", "bytes=-n". What does not parse, and lists of ranges, count as none: RFC
 * 9110, section 14.2, lets a server ignore any Range. */
static range_kind read_range(sx_str text, uint64_t bytes, uint64_t *first, uint64_t *count)
{
    sx_str from_text, to_text;
    uint64_t from, to;
    if (!sx_str_ieq(sx_str_first(text, 6), SX_STR("bytes=")) ||
        !sx_str_cut(sx_str_trim(sx_str_from(text, 6)), '-', &from_text, &to_text))
        return RANGE_NONE;
    if (from_text.len == 0) {
        if (!sx_str_to_u64(to_text, &to))
            return RANGE_NONE;
        if (to == 0 || bytes == 0)
            return RANGE_UNSATISFIABLE;
        *count = to < bytes ? to : bytes;
        *first = bytes - *count;
        return RANGE_OK;
    }
    if (!sx_str_to_u64(from_text, &from))
        return RANGE_NONE;
    if (to_text.len == 0)
        to = UINT64_MAX;
    else if (!sx_str_to_u64(to_text, &to) || to < from)
        return RANGE_NONE;
    if (from >= bytes)
        return RANGE_UNSATISFIABLE;
    *first = from;
    *count = (to < bytes - 1 ? to : bytes - 1) - from + 1;
    return RANGE_OK;
}

/* If-Range: our entity tag, strongly, or our date, exactly. RFC 9110, section 13.1.5. */
static bool range_still_holds(const sx_request *r, const static_content *c)
{
    sx_str condition = sx_request_header(r, SX_STR("if-range"));
    if (!condition.data)
        return true;
    if (condition.len && (condition.data[0] == '"' || condition.data[0] == 'W'))
        return sx_str_eq(condition, c->etag);
    return c->modified_s && static_date_parse(condition) == c->modified_s;
}

static_plan static_plan_of(const sx_request *r, const static_content *c)
{
    static_plan plan = {.status = 200, .count = c->bytes};
    int status = check_conditions(r, c);
    if (status) {
        plan.status = status;
        plan.count = 0;
        return plan;
    }
    sx_str range = sx_request_header(r, SX_STR("range"));
    if (r->method != SX_GET || !range.data || !range_still_holds(r, c))
        return plan;
    switch (read_range(range, c->bytes, &plan.first, &plan.count)) {
    case RANGE_OK:
        plan.status = 206;
        break;
    case RANGE_UNSATISFIABLE:
        plan.status = 416;
        plan.count = 0;
        break;
    case RANGE_NONE:
        break;
    }
    return plan;
}

void static_reply_fields(sx_request *r, const static_content *c, const static_plan *plan)
{
    char text[96];
    int len;
    if (plan->status == 412)
        return;
    if (plan->status == 416) {
        len = snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)c->bytes);
        sx_reply_header(r, SX_STR("Content-Range"), sx_str_of(text, (size_t)len));
        return;
    }
    sx_reply_header(r, SX_STR("ETag"), c->etag);
    sx_reply_header(r, SX_STR("Cache-Control"), c->cache_control);
    if (c->modified_s)
        sx_reply_header(r, SX_STR("Last-Modified"), static_date_format(c->modified_s, text));
    if (c->varies)
        sx_reply_header(r, SX_STR("Vary"), SX_STR("Accept-Encoding"));
    if (plan->status == 304)
        return;
    sx_reply_header(r, SX_STR("Accept-Ranges"), SX_STR("bytes"));
    sx_reply_header(r, SX_STR("X-Content-Type-Options"), SX_STR("nosniff"));
    if (c->coding.len)
        sx_reply_header(r, SX_STR("Content-Encoding"), c->coding);
    if (plan->status == 206) {
        len = snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)plan->first,
                       (unsigned long long)(plan->first + plan->count - 1),
                       (unsigned long long)c->bytes);
        sx_reply_header(r, SX_STR("Content-Range"), sx_str_of(text, (size_t)len));
    }
}

bool static_method_ok(sx_request *r)
{
    if (r->method == SX_GET || r->method == SX_HEAD)
        return true;
    sx_reply_header(r, SX_STR("Allow"), SX_STR("GET, HEAD"));
    sx_reply(r, 405, SX_STR("text/plain"), SX_STR("only GET and HEAD\n"));
    return false;
}
