/* exposition_protobuf.h - a metric family taken apart: between the reading of messages and the entries. */
#ifndef OBSERVE_SCRAPE_EXPOSITION_PROTOBUF_H
#define OBSERVE_SCRAPE_EXPOSITION_PROTOBUF_H

#include <sextant/protobuf.h>

#include "observe/scrape/exposition_internal.h"
#include "observe/scrape/nhcb.h"

/* What a metric still has to give. */
typedef enum expo_phase {
    PHASE_FAMILY, /* the next family's head */
    PHASE_HELP,
    PHASE_UNIT,
    PHASE_TYPE,
    PHASE_METRIC, /* the next metric */
    PHASE_NATIVE,
    PHASE_CLASSIC, /* x->step counts */
    PHASE_NHCB,
} expo_phase;

/* A growing array of the metric under way. */
#define EXPO_VEC(type)                                                                             \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, cap;                                                                         \
    }

typedef struct quantile {
    double bound, value; /* of a bucket: upper bound, cumulative count */
    sx_str exemplar;     /* its message */
} quantile;

struct expo_protobuf {
    sx_pb_reader families;
    sx_pb_reader metrics; /* of the family under way */
    expo_phase phase;
    size_t step;

    sx_str name, help, unit;
    expo_type type;

    EXPO_VEC(tsdb_label) labels;
    EXPO_VEC(quantile) quantiles; /* or buckets */
    EXPO_VEC(tsdb_span) spans[2]; /* negative, positive */
    EXPO_VEC(double) counts[2], float_counts[2];
    EXPO_VEC(sx_str) exemplar_messages; /* of a native histogram */
    EXPO_VEC(tsdb_exemplar) exemplars;
    double value, sum, count, zero_threshold, zero_count;
    bool is_float, has_zero; /* of a native histogram */
    int32_t schema;
    int64_t start_t, t;
    sx_str exemplar; /* of a counter */

    nhcb classic;
    tsdb_histogram histogram;
    sx_buf key; /* what identifies the series */
    char bound_text[EXPO_FLOAT_BYTES];
    size_t bound_len;
    sx_str suffix; /* of the series just given */
    const char *bound_name;
    bool failed; /* an array could not grow */
};

/* A histogram without spans, zero bucket and zero threshold is a classic one. */
static inline bool expo_is_native(const struct expo_protobuf *p)
{
    return p->spans[0].count || p->spans[1].count || p->zero_threshold > 0 || p->has_zero;
}

static inline bool expo_is_histogram(const struct expo_protobuf *p)
{
    return p->type == EXPO_HISTOGRAM || p->type == EXPO_GAUGEHISTOGRAM;
}

/* --- exposition_message.c */

/* The next family's head. SX_END: there is none. */
sx_status expo_message_family(struct expo_protobuf *p, sx_error *err);

/* The family's next metric. SX_END: there is none. */
sx_status expo_message_metric(struct expo_protobuf *p, sx_error *err);

/* Appends an Exemplar to p->exemplars; its labels are in the arena. */
sx_status expo_message_exemplar(struct expo_protobuf *p, sx_str message, sx_arena *arena,
                                sx_error *err);

#endif
