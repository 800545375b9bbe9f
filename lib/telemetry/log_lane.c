/* log_lane.c - the producers' side of a log: see log_lane.h. */
#include "telemetry/log_lane.h"

#include <unistd.h>

#include <sextant/mem.h>

static sx_log_lane *make_lane(uint32_t chunks_max)
{
    sx_log_lane *lane = (sx_log_lane *)sx_calloc(1, sizeof(*lane));
    if (!lane || !sx_lane_init(&lane->lane, chunks_max)) {
        sx_free(lane);
        return NULL;
    }
    lane->second = INT64_MIN;
    sx_log_repeats_init(&lane->repeats);
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

void sx_log_lane_free(sx_log_lane *lane)
{
    if (!lane)
        return;
    sx_lane_done(&lane->lane);
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
