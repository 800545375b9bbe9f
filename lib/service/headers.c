/* headers.c - see headers.h. */
#include "service/headers.h"

static const sx_str NAMES[SX_SEEN_COUNT] = {
#define X(id, name) [SX_SEEN_##id] = SX_STR_INIT(name),
    SX_SEEN_LIST(X)
#undef X
};

enum { NAME_BYTES_MAX = 30, NOBODY = SX_SEEN_COUNT };

/* Where the names of a length begin in NAMES, which is in the order of their lengths. Most lengths
 * that browsers send (host, accept, cookie, referer) have at most one name to compare with. */
static const uint8_t FIRST[NAME_BYTES_MAX + 2] = {
    [0] = NOBODY,
    [1] = NOBODY,
    [2] = SX_SEEN_B3,
    [3] = NOBODY,
    [4] = NOBODY,
    [5] = NOBODY,
    [6] = SX_SEEN_ORIGIN,
    [7] = SX_SEEN_BAGGAGE,
    [8] = NOBODY,
    [9] = NOBODY,
    [10] = SX_SEEN_TRACESTATE,
    [11] = SX_SEEN_TRACEPARENT,
    [12] = SX_SEEN_X_REQUEST_ID,
    [13] = SX_SEEN_UBER_TRACE_ID,
    [14] = NOBODY,
    [15] = SX_SEEN_ACCEPT_ENCODING,
    [16] = NOBODY,
    [17] = SX_SEEN_X_REQUEST_TIMEOUT,
    [18 ... 28] = NOBODY,
    [29] = SX_SEEN_REQUEST_METHOD,
    [30] = SX_SEEN_REQUEST_HEADERS,
    [31] = NOBODY,
};

static unsigned find(sx_str name)
{
    if (name.len > NAME_BYTES_MAX)
        return NOBODY;
    for (unsigned i = FIRST[name.len]; i < SX_SEEN_COUNT && NAMES[i].len == name.len; i++)
        if ((name.data[0] | 0x20) == NAMES[i].data[0] && sx_str_ieq(name, NAMES[i]))
            return i;
    return NOBODY;
}

/* A field that was seen before comes again. Without memory for the joined value the first stays. */
static void see_again(sx_request *r, sx_seen_headers *out, unsigned which, sx_str value)
{
    enum {
        JOINED = 1u << SX_SEEN_TRACESTATE | 1u << SX_SEEN_BAGGAGE | 1u << SX_SEEN_ACCEPT_ENCODING
    };
    if (which == SX_SEEN_TRACEPARENT)
        out->values[which] = SX_STR(""); /* no traceparent at all: an empty one is never right */
    if (!(JOINED & 1u << which))
        return;
    enum {
        JOINED_BYTES_MAX = 16384
    }; /* above any limit of those three: such a value is no value */
    sx_str before = out->values[which];
    if (before.len + value.len > JOINED_BYTES_MAX) {
        out->values[which] = SX_STR("");
        return;
    }
    char *joined = (char *)sx_arena_alloc(&r->arena, before.len + value.len + 1);
    if (!joined)
        return;
    memcpy(joined, before.data, before.len);
    joined[before.len] = ',';
    if (value.len)
        memcpy(joined + before.len + 1, value.data, value.len);
    out->values[which] = sx_str_of(joined, before.len + value.len + 1);
}

void sx_headers_scan(sx_request *r, sx_seen_headers *out)
{
    out->found = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        unsigned which = find(r->headers[i].name);
        if (which == NOBODY)
            continue;
        sx_str value = r->headers[i].value;
        if (sx_unlikely(out->found & 1u << which)) {
            see_again(r, out, which, value);
            continue;
        }
        out->found |= 1u << which;
        out->values[which] = value.data ? value : SX_STR("");
    }
}

sx_str sx_headers_carrier_get(const void *carrier, sx_str name)
{
    unsigned which = find(name);
    return which == NOBODY ? sx_str_of(NULL, 0)
                           : sx_headers_get((const sx_seen_headers *)carrier, (sx_seen)which);
}
