/* side.h - what the head keeps beside samples: exemplars and metadata.
 *
 * Exemplars are in one ring of a fixed number, the oldest making room; metadata are the latest few
 * of each metric name. Both are small, each has one lock. Written by commits and replay. */
#ifndef OBSERVE_TSDB_SIDE_H
#define OBSERVE_TSDB_SIDE_H

#include <pthread.h>

#include "observe/tsdb/db.h"
#include "observe/tsdb/head.h"

typedef struct side_exemplar {
    tsdb_ref ref;
    int64_t t;
    double v;
    char *text;     /* heap: names and values behind each other */
    uint32_t *lens; /* in the same block: name, value, name ... */
    uint32_t label_count;
} side_exemplar;

typedef struct side_metadata {
    char *text; /* heap: metric, type, help, unit behind each other */
    uint32_t lens[4];
} side_metadata;

typedef struct tsdb_side {
    pthread_mutex_t lock;
    side_exemplar *ring;
    size_t ring_cap, ring_next, ring_count;
    side_metadata *metadata; /* by hash of the metric's name, open addressing; text NULL: empty */
    size_t metadata_cap, metadata_count;
} tsdb_side;

sx_status tsdb_side_init(tsdb_side *s, size_t exemplars_max, sx_error *err);
void tsdb_side_done(tsdb_side *s);

/* Keeps a copy. The same exemplar as the series' newest is taken silently; an older one is refused. */
sx_status tsdb_side_exemplar(tsdb_side *s, tsdb_ref ref, int64_t t, double v, tsdb_labels labels,
                             tsdb_refusal *why, sx_error *err);

/* Keeps a copy as the newest of its metric. */
sx_status tsdb_side_metadata(tsdb_side *s, sx_str metric, const tsdb_metadata *m, sx_error *err);

/* All of it as bytes, and back into an empty one; SX_ECORRUPT if they are not such. The caller holds
 * the lock for the first. */
void tsdb_side_save(const tsdb_side *s, sx_buf *out);
sx_status tsdb_side_load(tsdb_side *s, sx_str bytes, sx_error *err);

#endif
