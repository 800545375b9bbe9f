/* lane.c - chunks between a producer and a consumer: see lane.h. */
#include "telemetry/lane.h"

#include <sextant/mem.h>

bool sx_lane_init(sx_lane *lane, uint32_t chunks_max)
{
    *lane = (sx_lane){.chunks = 1, .chunks_max = chunks_max};
    sx_lane_chunk *first = (sx_lane_chunk *)sx_alloc(sizeof(*first));
    if (!first)
        return false;
    first->next = NULL;
    first->committed = first->taken = 0;
    lane->filling = lane->draining = first;
    return true;
}

void sx_lane_done(sx_lane *lane)
{
    sx_lane_chunk *lists[] = {lane->draining, lane->spare, lane->returned};
    for (size_t i = 0; i < SX_COUNT_OF(lists); i++) {
        for (sx_lane_chunk *c = lists[i]; c;) {
            sx_lane_chunk *next = c->next;
            sx_free(c);
            c = next;
        }
    }
    *lane = (sx_lane){0};
}

/* A chunk that came back, or a new one while there may be more; NULL: neither. */
static sx_lane_chunk *take_chunk(sx_lane *lane)
{
    if (!lane->spare)
        lane->spare = __atomic_exchange_n(&lane->returned, NULL, __ATOMIC_ACQUIRE);
    sx_lane_chunk *c = lane->spare;
    if (c) {
        lane->spare = __atomic_load_n(&c->next, __ATOMIC_RELAXED);
    } else if (lane->chunks < lane->chunks_max) {
        c = (sx_lane_chunk *)sx_alloc(sizeof(*c));
        lane->chunks += c != NULL;
    }
    if (c) {
        __atomic_store_n(&c->next, NULL, __ATOMIC_RELAXED);
        __atomic_store_n(&c->committed, 0, __ATOMIC_RELAXED);
        c->taken = 0;
    }
    return c;
}

char *sx_lane_next_chunk(sx_lane *lane)
{
    sx_lane_chunk *fresh = take_chunk(lane);
    if (!fresh)
        return NULL;
    /* The old one is final from here on. */
    __atomic_store_n(&lane->filling->next, fresh, __ATOMIC_RELEASE);
    lane->filling = fresh;
    return fresh->bytes;
}

bool sx_lane_take_up(sx_lane *lane, sx_lane_take *take)
{
    take->count = take->full_count = 0;
    sx_lane_chunk *c = lane->draining;
    while (take->count < SX_LANE_PIECES && take->full_count < SX_LANE_PIECES) {
        /* `next` first: if there is one, `committed` read after it is final. */
        sx_lane_chunk *next = __atomic_load_n(&c->next, __ATOMIC_ACQUIRE);
        uint32_t committed = __atomic_load_n(&c->committed, __ATOMIC_ACQUIRE);
        if (committed > c->taken) {
            take->pieces[take->count++] = sx_str_of(c->bytes + c->taken, committed - c->taken);
            c->taken = committed;
        }
        if (!next)
            break;
        take->full[take->full_count++] = c;
        c = next;
    }
    lane->draining = c;
    return take->count > 0;
}

void sx_lane_release(sx_lane *lane, const sx_lane_take *take)
{
    for (size_t i = 0; i < take->full_count; i++) {
        sx_lane_chunk *c = take->full[i];
        sx_lane_chunk *top = __atomic_load_n(&lane->returned, __ATOMIC_RELAXED);
        do
            __atomic_store_n(&c->next, top, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&lane->returned, &top, c, true, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED));
    }
}
