/* derive_pairs.h - halves of requests that wait for the other half: a client's span and a server's.
 *
 * A client (or producer) is known by its trace and its own span id, the server (or consumer) it called
 * by the trace and its parent's id: both are one key. The store is bounded: `items_max` pairs, each for
 * `ttl_ms`, in the order in which they came; texts are kept once each, as numbers, and forgotten when
 * nothing refers to them any more. One thread at a time.
 * Used by derive_graph.c. */
#ifndef OBSERVE_COLLECTOR_DERIVE_PAIRS_H
#define OBSERVE_COLLECTOR_DERIVE_PAIRS_H

#include <sextant/arena.h>
#include <sextant/error.h>
#include <sextant/map.h>

enum {
    PAIRS_TEXTS_MAX = 32768,
    PAIRS_TEXT_BYTES_MAX = 8 << 20,
    PAIRS_NONE = UINT32_MAX,
    PAIRS_NO_TEXT = 0,
};

typedef struct pair {
    uint8_t trace_id[16], span_id[8];
    uint32_t client, server, peer; /* texts; PAIRS_NO_TEXT: not known */
    uint8_t type;
    bool failed;
    uint64_t client_ns, server_ns;
    int64_t until_ms;
    uint32_t chain;         /* the next of one hash; of a free one: the next free one */
    uint32_t before, after; /* by age */
} pair;

typedef struct pairs {
    pair *items;          /* vector */
    uint32_t *dimensions; /* dimension_count texts for each of them */
    uint32_t dimension_count;
    size_t cap, items_max;
    uint32_t *heads; /* by hash; a power of two */
    size_t mask;
    uint32_t count, used, free, oldest, newest;
    uint64_t seed;
    int64_t ttl_ms;
    sx_arena arena; /* of the texts */
    sx_map numbers; /* text to number */
    sx_str *texts;  /* vector; [0] is none, [1] stands for those that found no room */
    size_t text_count, text_cap;
} pairs;

sx_status pairs_init(pairs *p, size_t items_max, int64_t ttl_ms, uint32_t dimension_count,
                     sx_error *err);
/* A zeroed store is allowed. */
void pairs_done(pairs *p);

/* The pair of a key, made if there is none; *made tells. PAIRS_NONE: the store is full. */
uint32_t pairs_put(pairs *p, const uint8_t trace_id[16], const uint8_t span_id[8], int64_t now_ms,
                   bool *made);
uint32_t pairs_find(const pairs *p, const uint8_t trace_id[16], const uint8_t span_id[8]);
void pairs_remove(pairs *p, uint32_t at);

/* The oldest one if its time is over; PAIRS_NONE. */
uint32_t pairs_expired(const pairs *p, int64_t now_ms);

/* The number of a text, kept as long as a pair refers to it or pairs_tidy() was not called. */
uint32_t pairs_text(pairs *p, sx_str text);
static inline sx_str pairs_text_of(const pairs *p, uint32_t number)
{
    return p->texts[number];
}
static inline uint32_t *pairs_dimensions(pairs *p, uint32_t at)
{
    return p->dimensions + (size_t)at * p->dimension_count;
}

/* Forgets texts that no pair refers to, once they are many. Numbers held elsewhere are void. */
void pairs_tidy(pairs *p);

#endif
