/* lane.h - how bytes travel from a thread that must not wait to one thread that takes them up.
 *
 *     producer ──▶ filling chunk ──next──▶ …      one producer, one consumer, no lock
 *                     ▲ draining (the consumer)
 *
 * The producer appends to its newest chunk and publishes the end (`committed`); when a chunk is full
 * it links a new one behind. The consumer follows: it takes what is committed and, once a chunk has a
 * next one, gives it back through a stack that the producer empties in one exchange. So few chunks
 * are touched as long as the consumer keeps up, and their number bounds the lane.
 *
 * The log's lines (log_lane.h) and the exporter's records (otlp_lanes.c) travel by it. What is
 * committed at once stays in one piece: a piece that the consumer gets begins and ends between them. */
#ifndef SEXTANT_TELEMETRY_LANE_H
#define SEXTANT_TELEMETRY_LANE_H

#include <sextant/str.h>

enum { SX_LANE_CHUNK_BYTES = 65536 - 32 }; /* with its head and malloc's, 64 KiB */

typedef struct sx_lane_chunk {
    struct sx_lane_chunk *next; /* atomic: set once by the producer; then the stack's */
    uint32_t committed;         /* atomic: the producer's */
    uint32_t taken;             /* the consumer's */
    char bytes[SX_LANE_CHUNK_BYTES];
} sx_lane_chunk;

typedef struct sx_lane {
    /* The producer's own. */
    sx_lane_chunk *filling;
    sx_lane_chunk *spare; /* taken back from `returned` */
    uint32_t chunks, chunks_max;
    /* Atomic counts: written by the producer, read by anybody. */
    uint64_t records, dropped; /* records: the dropped ones, too */
    /* Atomic: a stack that the consumer pushes on and the producer takes whole. */
    sx_lane_chunk *returned __attribute__((aligned(64)));
    /* The consumer's own. */
    sx_lane_chunk *draining;
} sx_lane;

/* A lane with its first chunk that grows to chunks_max; false without memory. */
bool sx_lane_init(sx_lane *lane, uint32_t chunks_max);

/* Frees the chunks; producer and consumer have gone. Also of a lane that is all zero. */
void sx_lane_done(sx_lane *lane);

/* ---- the producer ---- */

/* Links a new chunk behind the full one: SX_LANE_CHUNK_BYTES of room, or NULL, the lane is full. */
char *sx_lane_next_chunk(sx_lane *lane) SX_COLD;

/* Room for `bytes` (at most SX_LANE_CHUNK_BYTES) in one piece, *room of it, or NULL. HOT. */
static inline char *sx_lane_room(sx_lane *lane, size_t bytes, size_t *room)
{
    sx_lane_chunk *c = lane->filling;
    uint32_t used = __atomic_load_n(&c->committed, __ATOMIC_RELAXED);
    *room = SX_LANE_CHUNK_BYTES - used;
    if (sx_likely(*room >= bytes))
        return c->bytes + used;
    *room = SX_LANE_CHUNK_BYTES;
    return sx_lane_next_chunk(lane);
}

/* One more in a count that only this thread writes. */
static inline void sx_lane_count(uint64_t *count)
{
    __atomic_store_n(count, __atomic_load_n(count, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* Publishes the record that was written at the start of the room; counts it. HOT. */
static inline void sx_lane_commit(sx_lane *lane, size_t bytes)
{
    sx_lane_chunk *c = lane->filling;
    uint32_t used = __atomic_load_n(&c->committed, __ATOMIC_RELAXED) + (uint32_t)bytes;
    sx_assert(used <= SX_LANE_CHUNK_BYTES);
    __atomic_store_n(&c->committed, used, __ATOMIC_RELEASE);
    sx_lane_count(&lane->records);
}

/* Counts a record that could not be taken. */
static inline void sx_lane_drop(sx_lane *lane)
{
    sx_lane_count(&lane->records);
    sx_lane_count(&lane->dropped);
}

/* ---- the consumer ---- */

enum { SX_LANE_PIECES = 64 }; /* at most so many are taken at once */

/* What was taken: pieces of bytes that stay valid until sx_lane_release. */
typedef struct sx_lane_take {
    sx_str pieces[SX_LANE_PIECES];
    size_t count;
    sx_lane_chunk *full[SX_LANE_PIECES]; /* chunks that end in this take */
    size_t full_count;
} sx_lane_take;

/* Takes what is committed now, at most SX_LANE_PIECES chunks of it; whether there was anything. Each
 * take is released before the next. */
bool sx_lane_take_up(sx_lane *lane, sx_lane_take *take);

/* Gives the chunks that the take emptied back to the producer. */
void sx_lane_release(sx_lane *lane, const sx_lane_take *take);

#endif
