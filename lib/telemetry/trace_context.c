/* trace_context.c - W3C Trace Context: traceparent and tracestate, and ids as text.
 *
 * Called for every request (service, gateway) and for every call that one makes (clients); nothing
 * here allocates or copies more than the ids. Source: W3C Trace Context level 2, sections 3.2 and
 * 3.3, which also say what level 1 said. */
#include <sextant/trace.h>

#include "telemetry/trace_hex.h"

#define DIGIT(c, value) [c] = SX_HEX_OK | (value)
#define DIGITS                                                                                     \
    DIGIT('0', 0), DIGIT('1', 1), DIGIT('2', 2), DIGIT('3', 3), DIGIT('4', 4), DIGIT('5', 5),      \
        DIGIT('6', 6), DIGIT('7', 7), DIGIT('8', 8), DIGIT('9', 9), DIGIT('a', 10),                \
        DIGIT('b', 11), DIGIT('c', 12), DIGIT('d', 13), DIGIT('e', 14), DIGIT('f', 15)
const uint8_t sx_hex_lower[256] = {DIGITS};
const uint8_t sx_hex_any[256] = {
    DIGITS,         DIGIT('A', 10), DIGIT('B', 11), DIGIT('C', 12),
    DIGIT('D', 13), DIGIT('E', 14), DIGIT('F', 15),
};

/* Where the parts of a traceparent lie: version-traceid-spanid-flags. */
enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, PARENT_LEN = 55, VERSION_NEVER = 0xff };

bool sx_span_context_valid(const sx_span_context *c)
{
    return c && sx_trace_id_set(c->trace_id) && sx_span_id_set(c->span_id);
}

void sx_trace_id_hex(const sx_span_context *c, char out[33])
{
    *sx_hex_put(out, c->trace_id, SX_TRACE_ID_BYTES) = '\0';
}

void sx_span_id_hex(const sx_span_context *c, char out[17])
{
    *sx_hex_put(out, c->span_id, SX_SPAN_ID_BYTES) = '\0';
}

/* HOT. A later version may add parts after another '-' and may use more flags, of which only ours
 * count; version 00 is exactly as long as it is. */
bool sx_traceparent_parse(sx_str text, sx_span_context *out)
{
    sx_span_context c = {.remote = true};
    uint8_t version;
    const char *at = text.data;
    if (text.len < PARENT_LEN || at[2] != '-' || at[SPAN_AT - 1] != '-' || at[FLAGS_AT - 1] != '-')
        return false;
    if (!sx_hex_read(sx_hex_lower, at, &version, 1) || version == VERSION_NEVER)
        return false;
    if (text.len > PARENT_LEN && (version == 0 || at[PARENT_LEN] != '-'))
        return false;
    bool digits = sx_hex_read(sx_hex_lower, at + TRACE_AT, c.trace_id, SX_TRACE_ID_BYTES);
    digits &= sx_hex_read(sx_hex_lower, at + SPAN_AT, c.span_id, SX_SPAN_ID_BYTES);
    digits &= sx_hex_read(sx_hex_lower, at + FLAGS_AT, &c.flags, 1);
    if (!digits || !sx_span_context_valid(&c))
        return false;
    c.flags &= SX_TRACE_W3C;
    *out = c;
    return true;
}

void sx_traceparent_write(const sx_span_context *c, char out[SX_TRACEPARENT_BYTES])
{
    memcpy(out, "00-", 3);
    sx_hex_put(out + TRACE_AT, c->trace_id, SX_TRACE_ID_BYTES);
    out[SPAN_AT - 1] = '-';
    sx_hex_put(out + SPAN_AT, c->span_id, SX_SPAN_ID_BYTES);
    out[FLAGS_AT - 1] = '-';
    out[FLAGS_AT] = '0';
    out[FLAGS_AT + 1] = (char)('0' + (c->flags & SX_TRACE_W3C));
    out[PARENT_LEN] = '\0';
}

/* ---- tracestate ---- */

enum { KEY_MAX = 256, VALUE_MAX = 256 };

/* lcalpha / DIGIT: what a key begins with. */
static bool begins_key(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool in_key(char c)
{
    return begins_key(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
}

/* 0x20 to 0x7e but ',' (which has ended the member before) and '='. */
static bool in_value(char c)
{
    return c >= 0x20 && c <= 0x7e && c != '=';
}

/* key "=" value, without the white space around it. */
static bool member_is_right(sx_str member)
{
    sx_str key, value;
    if (!sx_str_cut(member, '=', &key, &value))
        return false;
    if (key.len == 0 || key.len > KEY_MAX || !begins_key(key.data[0]))
        return false;
    if (value.len == 0 || value.len > VALUE_MAX)
        return false;
    for (size_t i = 1; i < key.len; i++)
        if (!in_key(key.data[i]))
            return false;
    for (size_t i = 0; i < value.len; i++)
        if (!in_value(value.data[i]))
            return false;
    return true;
}

sx_str sx_tracestate_check(sx_str text)
{
    static const sx_str NONE = SX_STR_INIT("");
    size_t members = 0;
    sx_str rest = text, member;
    if (text.len > SX_TRACESTATE_MAX)
        return NONE;
    while (rest.len > 0) {
        sx_str_cut(rest, ',', &member, &rest);
        member = sx_str_trim(member);
        if (member.len == 0)
            continue; /* the grammar has empty members */
        if (!member_is_right(member) || ++members > SX_TRACESTATE_MEMBERS)
            return NONE;
    }
    return members > 0 ? text : NONE;
}
