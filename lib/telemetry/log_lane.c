/* log_lane.c - the producers' side of a log: see log_lane.h. */
#include "telemetry/log_lane.h"

#include <unistd.h>

#include <sextant/mem.h>

static sx_log_lane *make_lane(uint32_t chunks_max)
{
    sx_log_lane *lane = (sx_log_lane *)sx_calloc(1, sizeof(*lane));
    sx_log_chunk *first = (sx_log_chunk *)sx_alloc(sizeof(*first));
    if (!lane || !first) {
        sx_free(lane);
        sx_free(first);
        return NULL;
    }
    first->next = NULL;
    first->committed = first->written = 0;
    lane->filling = lane->draining = first;
    lane->chunks = 1;
    lane->chunks_max = chunks_max;
    lane->second = INT64_MIN;
    return lane;
}

sx_log_lane *sx_log_lane_enter(sx_log *log)
{
    unsigned shard = sx_thread_shard;
    if (shard == 0)
        pthread_mutex_lock(&log->shared_lock);
    sx_log_lane *lane = __atomic_load_n(&log->lanes[shard], __ATOMIC_ACQUIRE);
    if (sx_likely(lane != NULL))
        return lane;
    lane = make_lane(log->chunks_max);
    if (lane)
        __atomic_store_n(&log->lanes[shard], lane, __ATOMIC_RELEASE);
    else if (shard == 0)
        pthread_mutex_unlock(&log->shared_lock);
    return lane;
}

void sx_log_lane_leave(sx_log *log, sx_log_lane *lane)
{
    if (lane == __atomic_load_n(&log->lanes[0], __ATOMIC_RELAXED))
        pthread_mutex_unlock(&log->shared_lock);
}

static sx_log_chunk *take_chunk(sx_log_lane *lane)
{
    if (!lane->spare)
        lane->spare = __atomic_exchange_n(&lane->returned, NULL, __ATOMIC_ACQUIRE);
    sx_log_chunk *c = lane->spare;
    if (c) {
        lane->spare = __atomic_load_n(&c->next, __ATOMIC_RELAXED);
    } else if (lane->chunks < lane->chunks_max) {
        c = (sx_log_chunk *)sx_alloc(sizeof(*c));
        lane->chunks += c != NULL;
    }
    if (c) {
        __atomic_store_n(&c->next, NULL, __ATOMIC_RELAXED);
        __atomic_store_n(&c->committed, 0, __ATOMIC_RELAXED);
        c->written = 0;
    }
    return c;
}

char *sx_log_lane_room(sx_log_lane *lane, size_t bytes, size_t *room)
{
    sx_log_chunk *c = lane->filling;
    uint32_t used = __atomic_load_n(&c->committed, __ATOMIC_RELAXED);
    if (sx_unlikely(SX_LOG_CHUNK_BYTES - used < bytes)) {
        sx_log_chunk *fresh = take_chunk(lane);
        if (!fresh)
            return NULL;
        __atomic_store_n(&c->next, fresh, __ATOMIC_RELEASE); /* c is final from here on */
        lane->filling = c = fresh;
        used = 0;
    }
    *room = SX_LOG_CHUNK_BYTES - used;
    return c->text + used;
}

void sx_log_lane_commit(sx_log_lane *lane, size_t bytes)
{
    sx_log_chunk *c = lane->filling;
    uint32_t used = __atomic_load_n(&c->committed, __ATOMIC_RELAXED) + (uint32_t)bytes;
    sx_assert(used <= SX_LOG_CHUNK_BYTES);
    __atomic_store_n(&c->committed, used, __ATOMIC_RELEASE);
    __atomic_store_n(&lane->lines, __atomic_load_n(&lane->lines, __ATOMIC_RELAXED) + 1,
                     __ATOMIC_RELAXED);
    lane->pending = true;
}

void sx_log_lane_drop(sx_log_lane *lane)
{
    __atomic_store_n(&lane->lines, __atomic_load_n(&lane->lines, __ATOMIC_RELAXED) + 1,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&lane->dropped, __atomic_load_n(&lane->dropped, __ATOMIC_RELAXED) + 1,
                     __ATOMIC_RELAXED);
}

void sx_log_lane_free(sx_log_lane *lane)
{
    if (!lane)
        return;
    sx_log_chunk *lists[] = {lane->draining, lane->spare, lane->returned};
    for (size_t i = 0; i < SX_COUNT_OF(lists); i++) {
        for (sx_log_chunk *c = lists[i]; c;) {
            sx_log_chunk *next = c->next;
            sx_free(c);
            c = next;
        }
    }
    sx_free(lane);
}

void sx_log_wake(sx_log *log)
{
    /* Either the writer, which sets `idle` and then looks at the lanes, sees our line, or we see
     * that it is idle: both sides have a full fence between. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&log->idle, __ATOMIC_RELAXED)) {
        uint64_t one = 1;
        ssize_t done = write(log->wake_fd, &one, sizeof(one));
        (void)done; /* EAGAIN: it is being woken already */
    }
}

void sx_log_turn_end(sx_log *log)
{
    sx_log_lane *lane = __atomic_load_n(&log->lanes[sx_thread_shard], __ATOMIC_RELAXED);
    if (!lane || sx_thread_shard == 0 || !lane->pending)
        return;
    lane->pending = false;
    sx_log_wake(log);
}
