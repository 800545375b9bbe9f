/* adjust.h - the steps of jaeger_adjust between its two files. Internal to observe/jaeger. */
#ifndef OBSERVE_JAEGER_ADJUST_H
#define OBSERVE_JAEGER_ADJUST_H

#include "observe/jaeger/search.h"

enum { ADJUST_NONE = UINT32_MAX }; /* an index that is none */

typedef struct adjust_note {
    struct adjust_note *next;
    sx_str text;
} adjust_note;

typedef struct adjust {
    span_batch *trace;
    sx_arena *arena; /* the batch's */
    span *spans;     /* copies, which may be changed; trace->spans points to them */
    size_t count;
    adjust_note **notes; /* of each span, the last first */
    uint32_t *slots; /* span ids, open addressing: index + 1 of the first span that has the id */
    size_t mask;
    uint32_t *next; /* the next span of the same id, in order */
    bool failed;    /* memory */
} adjust;

/* (Re)builds slots and next from the ids as they are now. */
void adjust_index(adjust *a);
/* The first span of that id, or ADJUST_NONE. */
uint32_t adjust_find(const adjust *a, const uint8_t id[8]);
/* Adds a warning; `text` without data tells that memory ran out. */
void adjust_warn(adjust *a, size_t i, sx_str text);

/* skew.c: times of spans on hosts whose clocks differ. */
void adjust_skew(adjust *a, uint64_t max_ns);

static inline bool adjust_no_id(const uint8_t id[8])
{
    static const uint8_t NONE[8];
    return memcmp(id, NONE, sizeof NONE) == 0;
}

#endif
