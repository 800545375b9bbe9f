/* tail.h - the policies of tail_sampling: what a whole trace must be to be kept. */
#ifndef OBSERVE_COLLECTOR_TAIL_H
#define OBSERVE_COLLECTOR_TAIL_H

#include "observe/collector/ottl.h"
#include "observe/collector/settings.h"
#include "observe/spans/span.h"

typedef enum tail_type {
    TAIL_ALWAYS,
    TAIL_LATENCY,
    TAIL_NUMERIC,
    TAIL_PROBABILISTIC,
    TAIL_STATUS,
    TAIL_STRING,
    TAIL_RATE,
    TAIL_COUNT,
    TAIL_BOOLEAN,
    TAIL_STATE,
    TAIL_OTTL,
    TAIL_AND,
    TAIL_NOT,
    TAIL_DROP,
    TAIL_COMPOSITE
} tail_type;

typedef enum tail_verdict {
    TAIL_NO,
    TAIL_YES,
    TAIL_DROPPED,   /* whatever others say */
    TAIL_INVERT_NO, /* of an inverted match: it was found */
    TAIL_INVERT_YES
} tail_verdict;

typedef struct tail_policy {
    sx_str name;
    int type; /* tail_type */
    int64_t threshold_ms, upper_ms, least, most, per_second;
    double percentage;
    sx_str key, salt;
    bool truth, invert, regexp, ignore_errors;
    const sx_str *values;
    uint32_t value_count;
    const sx_regex **patterns; /* of values */
    const ottl_node **spans, **events;
    uint32_t span_count, event_count;
    struct tail_policy *children; /* composite: in policy_order */
    uint32_t child_count;
    int64_t share_per_second; /* below composite: what it may take */
    uint32_t share_state;
    uint32_t state; /* number of its counter: policies are numbered over the whole file */
} tail_policy;

/* A list of policies, numbered from *states on. */
sx_status tail_read_policies(bind *b, const sx_yaml_node *list, const tail_policy **out,
                             uint32_t *count, uint32_t *states);

/* Spans taken in the second under way, of policies that limit. */
typedef struct tail_rate {
    int64_t second, spans;
} tail_rate;

tail_verdict tail_judge(const tail_policy *p, const span_batch *trace, int64_t second,
                        tail_rate *rates, sx_arena *arena);

#endif
