/* derive_spans.h - what derive_spans.c and derive_spans_new.c share: groups, lanes, the whole. */
#ifndef OBSERVE_COLLECTOR_DERIVE_SPANS_H
#define OBSERVE_COLLECTOR_DERIVE_SPANS_H

#include <pthread.h>

#include "observe/collector/derive.h"
#include "observe/collector/derive_write.h"

enum { SPANS_GROUPS_MAX = 3, SPANS_KIND_NONE = 15 /* left out by exclude_dimensions */ };

/* The texts of a key, in this order; those of dimensions follow. */
enum { VALUE_SERVICE, VALUE_NAME, VALUE_JOB, VALUE_INSTANCE, VALUE_SCOPE, VALUE_VERSION, VALUES };

typedef struct spans_group {
    bool calls, durations, events;
    derive_dimension *dimensions; /* in the arena */
    uint32_t dimension_count;
    uint32_t event_from; /* dimensions from here on are looked for in the event, too */
    derive_shape shape, lane_shape;
    derive_sheet sheet;
} spans_group;

typedef struct spans_lane {
    pthread_mutex_t lock;
    derive_table tables[SPANS_GROUPS_MAX];
    sx_buf scratch; /* texts of values that are none */
    uint64_t spans;
} spans_lane;

struct spanmetrics {
    const spanmetrics_settings *settings;
    derive_host host;
    sx_arena arena;
    bool no_service, no_name, no_kind, no_status;
    uint64_t seed;
    spans_group groups[SPANS_GROUPS_MAX];
    derive_sheet *sheets[SPANS_GROUPS_MAX]; /* the groups' */
    uint32_t group_count;
    spans_lane *lanes;
    uint32_t lane_count;
    int64_t flushed_ms; /* wall; the start of what is new */
    int64_t flushed_mono_ms;
    sx_gauge *series;
    sx_counter *overflowed, *failures;
};

#endif
