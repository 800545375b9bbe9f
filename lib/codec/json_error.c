/* json_error.c - what is said about JSON that is refused, and where it stands. */
#include "codec/json_cursor.h"

#include <stdarg.h>
#include <stdio.h>

#include <sextant/utf8.h>

/* Counted only when asked for: the reader does not look for newlines. Invalid UTF-8 before `at`
 * cannot be, since the scan stops there. */
json_place json_place_of(const sx_json *r, size_t at)
{
    json_place p = {.byte = r->past + at, .line = r->past_lines, .column = r->past_column};
    sx_str left = sx_str_of(r->text, at);
    sx_str line, rest;
    while (sx_str_cut(left, '\n', &line, &rest)) {
        p.line++;
        p.column = 0;
        left = rest;
    }
    p.column += sx_utf8_count(left);
    return p;
}

static SX_COLD void refuse(sx_json *r, sx_status status, size_t at, const char *fmt, va_list args)
{
    char message[SX_ERROR_MESSAGE_BYTES];
    json_place p = json_place_of(r, at);
    vsnprintf(message, sizeof(message), fmt, args);
    sx_fail(&r->err, status, "line %llu, column %llu (byte %llu): %s",
            (unsigned long long)p.line + 1, (unsigned long long)p.column + 1,
            (unsigned long long)p.byte, message);
    r->state = JSON_REFUSED;
}

sx_json_token json_refuse(sx_json *r, sx_status status, size_t at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    refuse(r, status, at, fmt, args);
    va_end(args);
    return SX_JSON_ERROR;
}

bool sx_json_fail(sx_json *r, sx_status status, const char *fmt, ...)
{
    sx_assert(status != SX_OK);
    if (r->state == JSON_REFUSED)
        return false;
    va_list args;
    va_start(args, fmt);
    refuse(r, status, r->at, fmt, args);
    va_end(args);
    return false;
}

enum { SHOWN_BYTES = 24 };

/* The printable ASCII that the run of bytes at `at` begins with. */
static sx_str shown_run(const sx_json *r, size_t at)
{
    size_t end = at;
    while (end < r->len && end - at < SHOWN_BYTES && json_is_scalar((unsigned char)r->text[end]) &&
           (unsigned char)r->text[end] > 0x20 && (unsigned char)r->text[end] < 0x7f)
        end++;
    return sx_str_of(r->text + at, end - at);
}

/* Words for what begins at the mark `at`. */
static void describe(const sx_json *r, size_t at, char *out, size_t room)
{
    unsigned char c = (unsigned char)r->text[at];
    const char *kind = c == '"'                          ? "a string"
                       : c == '{'                        ? "an object"
                       : c == '['                        ? "an array"
                       : json_begins_number(r->text[at]) ? "a number"
                                                         : NULL;
    if (kind) {
        snprintf(out, room, "%s", kind);
    } else if (c == 0xef && r->past == 0 && at == 0) {
        snprintf(out, room, "a byte order mark, which JSON must not have");
    } else if (c > 0x20 && c < 0x7f) {
        sx_str run = shown_run(r, at);
        if (run.len == 0)
            run = sx_str_of(r->text + at, 1);
        snprintf(out, room, "'%.*s'", SX_ARG(run));
    } else {
        snprintf(out, room, "byte 0x%02x", c);
    }
}

sx_json_token json_unexpected(sx_json *r, size_t at, const char *expected)
{
    char found[64];
    if (at == JSON_NO_MARK)
        return json_ended(r, r->len, expected);
    describe(r, at, found, sizeof(found));
    return json_refuse(r, SX_EFORMAT, at, "expected %s, found %s", expected, found);
}

sx_json_token json_ended(sx_json *r, size_t from, const char *missing)
{
    if (r->state == JSON_REFUSED)
        return SX_JSON_ERROR;
    unsigned char c = r->stop == JSON_STOP_NONE ? 0 : (unsigned char)r->text[r->stop_at];
    if (r->stop == JSON_STOP_UTF8)
        return json_refuse(r, SX_EFORMAT, r->stop_at, "byte 0x%02x begins no UTF-8 character", c);
    if (r->stop == JSON_STOP_CONTROL)
        return json_refuse(r, SX_EFORMAT, r->stop_at,
                           "a string has the control character 0x%02x, which must be written as "
                           "\\u%04x",
                           c, c);
    if (r->partial)
        return SX_JSON_MORE;
    if (from < r->len)
        return json_refuse(r, SX_EFORMAT, from, "the text ends before %s that begins here",
                           missing);
    return json_refuse(r, SX_EFORMAT, r->len, "expected %s, found the end of the text", missing);
}

sx_json_token json_bad_scalar(sx_json *r, size_t at)
{
    bool number = json_begins_number(r->text[at]);
    sx_str run = shown_run(r, at);
    size_t end = at + run.len;
    if (end < r->len && run.len < SHOWN_BYTES && json_is_scalar((unsigned char)r->text[end]))
        return json_refuse(r, SX_EFORMAT, end, "byte 0x%02x in %s", (unsigned char)r->text[end],
                           number ? "a number" : "a word");
    return json_refuse(r, SX_EFORMAT, at, "expected %s, found '%.*s'%s",
                       number ? "a number such as -1.5e3" : "true, false or null", SX_ARG(run),
                       run.len == SHOWN_BYTES ? "..." : "");
}

sx_json_token json_too_deep(sx_json *r, const uint32_t *m)
{
    return json_refuse(r, SX_ELIMIT, m[0], "nested deeper than the limit of %u", r->depth_max);
}
