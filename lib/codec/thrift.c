/* thrift.c - the two protocols behind thrift.h: what differs is how numbers, heads of fields and of
 * lists are written. Called by observe/spans (Jaeger, Zipkin). */
#include "codec/thrift.h"

static SX_COLD void set_fault(sx_thrift *r, const char *why)
{
    if (!r->fault) {
        r->fault = why;
        r->fault_at = r->at;
    }
    r->at = r->end;
}

void sx_thrift_init(sx_thrift *r, sx_thrift_protocol protocol, sx_str bytes)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *data = bytes.len ? (const uint8_t *)bytes.data : nothing;
    *r = (sx_thrift){.at = data,
                     .begin = data,
                     .end = data + bytes.len,
                     .protocol = (uint8_t)protocol,
                     .depth_left = SX_THRIFT_DEPTH_MAX};
}

sx_status sx_thrift_status(const sx_thrift *r, const char *what, sx_error *err)
{
    if (!r->fault)
        return SX_OK;
    return sx_fail(err, SX_EFORMAT, "%s: %s at byte %zu of its %zu (Thrift %s protocol)", what,
                   r->fault, (size_t)(r->fault_at - r->begin), (size_t)(r->end - r->begin),
                   r->protocol == SX_THRIFT_COMPACT ? "compact" : "binary");
}

/* --- Bytes. */

static const uint8_t *take(sx_thrift *r, size_t n)
{
    if (sx_unlikely((size_t)(r->end - r->at) < n)) {
        set_fault(r, "the input ends too early");
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += n;
    return p;
}

static uint64_t big_endian(sx_thrift *r, unsigned bytes)
{
    const uint8_t *p = take(r, bytes);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static uint64_t varint(sx_thrift *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *p = take(r, 1);
        if (!p)
            return 0;
        if (shift == 63 && *p > 1)
            break;
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (*p < 0x80)
            return v;
    }
    set_fault(r, "a number of more than 64 bits");
    return 0;
}

static int64_t zigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* --- Types. */

static sx_thrift_type type_of(sx_thrift *r, unsigned wire)
{
    static const uint8_t BINARY[16] = {
        [2] = SX_THRIFT_BOOL,    [3] = SX_THRIFT_BYTE,    [4] = SX_THRIFT_DOUBLE,
        [6] = SX_THRIFT_I16,     [8] = SX_THRIFT_I32,     [10] = SX_THRIFT_I64,
        [11] = SX_THRIFT_STRING, [12] = SX_THRIFT_STRUCT, [13] = SX_THRIFT_MAP,
        [14] = SX_THRIFT_SET,    [15] = SX_THRIFT_LIST};
    static const uint8_t COMPACT[16] = {
        [1] = SX_THRIFT_BOOL,   [2] = SX_THRIFT_BOOL,   [3] = SX_THRIFT_BYTE,
        [4] = SX_THRIFT_I16,    [5] = SX_THRIFT_I32,    [6] = SX_THRIFT_I64,
        [7] = SX_THRIFT_DOUBLE, [8] = SX_THRIFT_STRING, [9] = SX_THRIFT_LIST,
        [10] = SX_THRIFT_SET,   [11] = SX_THRIFT_MAP,   [12] = SX_THRIFT_STRUCT};
    sx_thrift_type type = SX_THRIFT_STOP;
    if (wire < 16)
        type = r->protocol == SX_THRIFT_COMPACT ? COMPACT[wire] : BINARY[wire];
    if (type == SX_THRIFT_STOP)
        set_fault(r, "a type that Thrift does not have");
    return type;
}

/* The fewest bytes an item can take: bounds what a count may claim. */
static unsigned least_bytes(const sx_thrift *r, sx_thrift_type type)
{
    static const uint8_t BINARY[SX_THRIFT_TYPES] = {
        [SX_THRIFT_BOOL] = 1,   [SX_THRIFT_BYTE] = 1,   [SX_THRIFT_I16] = 2,
        [SX_THRIFT_I32] = 4,    [SX_THRIFT_I64] = 8,    [SX_THRIFT_DOUBLE] = 8,
        [SX_THRIFT_STRING] = 4, [SX_THRIFT_STRUCT] = 1, [SX_THRIFT_MAP] = 6,
        [SX_THRIFT_SET] = 5,    [SX_THRIFT_LIST] = 5};
    if (r->protocol == SX_THRIFT_BINARY)
        return BINARY[type];
    return type == SX_THRIFT_DOUBLE ? 8 : 1;
}

/* --- Values. */

int64_t sx_thrift_int(sx_thrift *r, sx_thrift_type type)
{
    static const uint8_t BYTES[SX_THRIFT_TYPES] = {
        [SX_THRIFT_BYTE] = 1, [SX_THRIFT_I16] = 2, [SX_THRIFT_I32] = 4, [SX_THRIFT_I64] = 8};
    unsigned bytes = BYTES[type];
    if (bytes == 0) {
        set_fault(r, "a number is expected");
        return 0;
    }
    if (r->protocol == SX_THRIFT_COMPACT && bytes > 1) {
        int64_t v = zigzag(varint(r));
        unsigned unused = 64 - 8 * bytes;
        return (int64_t)((uint64_t)v << unused) >> unused;
    }
    uint64_t v = big_endian(r, bytes);
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(v << unused) >> unused;
}

bool sx_thrift_bool(sx_thrift *r)
{
    if (r->bool_known) {
        r->bool_known = false;
        return r->bool_value;
    }
    const uint8_t *p = take(r, 1);
    return p && *p == 1; /* compact writes 2 for false, or 0 */
}

double sx_thrift_double(sx_thrift *r)
{
    uint64_t bits = big_endian(r, 8);
    double v;
    if (r->protocol == SX_THRIFT_COMPACT)
        bits = __builtin_bswap64(bits);
    memcpy(&v, &bits, sizeof(v));
    return v;
}

sx_str sx_thrift_str(sx_thrift *r)
{
    uint64_t len = r->protocol == SX_THRIFT_COMPACT ? varint(r) : big_endian(r, 4);
    if (sx_unlikely(len > (uint64_t)(r->end - r->at))) {
        set_fault(r, "a text is longer than what is left");
        return sx_str_of(NULL, 0);
    }
    sx_str s = sx_str_of(r->at, (size_t)len);
    r->at += len;
    return s;
}

/* Count and item type of the list that comes next. */
static uint32_t list_head(sx_thrift *r, sx_thrift_type *item)
{
    uint64_t count;
    const uint8_t *head = take(r, 1);
    *item = SX_THRIFT_STOP;
    if (!head)
        return 0;
    if (r->protocol == SX_THRIFT_COMPACT) {
        count = *head >> 4;
        if (count == 15)
            count = varint(r);
        if (count)
            *item = type_of(r, *head & 15);
    } else {
        count = big_endian(r, 4);
        if (count)
            *item = type_of(r, *head);
    }
    if (count && !r->fault && count > (uint64_t)(r->end - r->at) / least_bytes(r, *item)) {
        set_fault(r, "a list of more items than the input can hold");
        return 0;
    }
    return r->fault ? 0 : (uint32_t)count;
}

/* --- Skipping. */

static void skip_type(sx_thrift *r, sx_thrift_type type);

static void skip_struct(sx_thrift *r)
{
    sx_thrift_outer outer = sx_thrift_enter(r);
    while (sx_thrift_next(r))
        skip_type(r, (sx_thrift_type)r->type);
    sx_thrift_leave(r, outer);
}

/* Descends a level by hand: lists and maps have no frame of their own. */
static bool deeper(sx_thrift *r)
{
    if (r->depth_left == 0) {
        set_fault(r, "nested too deep");
        return false;
    }
    r->depth_left--;
    return true;
}

static void skip_map(sx_thrift *r)
{
    sx_thrift_type key = SX_THRIFT_STOP, value = SX_THRIFT_STOP;
    uint64_t count;
    if (r->protocol == SX_THRIFT_COMPACT) {
        count = varint(r);
        const uint8_t *types = count ? take(r, 1) : NULL;
        if (types) {
            key = type_of(r, *types >> 4);
            value = type_of(r, *types & 15);
        }
    } else {
        const uint8_t *types = take(r, 2);
        count = big_endian(r, 4);
        if (types && count) {
            key = type_of(r, types[0]);
            value = type_of(r, types[1]);
        }
    }
    for (; count && !r->fault; count--) {
        r->bool_known = false;
        skip_type(r, key);
        skip_type(r, value);
    }
}

static void skip_type(sx_thrift *r, sx_thrift_type type)
{
    sx_thrift_type item;
    switch (type) {
    case SX_THRIFT_BOOL:
        sx_thrift_bool(r);
        break;
    case SX_THRIFT_BYTE:
    case SX_THRIFT_I16:
    case SX_THRIFT_I32:
    case SX_THRIFT_I64:
        sx_thrift_int(r, type);
        break;
    case SX_THRIFT_DOUBLE:
        take(r, 8);
        break;
    case SX_THRIFT_STRING:
        sx_thrift_str(r);
        break;
    case SX_THRIFT_STRUCT:
        skip_struct(r);
        break;
    case SX_THRIFT_SET:
    case SX_THRIFT_LIST:
        if (!deeper(r))
            break;
        for (uint32_t left = list_head(r, &item); left && !r->fault; left--)
            skip_type(r, item);
        r->depth_left++;
        break;
    case SX_THRIFT_MAP:
        if (!deeper(r))
            break;
        skip_map(r);
        r->depth_left++;
        break;
    case SX_THRIFT_STOP:
    case SX_THRIFT_TYPES:
        set_fault(r, "a type that Thrift does not have");
        break;
    }
}

void sx_thrift_skip(sx_thrift *r)
{
    skip_type(r, (sx_thrift_type)r->type);
}

uint32_t sx_thrift_list(sx_thrift *r, sx_thrift_type type)
{
    sx_thrift_type item;
    uint32_t count = list_head(r, &item);
    if (count == 0 || item == type)
        return count;
    for (; count && !r->fault; count--)
        skip_type(r, item);
    return 0;
}

/* --- Messages, structs, fields. */

sx_str sx_thrift_message(sx_thrift *r, sx_thrift_call *call, int32_t *sequence)
{
    sx_str name;
    *call = SX_THRIFT_CALL;
    *sequence = 0;
    if (r->protocol == SX_THRIFT_COMPACT) {
        const uint8_t *head = take(r, 2);
        if (!head)
            return sx_str_of(NULL, 0);
        if (head[0] != 0x82 || (head[1] & 0x1f) != 1)
            set_fault(r, "no message of the compact protocol, version 1");
        *call = (sx_thrift_call)(head[1] >> 5 & 7);
        *sequence = (int32_t)varint(r);
        return sx_thrift_str(r);
    }
    uint32_t head = (uint32_t)big_endian(r, 4);
    if (head & 0x80000000u) { /* strict: version and kind first */
        if ((head & 0xffff0000u) != 0x80010000u)
            set_fault(r, "no message of the binary protocol, version 1");
        *call = (sx_thrift_call)(head & 0xff);
        name = sx_thrift_str(r);
    } else { /* old: this was the length of the name */
        const uint8_t *text = take(r, head);
        name = sx_str_of(text, text ? head : 0);
        *call = (sx_thrift_call)big_endian(r, 1);
    }
    *sequence = (int32_t)big_endian(r, 4);
    return name;
}

sx_thrift_outer sx_thrift_enter(sx_thrift *r)
{
    sx_thrift_outer outer = {r->id};
    r->id = 0;
    if (r->depth_left == 0)
        set_fault(r, "nested too deep");
    else
        r->depth_left--;
    return outer;
}

void sx_thrift_leave(sx_thrift *r, sx_thrift_outer outer)
{
    r->id = outer.id;
    r->bool_known = false;
    if (!r->fault || r->depth_left < SX_THRIFT_DEPTH_MAX)
        r->depth_left++;
}

static bool next_compact(sx_thrift *r, unsigned head)
{
    unsigned wire = head & 15;
    r->id = (int16_t)(head >> 4 ? r->id + (int)(head >> 4) : zigzag(varint(r)));
    r->type = (uint8_t)type_of(r, wire);
    r->bool_known = r->type == SX_THRIFT_BOOL;
    r->bool_value = wire == 1;
    return !r->fault;
}

bool sx_thrift_next(sx_thrift *r)
{
    const uint8_t *head = take(r, 1);
    if (!head || *head == 0)
        return false;
    if (r->protocol == SX_THRIFT_COMPACT)
        return next_compact(r, *head);
    r->id = (int16_t)big_endian(r, 2);
    r->type = (uint8_t)type_of(r, *head);
    return !r->fault;
}
