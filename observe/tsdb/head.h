/* head.h - the newest samples, in memory: series, their labels and postings, their open chunks.
 *
 *   head ── shard 0 ── table    head_series by id, 64 bytes each: newest sample, open chunk's state
 *        │          ├─ memory   label pairs, postings, chunk bytes, rare extras (region.h)
 *        │          └─ index    series by hash of labels; pairs by hash of name and value
 *        ├─ shard 1 ...         a series is in the shard that the low bits of its hash say
 *        └─ full chunks         in chunks_head/ (head_chunks.h)
 *
 * A shard knows nothing of the others: it has its own copy of the strings it needs, so that nothing
 * is shared between cores that append. A label pair is one record with its value's bytes, its name's
 * record and its postings; a series is a list of pair handles. Each shard has a reader-writer lock;
 * the newest time and value of a series are also read without it (relaxed), for the appender's first
 * look. A series that has no samples left is unlinked at once and its memory used again when no
 * reader that might have seen it is left.
 *
 * Snapshots (head_image.h) write these structs as they are: when what they mean changes while their
 * layout does not, TSDB_IMAGE_VERSION goes up.
 *
 * db.c owns the head; the log (wal.h) is written before anything comes here. Cutting blocks walks the
 * series by tsdb_head_each() and reads them as a query does. */
#ifndef OBSERVE_TSDB_HEAD_H
#define OBSERVE_TSDB_HEAD_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "observe/tsdb/chunk.h"
#include "observe/tsdb/head_chunks.h"
#include "observe/tsdb/postings.h"
#include "observe/tsdb/storage.h"

enum { TSDB_HEAD_SHARDS_MAX = 16, TSDB_HEAD_SHARD_BITS = 4, TSDB_HEAD_IDS_MAX = 1 << 28 };

typedef struct tsdb_head_options {
    uint32_t shards;         /* a power of two up to 16 */
    int64_t block_ms;        /* no chunk reaches over a multiple of it */
    int64_t out_of_order_ms; /* as tsdb_options; INT64_MAX: any age; below 0: none */
    uint64_t memory_max, series_max;
    tsdb_head_chunks *chunks; /* where full chunks go; the database's */
} tsdb_head_options;

/* A label pair, or (name 0) a label name; the bytes follow. Names are chained by `next` from the
 * shard; a name's values from its series.at, and series.count is how many there are. */
typedef struct head_pair {
    tsdb_handle name, next;
    uint32_t refs; /* series that list it, unlinked ones included; of a name: 0 */
    uint32_t hash;
    tsdb_postings series;
    uint32_t len;
    char bytes[];
} head_pair;

/* A chunk in a file. It ends before the next one of its series begins. */
typedef struct head_full {
    int64_t min_t;
    uint32_t offset;
    uint16_t segment;
    uint8_t encoding, count;
} head_full;

typedef struct head_ooo_full {
    head_full at;
    int64_t max_t;
    uint32_t epoch; /* of cuts, when its newest sample came */
} head_ooo_full;

typedef struct head_sample {
    int64_t t;
    double v;
} head_sample;

typedef struct head_histogram {
    int64_t t;
    tsdb_handle at;                            /* as record.h encodes it */
    uint32_t len : 24, epoch : 7, integer : 1; /* bytes; the lowest bits of the epoch of cuts */
} head_histogram;

enum { HEAD_HISTOGRAM_BYTES_MAX = (1 << 24) - 1, HEAD_EPOCH_MASK = 0x7f };

typedef struct head_start {
    int64_t t, start; /* in force from t on */
} head_start;

typedef struct head_range {
    int64_t min_t, max_t;
} head_range;

/* A growing array in the region. */
typedef struct head_list {
    tsdb_handle at;
    uint32_t count;
} head_list;

/* What few series have. */
typedef struct head_extra {
    head_list late;       /* head_sample, sorted: out of order, not yet in a chunk */
    head_list late_full;  /* head_ooo_full */
    head_list histograms; /* head_histogram, sorted */
    head_list starts;     /* head_start, sorted */
    head_list deleted;    /* head_range */
} head_extra;

/* Flags; the last tells that the newest sample is a histogram, so that x.v says nothing. */
enum { HEAD_LIVE = 1, HEAD_LOGGED = 2, HEAD_NEWEST_HISTOGRAM = 4 };

/* A piece of an open chunk. Chunks grow by pieces of one size, which any series can use again: when
 * they grew by size classes, series that began together left five times their own size behind. The
 * chunk's first two bytes, its count, are not stored: x.count is the same. */
enum { HEAD_BYTES = 60, HEAD_BYTES_SKIPPED = 2 };
typedef struct head_bytes {
    tsdb_handle next;
    uint8_t bytes[HEAD_BYTES];
} head_bytes;

/* x.t is the newest time of all kinds of samples, INT64_MIN if there is none. */
typedef struct head_series {
    tsdb_xor_state x;
    tsdb_handle bytes; /* first block of the open chunk */
    tsdb_handle pairs; /* pair handles, sorted by name */
    uint32_t hash;     /* the upper half; of a free id: the next free one */
    tsdb_handle full;  /* head_full */
    tsdb_handle extra;
    uint16_t full_count;
    uint16_t pair_count;
    uint8_t generation, flags;
    uint16_t unused;
    tsdb_handle last_bytes; /* its last block */
} head_series;
static_assert(sizeof(head_series) == 64, "a series is one cache line");

typedef struct head_shard {
    pthread_rwlock_t lock;
    tsdb_region memory, table; /* table: head_series, id 0 unused */
    uint32_t *index;           /* ids by hash, open addressing; 0: empty */
    uint32_t index_cap;
    uint32_t *pairs; /* handles by hash */
    uint32_t pairs_cap, pairs_count;
    tsdb_handle names;
    uint32_t ids, free_ids; /* handed out so far; first of the free ones */
    uint32_t series;        /* linked ones */
    uint32_t *limbo;        /* unlinked ids whose memory waits for readers */
    size_t limbo_count, limbo_cap;
    uint64_t limbo_epoch;
    _Atomic uint64_t bytes; /* memory of all of it; written under the lock, read by anybody */
    uint64_t full_chunks, samples, late; /* late: since the last cut began */
    int64_t min_t, max_t;                /* of what is in it, widest since the last truncation */
} head_shard;

/* A reader that may hold views into the head: registered while it lives. */
typedef struct tsdb_head_reader {
    struct tsdb_head_reader *next, **before;
    uint64_t epoch;
} tsdb_head_reader;

typedef struct tsdb_head {
    tsdb_head_options options;
    _Atomic int64_t window_ms; /* options.out_of_order_ms, until another is set */
    head_shard shards[TSDB_HEAD_SHARDS_MAX];
    uint32_t shard_mask;
    uint8_t generation; /* of new series */
    _Atomic uint64_t series;
    _Atomic int64_t floor_t;    /* samples before it are late whatever their series' newest is */
    _Atomic uint32_t cut_epoch; /* how many cuts have begun; written by the maintenance alone */
    pthread_mutex_t readers_lock;
    tsdb_head_reader *readers, **readers_end; /* oldest first */
    uint64_t epoch;
} tsdb_head;

static inline head_shard *head_shard_of(tsdb_head *h, tsdb_ref ref)
{
    return &h->shards[ref & (TSDB_HEAD_SHARDS_MAX - 1)];
}

static inline uint32_t head_id_of(tsdb_ref ref)
{
    return (uint32_t)ref >> TSDB_HEAD_SHARD_BITS;
}

static inline head_series *head_series_at(const head_shard *s, uint32_t id)
{
    return (head_series *)(void *)s->table.base + id;
}

/* References stay below 2^40, which is what Prometheus can hold. */
static inline tsdb_ref head_ref(const tsdb_head *h, const head_shard *s, uint32_t id)
{
    uint64_t generation = __atomic_load_n(&head_series_at(s, id)->generation, __ATOMIC_RELAXED);
    return generation << 32 | (uint64_t)id << TSDB_HEAD_SHARD_BITS | (uint64_t)(s - h->shards);
}

/* The series of a reference, NULL if it has gone. Without the lock the answer may be out of date. */
static inline head_series *head_find(tsdb_head *h, tsdb_ref ref)
{
    head_shard *s = head_shard_of(h, ref);
    uint32_t id = head_id_of(ref);
    if (sx_unlikely(id == 0 || (ref & (TSDB_HEAD_SHARDS_MAX - 1)) > h->shard_mask ||
                    id > __atomic_load_n(&s->ids, __ATOMIC_ACQUIRE)))
        return NULL;
    head_series *series = head_series_at(s, id);
    bool live = __atomic_load_n(&series->flags, __ATOMIC_RELAXED) & HEAD_LIVE;
    bool same = __atomic_load_n(&series->generation, __ATOMIC_RELAXED) == (uint8_t)(ref >> 32);
    return sx_likely(live && same) ? series : NULL;
}

/* --- Life. */
sx_status tsdb_head_new(const tsdb_head_options *options, tsdb_head **out, sx_error *err);
void tsdb_head_free(tsdb_head *h);

/* Another out-of-order window, as tsdb_head_options has it, for samples from now on. Any thread. */
static inline void tsdb_head_set_window(tsdb_head *h, int64_t out_of_order_ms)
{
    atomic_store_explicit(&h->window_ms, out_of_order_ms, memory_order_relaxed);
}

/* --- Series. Finds or makes one; *created tells which. At a limit *why is TSDB_SERIES_LIMIT and
 * *ref 0. */
sx_status tsdb_head_series(tsdb_head *h, tsdb_labels labels, uint64_t hash, tsdb_ref *ref,
                           bool *created, tsdb_refusal *why, sx_error *err);

/* The same under a reference that the log tells; SX_EEXIST if it cannot have that one. */
sx_status tsdb_head_series_as(tsdb_head *h, tsdb_labels labels, uint64_t hash, tsdb_ref ref,
                              sx_error *err);

/* Sets HEAD_LOGGED; returns whether it was set before. */
bool tsdb_head_logged(tsdb_head *h, tsdb_ref ref);

/* The labels, views that live as long as a registered reader. */
sx_status tsdb_head_labels(tsdb_head *h, tsdb_ref ref, sx_arena *arena, tsdb_labels *out,
                           sx_error *err);

/* For a registered reader: the series of a reference that has been unlinked meanwhile is found or
 * made again by the labels that it had; *ref changes. */
sx_status tsdb_head_revive(tsdb_head *h, tsdb_ref *ref, sx_error *err);

/* --- Samples. */
typedef struct tsdb_head_sample {
    tsdb_ref ref;
    int64_t t;
    double v;
} tsdb_head_sample;

typedef struct tsdb_head_applied {
    uint64_t taken, late, refused[TSDB_REFUSALS], gone; /* gone: the series has left */
} tsdb_head_applied;

/* What would become of a sample, by a look without the lock. *late: it goes to the area for samples
 * out of order. SX_ENOTFOUND if the series has left. HOT: 5 ns. */
sx_status tsdb_head_check(tsdb_head *h, tsdb_ref ref, int64_t t, double v, tsdb_refusal *why,
                          bool *late);

/* Puts samples that all belong to shard `shard` in place, in their order. SX_ENOMEM: the rest from
 * some sample on was not taken. HOT: 25 ns a sample. */
sx_status tsdb_head_apply(tsdb_head *h, uint32_t shard, const tsdb_head_sample *samples,
                          size_t count, tsdb_head_applied *applied, sx_error *err);

/* The same for one histogram, given as record.h encodes it. */
sx_status tsdb_head_apply_histogram(tsdb_head *h, tsdb_ref ref, int64_t t, bool integer,
                                    sx_str encoded, tsdb_refusal *why, sx_error *err);

/* The series counts from `start` on in samples from `t` on. */
sx_status tsdb_head_apply_start(tsdb_head *h, tsdb_ref ref, int64_t t, int64_t start,
                                sx_error *err);

/* Hides the samples of a range from readers. */
sx_status tsdb_head_apply_delete(tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t,
                                 sx_error *err);

/* --- Reading. A reader registers before its first view and leaves after its last. */
void tsdb_head_enter(tsdb_head *h, tsdb_head_reader *r);
void tsdb_head_leave(tsdb_head *h, tsdb_head_reader *r);

/* As tsdb_querier_ops.select, unsorted; handle[0] is the reference. Appends to *out. */
sx_status tsdb_head_select(tsdb_head *h, const tsdb_hints *hints, const tsdb_matcher *matchers,
                           size_t count, sx_arena *arena, tsdb_selection *out,
                           const _Atomic bool *canceled, sx_error *err);

/* As tsdb_querier_ops.read. HOT. */
sx_status tsdb_head_read(tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t,
                         tsdb_columns *out, sx_error *err);

/* Every name, or every value of `name`, without repeats in one shard but with repeats over shards,
 * in no order. Without matchers only: with them the caller goes through select. */
sx_status tsdb_head_names(tsdb_head *h, sx_arena *arena, sx_str **out, size_t *count,
                          sx_error *err);
sx_status tsdb_head_values(tsdb_head *h, sx_str name, sx_arena *arena, sx_str **out, size_t *count,
                           sx_error *err);

/* Calls `each` with every live series of a shard, sorted by id, under no lock: for cutting blocks.
 * Stops at the first answer that is not SX_OK. */
typedef sx_status tsdb_head_visit(void *context, tsdb_ref ref, tsdb_labels labels, sx_error *err);
sx_status tsdb_head_each(tsdb_head *h, uint32_t shard, tsdb_head_visit *each, void *context,
                         sx_error *err);

/* --- Letting go. Drops what lies before `t` as far as whole chunks go, refuses older samples from
 * now on, unlinks series without samples, and frees what no reader can see any more. Returns how
 * many series were unlinked. */
size_t tsdb_head_truncate(tsdb_head *h, int64_t t);

/* --- Cutting blocks. Begins a cut at `t`: samples before it that come from now on are late, and are
 * told from those there are, which the blocks will hold. */
void tsdb_head_begin_cut(tsdb_head *h, int64_t t);

/* Readers that there are now: done once all have left. */
uint64_t tsdb_head_readers_now(tsdb_head *h);
bool tsdb_head_readers_gone(tsdb_head *h, uint64_t epoch);

/* Whether the series may have samples in the range; *late: it has some beside its chunks of floats in
 * order. Cheap. */
bool tsdb_head_has(tsdb_head *h, tsdb_ref ref, int64_t min_t, int64_t max_t, bool *late);

/* Calls `each` with a time of every chunk in order that begins before `t`. */
typedef void tsdb_head_time_visit(void *context, int64_t t);
void tsdb_head_chunk_times(tsdb_head *h, tsdb_ref ref, int64_t t, tsdb_head_time_visit *each,
                           void *context);

/* Late samples taken since the last cut began. */
uint64_t tsdb_head_late(tsdb_head *h);

typedef struct tsdb_head_stats {
    uint64_t series, chunks, pairs, bytes;
    int64_t min_t, max_t;
} tsdb_head_stats;
void tsdb_head_stats_read(tsdb_head *h, tsdb_head_stats *out);

/* One label pair and how many series have it: for cardinality. */
typedef void tsdb_head_pair_visit(void *context, sx_str name, sx_str value, uint32_t series);
void tsdb_head_pairs(tsdb_head *h, tsdb_head_pair_visit *each, void *context);

/* --- Between the head's files. */

/* One more element behind a list's end; NULL if there is no memory. */
void *head_list_add(tsdb_region *r, head_list *l, size_t size);
void head_list_done(tsdb_region *r, head_list *l, size_t size);
head_extra *head_extra_of(head_shard *s, const head_series *series);

/* Its labels, views into the shard; the lock is held. */
sx_status head_labels_of(const head_shard *s, const head_series *series, sx_arena *arena,
                         tsdb_labels *out, sx_error *err);

/* Reads a series under its shard's lock, of any kind, behind what is in `out`. */
sx_status head_read_locked(tsdb_head *h, head_shard *s, const head_series *series, int64_t min_t,
                           int64_t max_t, tsdb_columns *out, sx_error *err);

/* Copies the open chunk, series->x.len bytes with its count, to `out`. */
void head_bytes_copy(const head_shard *s, const head_series *series, uint8_t *out);
/* Frees its blocks and leaves it empty; the newest time and value stay. */
void head_bytes_free(head_shard *s, head_series *series);

/* Unlinks series that were made and never got a sample nor were logged: whoever made them has ended.
 * Under the lock, when there is no reader. Returns how many there were. */
uint32_t head_unlink_new(tsdb_head *h, head_shard *s);

/* The pair's handle, 0 if no series of the shard has it. */
tsdb_handle head_pair_find(const head_shard *s, sx_str name, sx_str value);
/* Finds or makes it; 0 if there is no memory. */
tsdb_handle head_pair_intern(head_shard *s, sx_str name, sx_str value);
/* Frees pairs without series and names without values. */
void head_pairs_sweep(head_shard *s);

/* Under the lock: what the budget counts. */
static inline void head_count_bytes(head_shard *s)
{
    uint64_t bytes = s->memory.used + ((uint64_t)s->ids + 1) * sizeof(head_series) +
                     ((uint64_t)s->index_cap + s->pairs_cap) * sizeof(uint32_t);
    atomic_store_explicit(&s->bytes, bytes, memory_order_relaxed);
}

static inline head_pair *head_pair_at(const head_shard *s, tsdb_handle h)
{
    return tsdb_region_at(&s->memory, h);
}

static inline sx_str head_pair_text(const head_pair *p)
{
    return sx_str_of(p->bytes, p->len);
}

/* The time of the open chunk's first sample; there is one. */
static inline int64_t head_first_time(const head_shard *s, const head_series *series)
{
    const uint8_t *p = ((const head_bytes *)tsdb_region_at(&s->memory, series->bytes))->bytes;
    uint64_t u = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *p++;
        u |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80 || shift >= 63)
            break;
    }
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

#endif
