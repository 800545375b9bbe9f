/* otlp_lanes.c - how encoded records reach the exporter's thread: see otlp_sink.h.
 *
 * In a lane a record stands after its length, four bytes of this machine's order. HOT up to the
 * commit: it is part of what a span costs the thread that ends it. */
#include "telemetry/otlp_internal.h"

#include <sextant/mem.h>

enum { FRAME_BYTES = sizeof(uint32_t) };

_Static_assert(SX_OTLP_RECORD_MAX + FRAME_BYTES <= SX_LANE_CHUNK_BYTES, "a record fits a chunk");

static sx_lane *make_lane(sx_otlp_pipe *p, unsigned shard)
{
    sx_lane *lane = (sx_lane *)sx_calloc(1, sizeof(*lane));
    if (!lane || !sx_lane_init(lane, SX_OTLP_LANE_CHUNKS)) {
        sx_free(lane);
        __atomic_fetch_add(&p->lost, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    __atomic_store_n(&p->lanes[shard], lane, __ATOMIC_RELEASE);
    return lane;
}

char *sx_otlp_room(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes)
{
    sx_otlp_pipe *p = &otlp->pipes[signal];
    if (!p->sender)
        return NULL;
    unsigned shard = sx_thread_shard;
    if (shard == 0)
        pthread_mutex_lock(&p->shared_lock);
    sx_lane *lane = __atomic_load_n(&p->lanes[shard], __ATOMIC_RELAXED);
    if (sx_unlikely(!lane))
        lane = make_lane(p, shard);
    char *at = NULL;
    if (sx_likely(lane != NULL)) {
        size_t room;
        at = bytes <= SX_OTLP_RECORD_MAX ? sx_lane_room(lane, FRAME_BYTES + bytes, &room) : NULL;
        if (sx_likely(at != NULL))
            return at + FRAME_BYTES; /* a shared lane stays locked up to the commit */
        sx_lane_drop(lane);
    }
    if (shard == 0)
        pthread_mutex_unlock(&p->shared_lock);
    return NULL;
}

void sx_otlp_commit(sx_otlp *otlp, sx_otlp_signal signal, size_t bytes)
{
    sx_otlp_pipe *p = &otlp->pipes[signal];
    unsigned shard = sx_thread_shard;
    sx_lane *lane = __atomic_load_n(&p->lanes[shard], __ATOMIC_RELAXED);
    sx_assert(lane && bytes <= SX_OTLP_RECORD_MAX);
    if (sx_likely(bytes > 0)) {
        uint32_t frame = (uint32_t)bytes;
        size_t room;
        char *at = sx_lane_room(lane, FRAME_BYTES + bytes, &room); /* there is: it was asked for */
        memcpy(at, &frame, FRAME_BYTES);
        sx_lane_commit(lane, FRAME_BYTES + bytes);
    }
    if (shard == 0)
        pthread_mutex_unlock(&p->shared_lock);
}

bool sx_otlp_wants(const sx_otlp *otlp, sx_otlp_signal signal)
{
    return otlp && otlp->pipes[signal].sender;
}

static void take_piece(sx_otlp_queue *queue, sx_str piece, sx_otlp_moved *moved)
{
    while (piece.len > 0) {
        uint32_t frame;
        memcpy(&frame, piece.data, FRAME_BYTES);
        sx_assert(frame <= piece.len - FRAME_BYTES);
        sx_str record = sx_str_of(piece.data + FRAME_BYTES, frame);
        if (sx_otlp_queue_put(queue, record))
            moved->taken++;
        else
            moved->dropped++;
        piece = sx_str_from(piece, FRAME_BYTES + frame);
    }
}

sx_otlp_moved sx_otlp_lanes_take(sx_otlp_pipe *p, sx_otlp_queue *queue)
{
    sx_otlp_moved moved = {0, 0};
    unsigned used = sx_thread_shards_used();
    for (unsigned i = 0; i < used && i < SX_COUNT_OF(p->lanes); i++) {
        sx_lane *lane = __atomic_load_n(&p->lanes[i], __ATOMIC_ACQUIRE);
        sx_lane_take take;
        if (!lane || !sx_lane_take_up(lane, &take))
            continue;
        for (size_t k = 0; k < take.count; k++)
            take_piece(queue, take.pieces[k], &moved);
        sx_lane_release(lane, &take);
    }
    return moved;
}

sx_otlp_moved sx_otlp_lanes_counts(const sx_otlp_pipe *p)
{
    sx_otlp_moved all = {0, 0};
    all.taken = all.dropped = __atomic_load_n(&p->lost, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < SX_COUNT_OF(p->lanes); i++) {
        const sx_lane *lane = __atomic_load_n(&p->lanes[i], __ATOMIC_ACQUIRE);
        if (!lane)
            continue;
        all.taken += __atomic_load_n(&lane->records, __ATOMIC_RELAXED);
        all.dropped += __atomic_load_n(&lane->dropped, __ATOMIC_RELAXED);
    }
    return all;
}

void sx_otlp_lanes_free(sx_otlp_pipe *p)
{
    for (unsigned i = 0; i < SX_COUNT_OF(p->lanes); i++) {
        if (!p->lanes[i])
            continue;
        sx_lane_done(p->lanes[i]);
        sx_free(p->lanes[i]);
        p->lanes[i] = NULL;
    }
}
