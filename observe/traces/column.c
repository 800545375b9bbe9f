/* column.c - see column.h. */
#include <stdlib.h>

#include <zstd.h>

#include <sextant/mem.h>

#include "observe/traces/column.h"

enum {
    PLANE_RAW,
    PLANE_ZSTD,
    PLANE_SAME, /* one byte that stands for all */
    SCALES = 3,
    ZSTD_LEAST_BYTES = 40, /* a frame has some ten bytes of its own */
    PROBE_BYTES = 2048
};
static const uint64_t SCALE[SCALES] = {1, 1000, 1000000}; /* clocks of micro- and milliseconds */

enum {
    CODES_PLAIN,
    CODES_FRESH, /* each value is the next text of the chunk: nothing is written */
    CODES_RECENT /* 0: the next new text; else counted back from the newest */
};
enum { RECENT_LEAST = 256 };

/* --- Writing. */

bool tr_packer_init(tr_packer *p, int zstd_level)
{
    *p = (tr_packer){0};
    p->zstd = ZSTD_createCCtx();
    if (!p->zstd)
        return false;
    ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, zstd_level);
    ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_contentSizeFlag, 0);
    return true;
}

void tr_packer_done(tr_packer *p)
{
    ZSTD_freeCCtx(p->zstd);
    sx_free(p->plane);
    sx_free(p->packed);
    sx_free(p->numbers);
    sx_free(p->stamps);
    sx_free(p->distinct);
    *p = (tr_packer){0};
}

void tr_put_varint(sx_buf *out, uint64_t value)
{
    char bytes[10];
    unsigned n = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (char)(value | 0x80);
    bytes[n++] = (char)value;
    sx_buf_bytes(out, bytes, n);
}

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Bytes by zstd if that saves a tenth: the packed length, 0 if they are to stay as they are. */
static size_t pack(tr_packer *p, const void *data, size_t len)
{
    if (len < ZSTD_LEAST_BYTES || p->failed)
        return 0;
    if (!sx_grow(&p->packed, &p->packed_cap, ZSTD_compressBound(len), 1)) {
        p->failed = true;
        return 0;
    }
    if (len > 4 * PROBE_BYTES) { /* ids and the like: a look at their middle is enough */
        size_t n = ZSTD_compress2(p->zstd, p->packed, p->packed_cap, (const char *)data + len / 2,
                                  PROBE_BYTES);
        if (ZSTD_isError(n) || n >= PROBE_BYTES)
            return 0;
    }
    size_t n = ZSTD_compress2(p->zstd, p->packed, p->packed_cap, data, len);
    if (ZSTD_isError(n)) {
        p->failed = true; /* only memory can fail here */
        return 0;
    }
    return n + len / 10 < len ? n : 0;
}

static void put_plane(tr_packer *p, sx_buf *out, const uint8_t *plane, size_t count)
{
    if (count > 1 && memcmp(plane, plane + 1, count - 1) == 0) {
        sx_buf_byte(out, PLANE_SAME);
        sx_buf_byte(out, (char)plane[0]);
        return;
    }
    size_t packed = pack(p, plane, count);
    sx_buf_byte(out, packed ? PLANE_ZSTD : PLANE_RAW);
    if (packed)
        tr_put_varint(out, packed);
    sx_buf_bytes(out, packed ? p->packed : plane, packed ? packed : count);
}

static unsigned scale_of(const uint64_t *values, size_t count, uint64_t least, uint64_t range)
{
    if (range < 1 << 16)
        return 0;
    for (unsigned s = SCALES - 1; s > 0; s--) {
        size_t i = 0;
        while (i < count && (values[i] - least) % SCALE[s] == 0)
            i++;
        if (i == count)
            return s;
    }
    return 0;
}

void tr_put_ints(tr_packer *p, sx_buf *out, const uint64_t *values, size_t count)
{
    int64_t least = count ? INT64_MAX : 0, greatest = count ? INT64_MIN : 0;
    for (size_t i = 0; i < count; i++) {
        int64_t v = (int64_t)values[i];
        least = v < least ? v : least;
        greatest = v > greatest ? v : greatest;
    }
    uint64_t base = (uint64_t)least, range = (uint64_t)greatest - base;
    unsigned scale = scale_of(values, count, base, range);
    uint64_t by = SCALE[scale];
    range /= by;
    unsigned width = range ? (unsigned)(71 - __builtin_clzll(range)) / 8 : 0;
    sx_buf_byte(out, (char)(width | scale << 4));
    tr_put_varint(out, zigzag(least));
    if (width == 0)
        return;
    tr_put_varint(out, range);
    if (!sx_grow(&p->plane, &p->plane_cap, count, 1)) {
        p->failed = true;
        return;
    }
    for (unsigned w = 0; w < width; w++) {
        if (scale)
            for (size_t i = 0; i < count; i++)
                p->plane[i] = (uint8_t)((values[i] - base) / by >> 8 * w);
        else
            for (size_t i = 0; i < count; i++)
                p->plane[i] = (uint8_t)((values[i] - base) >> 8 * w);
        put_plane(p, out, p->plane, count);
    }
}

void tr_put_blob(tr_packer *p, sx_buf *out, const void *data, size_t len)
{
    size_t packed = pack(p, data, len);
    sx_buf_byte(out, packed ? PLANE_ZSTD : PLANE_RAW);
    tr_put_varint(out, len);
    if (packed)
        tr_put_varint(out, packed);
    sx_buf_bytes(out, packed ? p->packed : data, packed ? packed : len);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Finds the distinct codes: globals ascending, then locals as they come. Returns how many are global. */
static uint32_t find_distinct(tr_packer *p, const uint32_t *codes, size_t count,
                              const tr_texts *texts)
{
    size_t all = (size_t)texts->globals + texts->count, had = p->stamps_cap;
    if (!sx_grow(&p->stamps, &p->stamps_cap, all, sizeof *p->stamps) ||
        !sx_grow(&p->distinct, &p->distinct_cap, count, sizeof *p->distinct)) {
        p->failed = true;
        return 0;
    }
    if (p->stamps_cap > had)
        memset(p->stamps + had, 0, (p->stamps_cap - had) * sizeof *p->stamps);
    if (++p->round == 0) {
        memset(p->stamps, 0, p->stamps_cap * sizeof *p->stamps);
        p->round = 1;
    }
    uint64_t round = (uint64_t)p->round << 32;
    uint32_t globals = 0, locals = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t *stamp = &p->stamps[codes[i]];
        if (*stamp >> 32 == p->round)
            continue;
        if (codes[i] < texts->globals) {
            *stamp = round;
            p->distinct[globals++] = codes[i]; /* at the front ... */
        } else {
            *stamp = round | locals;
            p->distinct[count - ++locals] = codes[i]; /* ... and from the back */
        }
    }
    for (uint32_t a = 0; a < locals / 2; a++) { /* the locals into their order */
        uint32_t *x = &p->distinct[count - locals + a], *y = &p->distinct[count - 1 - a];
        uint32_t t = *x;
        *x = *y, *y = t;
    }
    memmove(p->distinct + globals, p->distinct + count - locals, locals * sizeof *p->distinct);
    qsort(p->distinct, globals, sizeof *p->distinct, by_number);
    for (uint32_t i = 0; i < globals; i++)
        p->stamps[p->distinct[i]] = round | i;
    p->distinct_count = globals + locals;
    return globals;
}

static void put_dictionary(tr_packer *p, sx_buf *out, uint32_t globals, const tr_texts *texts)
{
    uint32_t locals = p->distinct_count - globals;
    size_t bytes = 0;
    sx_buf text;
    sx_buf_init(&text, 0);
    for (uint32_t i = 0; i < globals; i++)
        p->numbers[i] = p->distinct[i] - (i ? p->distinct[i - 1] : 0);
    tr_put_ints(p, out, p->numbers, globals);
    for (uint32_t i = 0; i < locals; i++) {
        sx_str s = texts->items[p->distinct[globals + i] - texts->globals];
        p->numbers[i] = s.len;
        bytes += s.len;
    }
    tr_put_ints(p, out, p->numbers, locals);
    if (locals && bytes && !sx_buf_reserve(&text, bytes))
        p->failed = true;
    for (uint32_t i = 0; i < locals; i++)
        sx_buf_str(&text, texts->items[p->distinct[globals + i] - texts->globals]);
    if (locals)
        tr_put_blob(p, out, text.data, text.len);
    sx_buf_done(&text);
}

/* Numbers counted back from the newest text: what was used lately is small. */
static void recent_codes(tr_packer *p, const uint32_t *codes, size_t count, uint32_t globals,
                         const tr_texts *texts)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)p->stamps[codes[i]];
        if (codes[i] < texts->globals)
            p->numbers[i] = 1 + at;
        else if (at == seen)
            p->numbers[i] = 0, seen++;
        else
            p->numbers[i] = (uint64_t)globals + seen - at;
    }
}

void tr_put_texts(tr_packer *p, sx_buf *out, const uint32_t *codes, size_t count,
                  const tr_texts *texts)
{
    p->distinct_count = 0;
    if (p->failed || !sx_grow(&p->numbers, &p->numbers_cap, count, sizeof *p->numbers)) {
        p->failed = true;
        return;
    }
    uint32_t globals = find_distinct(p, codes, count, texts);
    if (p->failed)
        return;
    uint32_t locals = p->distinct_count - globals;
    tr_put_varint(out, globals);
    tr_put_varint(out, locals);
    put_dictionary(p, out, globals, texts);
    if (p->distinct_count <= 1)
        return;
    unsigned mode = locals == count         ? CODES_FRESH
                    : locals > RECENT_LEAST ? CODES_RECENT
                                            : CODES_PLAIN;
    sx_buf_byte(out, (char)mode);
    if (mode == CODES_FRESH)
        return;
    if (mode == CODES_RECENT)
        recent_codes(p, codes, count, globals, texts);
    else
        for (size_t i = 0; i < count; i++)
            p->numbers[i] =
                (uint32_t)p->stamps[codes[i]] + (codes[i] < texts->globals ? 0 : globals);
    tr_put_ints(p, out, p->numbers, count);
}

/* --- Reading. */

void tr_unpacker_done(tr_unpacker *u)
{
    ZSTD_freeDCtx(u->zstd);
    sx_free(u->plane);
    *u = (tr_unpacker){0};
}

uint64_t tr_take_varint(tr_cursor *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && c->at < c->end; shift += 7) {
        uint8_t byte = *c->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
    tr_set_fault(c, TR_DAMAGED);
    return 0;
}

const uint8_t *tr_take_bytes(tr_cursor *c, size_t len)
{
    if (len > (size_t)(c->end - c->at) || c->fault) {
        tr_set_fault(c, TR_DAMAGED);
        return NULL;
    }
    const uint8_t *at = c->at;
    c->at += len;
    return at;
}

uint32_t tr_take_u32(tr_cursor *c)
{
    uint32_t v = 0;
    const uint8_t *at = tr_take_bytes(c, sizeof v);
    if (at)
        memcpy(&v, at, sizeof v);
    return v;
}

static bool unpack(tr_unpacker *u, tr_cursor *c, const uint8_t *packed, size_t len, void *out,
                   size_t want)
{
    if (!u->zstd && !(u->zstd = ZSTD_createDCtx())) {
        tr_set_fault(c, TR_NO_MEMORY);
        return false;
    }
    size_t n = ZSTD_decompressDCtx(u->zstd, out, want, packed, len);
    if (n != want) {
        tr_set_fault(c, TR_DAMAGED);
        return false;
    }
    return true;
}

/* The next plane; a view of the input, or u->plane. For PLANE_SAME *same is the byte. */
static const uint8_t *take_plane(tr_unpacker *u, tr_cursor *c, size_t count, int *same)
{
    const uint8_t *mode = tr_take_bytes(c, 1);
    *same = -1;
    if (!mode)
        return NULL;
    if (*mode == PLANE_RAW)
        return tr_take_bytes(c, count);
    if (*mode == PLANE_SAME) {
        const uint8_t *byte = tr_take_bytes(c, 1);
        *same = byte ? *byte : -1;
        return byte;
    }
    uint64_t len = *mode == PLANE_ZSTD ? tr_take_varint(c) : UINT64_MAX;
    const uint8_t *packed = tr_take_bytes(c, len);
    if (!packed)
        return NULL;
    if (!sx_grow(&u->plane, &u->plane_cap, count, 1)) {
        tr_set_fault(c, TR_NO_MEMORY);
        return NULL;
    }
    return unpack(u, c, packed, len, u->plane, count) ? u->plane : NULL;
}

typedef struct ints_head {
    unsigned width, scale;
    uint64_t base, range;
} ints_head;

static ints_head take_head(tr_cursor *c)
{
    ints_head h = {0};
    const uint8_t *byte = tr_take_bytes(c, 1);
    if (!byte)
        return h;
    h.width = *byte & 15;
    h.scale = *byte >> 4;
    h.base = (uint64_t)unzigzag(tr_take_varint(c));
    if (h.width > 8 || h.scale >= SCALES)
        tr_set_fault(c, TR_DAMAGED);
    else if (h.width)
        h.range = tr_take_varint(c);
    if (c->fault)
        h.width = 0;
    return h;
}

bool tr_peek_range(tr_cursor c, int64_t *least, int64_t *greatest)
{
    ints_head h = take_head(&c);
    if (c.fault)
        return false;
    *least = (int64_t)h.base;
    *greatest = (int64_t)(h.base + h.range * SCALE[h.scale]);
    return *greatest >= *least;
}

bool tr_take_ints(tr_unpacker *u, tr_cursor *c, uint64_t *out, size_t count)
{
    ints_head h = take_head(c);
    if (h.width == 0) {
        for (size_t i = 0; i < count; i++)
            out[i] = h.base;
        return c->fault == TR_FINE;
    }
    for (unsigned w = 0; w < h.width; w++) {
        int same;
        unsigned shift = 8 * w;
        const uint8_t *plane = take_plane(u, c, count, &same);
        if (!plane)
            return false;
        if (same >= 0)
            for (size_t i = 0; i < count; i++)
                out[i] = (w ? out[i] : 0) | (uint64_t)same << shift;
        else if (w == 0)
            for (size_t i = 0; i < count; i++)
                out[i] = plane[i];
        else
            for (size_t i = 0; i < count; i++)
                out[i] |= (uint64_t)plane[i] << shift;
    }
    /* The range is what searches pass a column over by: it must be true. */
    uint64_t most = 0, by = SCALE[h.scale];
    for (size_t i = 0; i < count; i++) {
        most = out[i] > most ? out[i] : most;
        out[i] = h.base + out[i] * by;
    }
    if (most > h.range)
        tr_set_fault(c, TR_DAMAGED);
    return c->fault == TR_FINE;
}

bool tr_take_codes(tr_unpacker *u, tr_cursor *c, uint32_t *out, size_t count, uint64_t limit)
{
    ints_head h = take_head(c);
    if (c->fault || h.scale || h.width > 4 || (count && (h.base >= limit || h.range >= limit))) {
        tr_set_fault(c, TR_DAMAGED);
        return false;
    }
    uint32_t base = (uint32_t)h.base;
    for (size_t i = 0; i < count; i++)
        out[i] = base;
    for (unsigned w = 0; w < h.width; w++) {
        int same;
        unsigned shift = 8 * w;
        const uint8_t *plane = take_plane(u, c, count, &same);
        if (!plane)
            return false;
        if (same >= 0)
            for (size_t i = 0; i < count; i++)
                out[i] += (uint32_t)same << shift;
        else
            for (size_t i = 0; i < count; i++)
                out[i] += (uint32_t)plane[i] << shift;
    }
    uint32_t most = 0, least = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        most = out[i] > most ? out[i] : most;
        least = out[i] < least ? out[i] : least;
    }
    if (count && (most >= limit || least < base))
        tr_set_fault(c, TR_DAMAGED);
    return c->fault == TR_FINE;
}

bool tr_take_blob(tr_unpacker *u, tr_cursor *c, sx_arena *arena, sx_str *out)
{
    const uint8_t *mode = tr_take_bytes(c, 1);
    uint64_t len = mode ? tr_take_varint(c) : 0;
    *out = (sx_str){0};
    if (!mode || c->fault || *mode > PLANE_ZSTD || len > TR_CHUNK_BYTES_MAX) {
        tr_set_fault(c, TR_DAMAGED);
        return false;
    }
    if (*mode == PLANE_RAW) {
        const uint8_t *at = tr_take_bytes(c, len);
        *out = sx_str_of(at, at ? len : 0);
        return at != NULL;
    }
    uint64_t packed_len = tr_take_varint(c);
    const uint8_t *packed = tr_take_bytes(c, packed_len);
    if (!packed)
        return false;
    char *data = sx_arena_alloc(arena, len);
    if (!data) {
        tr_set_fault(c, TR_NO_MEMORY);
        return false;
    }
    *out = sx_str_of(data, len);
    return unpack(u, c, packed, packed_len, data, len);
}

/* Lengths of locals into views of the blob behind them. */
static bool take_locals(tr_unpacker *u, tr_cursor *c, sx_arena *arena, tr_text_column *out,
                        uint64_t *scratch)
{
    sx_str all;
    uint64_t at = 0;
    if (!tr_take_ints(u, c, scratch, out->local_count) || !tr_take_blob(u, c, arena, &all))
        return false;
    for (uint32_t i = 0; i < out->local_count; i++) {
        if (scratch[i] > all.len - at) {
            tr_set_fault(c, TR_DAMAGED);
            return false;
        }
        out->locals[i] = sx_str_of(all.data + at, scratch[i]);
        at += scratch[i];
    }
    if (at != all.len)
        tr_set_fault(c, TR_DAMAGED);
    return c->fault == TR_FINE;
}

static bool take_dictionary(tr_unpacker *u, tr_cursor *c, uint32_t dict_count, sx_arena *arena,
                            tr_text_column *out)
{
    uint32_t most = out->global_count > out->local_count ? out->global_count : out->local_count;
    uint64_t *scratch = sx_arena_alloc(arena, most * sizeof *scratch);
    out->globals = sx_arena_alloc(arena, out->global_count * sizeof *out->globals);
    out->locals = sx_arena_alloc(arena, out->local_count * sizeof *out->locals);
    if (!scratch || !out->globals || !out->locals) {
        tr_set_fault(c, TR_NO_MEMORY);
        return false;
    }
    if (!tr_take_ints(u, c, scratch, out->global_count))
        return false;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < out->global_count; i++) {
        bool climbs = i == 0 || scratch[i] > 0;
        if (!climbs || scratch[i] >= dict_count || sum + scratch[i] >= dict_count) {
            tr_set_fault(c, TR_DAMAGED);
            return false;
        }
        sum += scratch[i];
        out->globals[i] = (uint32_t)sum;
    }
    if (out->local_count)
        return take_locals(u, c, arena, out, scratch);
    uint64_t none;
    return tr_take_ints(u, c, &none, 0);
}

static bool forward_codes(tr_cursor *c, tr_text_column *out, size_t count)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t code = out->codes[i];
        if (code == 0) {
            out->codes[i] = out->global_count + seen++;
        } else if (code <= out->global_count) {
            out->codes[i] = code - 1;
        } else {
            uint32_t back = code - out->global_count;
            if (back > seen)
                seen = out->local_count + 1;
            else
                out->codes[i] = out->global_count + seen - back;
        }
        if (seen > out->local_count) {
            tr_set_fault(c, TR_DAMAGED);
            return false;
        }
    }
    return true;
}

bool tr_take_text_codes(tr_unpacker *u, tr_cursor *c, size_t count, sx_arena *arena,
                        tr_text_column *out)
{
    uint32_t all = out->global_count + out->local_count;
    out->codes = sx_arena_alloc(arena, count * sizeof *out->codes);
    if (!out->codes) {
        tr_set_fault(c, TR_NO_MEMORY);
        return false;
    }
    if (all == 1 || count == 0) {
        memset(out->codes, 0, count * sizeof *out->codes);
        return true;
    }
    const uint8_t *mode = tr_take_bytes(c, 1);
    if (!mode)
        return false;
    switch (*mode) {
    case CODES_PLAIN:
        return tr_take_codes(u, c, out->codes, count, all);
    case CODES_FRESH:
        if (out->global_count || out->local_count != count)
            break;
        for (size_t i = 0; i < count; i++)
            out->codes[i] = (uint32_t)i;
        return true;
    case CODES_RECENT:
        return tr_take_codes(u, c, out->codes, count, (uint64_t)all + 1) &&
               forward_codes(c, out, count);
    default:
        break;
    }
    tr_set_fault(c, TR_DAMAGED);
    return false;
}

bool tr_take_texts(tr_unpacker *u, tr_cursor *c, size_t count, uint32_t dict_count, sx_arena *arena,
                   tr_text_column *out)
{
    *out = (tr_text_column){0};
    uint64_t globals = tr_take_varint(c), locals = tr_take_varint(c);
    if (c->fault || globals > count || locals > count || globals + locals > count ||
        (count && globals + locals == 0)) {
        tr_set_fault(c, TR_DAMAGED);
        return false;
    }
    out->global_count = (uint32_t)globals;
    out->local_count = (uint32_t)locals;
    return take_dictionary(u, c, dict_count, arena, out);
}
