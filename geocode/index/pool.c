/* pool.c - see pool.h. */
#include "geocode/index/pool.h"

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/index/cursor.h"

void geo_put_varint(sx_buf *b, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    sx_buf_bytes(b, bytes, len);
}

void geo_put_zigzag(sx_buf *b, int64_t value)
{
    geo_put_varint(b, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void geo_pool_init(geo_pool *p)
{
    *p = (geo_pool){0};
    sx_buf_init(&p->heap, UINT32_MAX);
}

void geo_pool_done(geo_pool *p)
{
    sx_buf_done(&p->heap);
    sx_free(p->offsets);
    sx_free(p->slots);
}

sx_str geo_pool_get(const geo_pool *p, uint32_t id)
{
    geo_cursor c = geo_cursor_at((const uint8_t *)p->heap.data, p->heap.len, p->offsets[id]);
    return geo_cursor_bytes(&c, geo_cursor_varint(&c));
}

/* The slot where `s` is, or the free one where it belongs. The table is one of two powers and never
 * full; the slot is of the hash's lower half. */
static size_t slot_of(const geo_pool *p, sx_str s, uint64_t hash)
{
    size_t slot = (size_t)hash & p->slot_mask;
    for (; p->slots[slot].id; slot = (slot + 1) & p->slot_mask) {
        if (p->slots[slot].hash == (uint32_t)(hash >> 32) &&
            sx_str_eq(geo_pool_get(p, p->slots[slot].id - 1), s))
            break;
    }
    return slot;
}

/* Doubles the table when it is three quarters full. */
static bool make_room(geo_pool *p)
{
    if (p->slots && p->count < (p->slot_mask + 1) / 4 * 3)
        return true;
    size_t size = p->slots ? (p->slot_mask + 1) * 2 : 1024;
    geo_pool_slot *slots = sx_calloc(size, sizeof(*slots));
    if (!slots)
        return false;
    sx_free(p->slots);
    p->slots = slots;
    p->slot_mask = size - 1;
    for (size_t id = 0; id < p->count; id++) {
        uint64_t hash = sx_hash(geo_pool_get(p, (uint32_t)id), 0);
        size_t slot = (size_t)hash & p->slot_mask;
        while (slots[slot].id) /* all are different: no look at their bytes */
            slot = (slot + 1) & p->slot_mask;
        slots[slot] = (geo_pool_slot){(uint32_t)(hash >> 32), (uint32_t)id + 1};
    }
    return true;
}

bool geo_pool_find(const geo_pool *p, sx_str s, uint64_t hash, uint32_t *id)
{
    if (!p->slots)
        return false;
    size_t slot = slot_of(p, s, hash);
    *id = p->slots[slot].id - 1;
    return p->slots[slot].id != 0;
}

sx_status geo_pool_put_hashed(geo_pool *p, sx_str s, uint64_t hash, uint32_t *id, bool *is_new,
                              sx_error *err)
{
    if (!make_room(p) || !sx_grow(&p->offsets, &p->offset_cap, p->count + 1, sizeof(uint32_t)))
        return sx_fail_memory(err, "the index's strings");
    size_t slot = slot_of(p, s, hash);
    *is_new = p->slots[slot].id == 0;
    if (!*is_new) {
        *id = p->slots[slot].id - 1;
        return SX_OK;
    }
    size_t offset = p->heap.len;
    geo_put_varint(&p->heap, s.len);
    sx_buf_str(&p->heap, s);
    if (p->heap.failed)
        return sx_buf_status(&p->heap, "the index's strings", err);
    p->offsets[p->count] = (uint32_t)offset;
    *id = (uint32_t)p->count++;
    p->slots[slot] = (geo_pool_slot){(uint32_t)(hash >> 32), *id + 1};
    return SX_OK;
}

sx_status geo_pool_put(geo_pool *p, sx_str s, uint32_t *id, sx_error *err)
{
    bool is_new;
    return geo_pool_put_hashed(p, s, sx_hash(s, 0), id, &is_new, err);
}
