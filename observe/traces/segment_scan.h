/* segment_scan.h - a search in one segment: the filter made ready, and its evaluation over a group.
 *
 * Shared by segment_scan.c (which groups, in which order), segment_skip.c (what a group's summary and
 * filter rule out) and segment_eval.c (which rows of a group match). */
#ifndef OBSERVE_TRACES_SEGMENT_SCAN_H
#define OBSERVE_TRACES_SEGMENT_SCAN_H

#include "observe/traces/segment_impl.h"

enum { SCAN_UNKNOWN, SCAN_NO, SCAN_YES };

/* A node of the filter, with what is known of it in this segment. */
typedef struct scan_node {
    const span_filter *filter;
    struct scan_node **children; /* the cheap ones first */
    uint32_t child_count, cost;
    uint64_t key_hash; /* of an attribute's key */
    uint32_t types;    /* bits: which types the segment has values of it in */
    uint8_t *verdicts; /* SCAN_...: of each text of the dictionary as STR; made when needed */
    bool wants_code;   /* EQ and TEXT of a text: only the dictionary's `code` can be it */
    bool has_code;     /* it is in the dictionary */
    uint32_t code;
    bool wants_int; /* TEXT of a text that is how an integer is written: this one */
    int64_t number;
} scan_node;

typedef struct scan_group {
    tr_group g;
    sx_arena *arena;
    sx_error *err;
    uint64_t *starts; /* made when needed, as all below */
    uint32_t *resources, *scopes, *event_counts, *link_counts;
    tr_decoded *ids; /* the scan's */
    bool have_ids;
} scan_group;

/* Whether the group may have a row that matches; a wrong yes only costs time. */
sx_status tr_scan_may(const tr_segment *s, uint64_t group, const scan_node *node, bool *may,
                      sx_error *err);

/* Which rows match: `hits`, a byte a row, holds 1 for those that are asked about and is left with 1
 * for those of them that match. */
sx_status tr_scan_eval(scan_group *sg, scan_node *node, uint8_t *hits);

#endif
