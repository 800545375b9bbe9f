/* log_format.c - a record as text: JSON for machines, words for people.
 *
 * A line is written through a cursor that stops at the end of its room; the caller then tries again
 * with more room or shorter values, so no half line is ever seen. */
#include <math.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

#include "telemetry/log_lane.h"
#include "telemetry/text.h"

char *sx_log_timestamp(sx_log_lane *lane, char *out, int64_t wall_ns)
{
    int64_t second = wall_ns / 1000000000;
    int64_t ms = wall_ns / 1000000 - second * 1000;
    if (ms < 0) { /* before 1970 */
        second--;
        ms += 1000;
    }
    if (sx_unlikely(second != lane->second)) {
        char text[SX_TIME_RFC3339_BYTES];
        sx_time_rfc3339(second * 1000000000, 0, text);
        memcpy(lane->second_text, text, SX_LOG_SECOND_BYTES);
        lane->second = second;
    }
    memcpy(out, lane->second_text, SX_LOG_SECOND_BYTES);
    out[SX_LOG_SECOND_BYTES] = '.';
    out = sx_text_padded(out + SX_LOG_SECOND_BYTES + 1, (uint64_t)ms, 3);
    *out++ = 'Z';
    return out;
}

/* ---- escaping ---- */

/* Any of the eight bytes is below 0x20, above 0x7e, '"' or '\\'. May say yes to a plain byte beside
 * such a one, never no. */
static inline bool has_special(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\'), del = word ^ (ones * 0x7f);
    uint64_t special = (word - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones) | word;
    return (special & tops) != 0;
}

/* One character that needs care: its escape, itself if it is valid UTF-8, or U+FFFD. */
static char *escape_one(char *out, sx_str s, size_t *used)
{
    static const char SHORT[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char HEX[] = "0123456789abcdef";
    unsigned char c = (unsigned char)s.data[0];
    *used = 1;
    uint32_t code = c;
    if (c >= 0x80)
        *used = sx_utf8_decode(s, &code);
    if (c == '"' || c == '\\' || (c < 32 && SHORT[c])) {
        *out++ = '\\';
        *out++ = c < 32 ? SHORT[c] : (char)c;
    } else if (*used == 0) {
        *used = 1;
        memcpy(out, "\xef\xbf\xbd", 3);
        out += 3;
    } else if (code < 32 || (code >= 0x7f && code < 0xa0)) {
        /* JSON allows the upper controls as they are, but a terminal obeys them too. */
        memcpy(out, "\\u00", 4);
        out[4] = HEX[code >> 4];
        out[5] = HEX[code & 15];
        out += 6;
    } else {
        memcpy(out, s.data, *used);
        out += *used;
    }
    return out;
}

/* The next eight bytes; of fewer, those and blanks behind them: most values are short. */
static inline uint64_t next_word(sx_str s)
{
    uint64_t word = 0;
    if (sx_likely(s.len >= 8)) {
        memcpy(&word, s.data, 8);
        return word;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t blanks = 0x2020202020202020u;
    if (s.len >= 4) { /* two halves that may overlap: the same bytes, so the same bits */
        uint32_t low, high;
        memcpy(&low, s.data, 4);
        memcpy(&high, s.data + s.len - 4, 4);
        word = low | (uint64_t)high << (8 * (s.len - 4));
    } else {
        for (size_t i = 0; i < s.len; i++)
            word |= (uint64_t)(unsigned char)s.data[i] << (8 * i);
    }
    return word | blanks << (8 * s.len);
#else
    return UINT64_MAX; /* special: one by one */
#endif
}

char *sx_log_escape(char *out, sx_str s)
{
    while (s.len > 0) {
        size_t used = s.len < 8 ? s.len : 8;
        uint64_t word = next_word(s);
        if (sx_likely(!has_special(word))) {
            memcpy(out, &word, 8);
            out += used;
        } else {
            out = escape_one(out, s, &used);
        }
        s.data += used;
        s.len -= used;
    }
    return out;
}

/* ---- a cursor with an end ---- */

typedef struct cursor {
    char *at, *end;
    size_t value_bytes_max;
    bool full;
} cursor;

static void put(cursor *c, sx_str s)
{
    if (c->full || (size_t)(c->end - c->at) < s.len) {
        c->full = true;
        return;
    }
    if (s.len)
        memcpy(c->at, s.data, s.len);
    c->at += s.len;
}

/* The text of a value, cut at a character if it is too long. */
static void put_escaped(cursor *c, sx_str s)
{
    bool cut = s.len > c->value_bytes_max;
    if (cut)
        s = sx_utf8_first(s, c->value_bytes_max);
    if (c->full || (size_t)(c->end - c->at) < s.len * 6 + 8) {
        c->full = true;
        return;
    }
    c->at = sx_log_escape(c->at, s);
    if (cut)
        put(c, SX_STR("..."));
}

static void put_number(cursor *c, const sx_field *f)
{
    char text[SX_DOUBLE_BYTES];
    char *at = text;
    switch (f->kind) {
    case SX_FIELD_I64:
        if (f->i64 < 0)
            *at++ = '-';
        at = sx_text_u64(at, f->i64 < 0 ? 0 - (uint64_t)f->i64 : (uint64_t)f->i64);
        break;
    case SX_FIELD_U64:
        at = sx_text_u64(at, f->u64);
        break;
    case SX_FIELD_DOUBLE:
        if (!isfinite(f->number))
            put(c, SX_STR("null"));
        else
            at += sx_double_format(f->number, SX_DOUBLE_JS, text);
        break;
    default:
        put(c, f->truth ? SX_STR("true") : SX_STR("false"));
        break;
    }
    put(c, sx_str_of(text, (size_t)(at - text)));
}

static void put_level(cursor *c, sx_level level)
{
    put(c, sx_str_z(sx_level_name(level)));
}

/* ---- JSON ---- */

static void put_member(cursor *c, sx_str before, sx_str value)
{
    put(c, before);
    put_escaped(c, value);
    put(c, SX_STR("\""));
}

static void put_context(cursor *c, const sx_log_context *context)
{
    if (!context)
        return;
    if (context->trace_id.len)
        put_member(c, SX_STR(",\"trace_id\":\""), context->trace_id);
    if (context->span_id.len)
        put_member(c, SX_STR(",\"span_id\":\""), context->span_id);
    if (context->request_id.len)
        put_member(c, SX_STR(",\"request_id\":\""), context->request_id);
}

static void put_json_field(cursor *c, const sx_field *f)
{
    put(c, SX_STR(",\""));
    put(c, sx_str_z(f->key));
    put(c, SX_STR("\":"));
    if (f->kind == SX_FIELD_STR)
        put_member(c, SX_STR("\""), f->str);
    else if (f->kind == SX_FIELD_JSON)
        put(c, f->str.len ? f->str : SX_STR("null"));
    else
        put_number(c, f);
}

static void put_json(cursor *c, sx_log_lane *lane, const sx_log_record *r)
{
    put(c, SX_STR("{\"timestamp\":\""));
    c->at = sx_log_timestamp(lane, c->at, r->wall_ns);
    put(c, SX_STR("\",\"level\":\""));
    put_level(c, r->level);
    put(c, SX_STR("\""));
    if (r->log->service.len)
        put_member(c, SX_STR(",\"service\":\""), r->log->service);
    if (r->log->layer.len)
        put_member(c, SX_STR(",\"layer\":\""), r->log->layer);
    if (r->logger && r->logger->name.len)
        put_member(c, SX_STR(",\"logger\":\""), r->logger->name);
    put_context(c, r->context);
    put_member(c, SX_STR(",\"message\":\""), r->message);
    for (size_t i = 0; i < r->count; i++)
        put_json_field(c, &r->fields[i]);
    put(c, SX_STR("}\n"));
}

/* ---- console ---- */

static const char *const COLOURS[] = {
    [SX_LEVEL_TRACE] = "\x1b[2m", [SX_LEVEL_DEBUG] = "\x1b[36m", [SX_LEVEL_INFO] = "\x1b[32m",
    [SX_LEVEL_WARN] = "\x1b[33m", [SX_LEVEL_ERROR] = "\x1b[31m", [SX_LEVEL_FATAL] = "\x1b[1;31m",
};

static bool is_plain_word(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] <= ' ' || s.data[i] == '"' || s.data[i] == '=' ||
            s.data[i] == '\\' || (unsigned char)s.data[i] >= 0x7f)
            return false;
    return s.len > 0;
}

static void put_console_field(cursor *c, const sx_log *log, const sx_field *f)
{
    put(c, log->colour ? SX_STR(" \x1b[2m") : SX_STR(" "));
    put(c, sx_str_z(f->key));
    put(c, log->colour ? SX_STR("=\x1b[0m") : SX_STR("="));
    if (f->kind == SX_FIELD_STR && !is_plain_word(f->str))
        put_member(c, SX_STR("\""), f->str);
    else if (f->kind == SX_FIELD_STR)
        put_escaped(c, f->str);
    else if (f->kind == SX_FIELD_JSON)
        put(c, f->str);
    else
        put_number(c, f);
}

static void put_console(cursor *c, sx_log_lane *lane, const sx_log_record *r)
{
    bool colour = r->log->colour;
    c->at = sx_log_timestamp(lane, c->at, r->wall_ns);
    put(c, SX_STR(" "));
    if (colour)
        put(c, sx_str_z(COLOURS[r->level]));
    put_level(c, r->level);
    if (colour)
        put(c, SX_STR("\x1b[0m"));
    put(c, sx_str_of("  ", 6 - strlen(sx_level_name(r->level)))); /* names have 4 or 5 letters */
    if (r->logger && r->logger->name.len) {
        put_escaped(c, r->logger->name);
        put(c, SX_STR(": "));
    }
    put_escaped(c, r->message); /* escaped: a terminal obeys control characters */
    for (size_t i = 0; i < r->count; i++)
        put_console_field(c, r->log, &r->fields[i]);
    if (r->context && r->context->request_id.len) {
        sx_field id = sx_field_str("request_id", r->context->request_id);
        put_console_field(c, r->log, &id);
    }
    put(c, SX_STR("\n"));
}

size_t sx_log_format(sx_log_lane *lane, const sx_log_record *r, char *out, size_t room)
{
    if (room < 256) /* the timestamp is written unchecked */
        return 0;
    cursor c = {.at = out, .end = out + room, .value_bytes_max = r->value_bytes_max};
    if (r->log->console)
        put_console(&c, lane, r);
    else
        put_json(&c, lane, r);
    return c.full ? 0 : (size_t)(c.at - out);
}
