/* cursor.h - reading bytes that may be damaged.
 *
 * A cursor never passes its end: a read beyond it turns the cursor `bad`, gives zeros, and stays so.
 * Every variable record of an index file is read through one, so a corrupt file costs an error,
 * never a fault. */
#ifndef GEOCODE_INDEX_CURSOR_H
#define GEOCODE_INDEX_CURSOR_H

#include <sextant/str.h>

typedef struct geo_cursor {
    const uint8_t *at, *end;
    bool bad;
} geo_cursor;

/* A cursor over bytes [offset, bytes) of a section; bad at once if offset is beyond it. */
static inline geo_cursor geo_cursor_at(const uint8_t *base, uint64_t bytes, uint64_t offset)
{
    if (sx_unlikely(offset > bytes))
        return (geo_cursor){base, base, true};
    return (geo_cursor){offset ? base + offset : base, /* NULL + 0 is undefined in C */
                        bytes ? base + bytes : base, false};
}

static inline uint8_t geo_cursor_byte(geo_cursor *c)
{
    if (sx_unlikely(c->at == c->end)) {
        c->bad = true;
        return 0;
    }
    return *c->at++;
}

static inline uint64_t geo_cursor_varint(geo_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = geo_cursor_byte(c);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (sx_likely(byte < 0x80))
            return value;
    }
    c->bad = true;
    return 0;
}

/* A varint that must fit 32 bits. */
static inline uint32_t geo_cursor_u32(geo_cursor *c)
{
    uint64_t value = geo_cursor_varint(c);
    if (sx_unlikely(value > UINT32_MAX)) {
        c->bad = true;
        return 0;
    }
    return (uint32_t)value;
}

static inline int64_t geo_cursor_zigzag(geo_cursor *c)
{
    uint64_t v = geo_cursor_varint(c);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline sx_str geo_cursor_bytes(geo_cursor *c, uint64_t len)
{
    if (sx_unlikely(len > (uint64_t)(c->end - c->at))) {
        c->bad = true;
        c->at = c->end;
        return sx_str_of("", 0);
    }
    sx_str s = sx_str_of(c->at, (size_t)len);
    c->at += len;
    return s;
}

#endif
