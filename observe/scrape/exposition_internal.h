/* exposition_internal.h - what the readers of the formats share. */
#ifndef OBSERVE_SCRAPE_EXPOSITION_INTERNAL_H
#define OBSERVE_SCRAPE_EXPOSITION_INTERNAL_H

#include "observe/scrape/exposition.h"

enum {
    EXPO_LABEL_BYTES_MAX = 65536,
    EXPO_LABELS_MAX = 1000,
};

/* One label of a series: offsets into the body. The metric's name is kept apart. */
typedef struct expo_part {
    uint32_t name, name_len, value, value_len;
} expo_part;

typedef struct expo_parts {
    expo_part *items;
    size_t count, cap;
    uint32_t metric, metric_len; /* offsets into the body */
    bool has_metric;
} expo_parts;

/* A metric family's type as the labels' normalising and start times want it. */
typedef enum expo_type {
    EXPO_UNKNOWN,
    EXPO_COUNTER,
    EXPO_GAUGE,
    EXPO_HISTOGRAM,
    EXPO_GAUGEHISTOGRAM,
    EXPO_SUMMARY,
    EXPO_INFO,
    EXPO_STATESET,
    EXPO_TYPES
} expo_type;

/* "counter" ...: as metadata says it. */
extern const sx_str EXPO_TYPE_NAMES[EXPO_TYPES];

struct prom_exposition {
    prom_exposition_options options;
    sx_str body;
    sx_str expected;

    /* Text formats. Positions are offsets into the body. */
    bool open_metrics;
    uint32_t at;
    uint32_t entry;  /* where the entry begins: messages quote from here */
    uint32_t series; /* of the last series read, and its end */
    uint32_t series_end;
    bool split; /* parts are those of the last series */
    expo_parts parts;
    expo_type type; /* of the family under way, and its unit */
    sx_str unit;
    bool peeking;         /* looking for _created lines: exemplars stay as they are */
    uint64_t created_for; /* hash of the series that `created` belongs to; 0: none */
    int64_t created;
    expo_parts exemplar_parts;
    tsdb_exemplar exemplar;
    sx_arena scratch; /* of one entry: exemplars, help without escapes */

    struct expo_protobuf *protobuf; /* the other reader's memory; NULL until it is needed */
    bool begun;                     /* the body has been given to it */
    struct expo_gather *gather;     /* classic_to_nhcb over the text formats; NULL until needed */
};

/* --- exposition.c: tsdb_labels_sort with Prometheus's words for a name that is there twice. */
sx_status expo_sort_labels(tsdb_label *items, size_t count, tsdb_labels *out, sx_error *err);

/* --- exposition_text.c */
sx_status expo_text_next(prom_exposition *x, prom_entry *out, sx_error *err);
sx_status expo_text_labels(prom_exposition *x, const prom_entry *e, sx_arena *arena,
                           tsdb_labels *out, sx_error *err);
void expo_text_done(prom_exposition *x);

/* --- exposition_nhcb.c: between the text reader and its user, with classic_to_nhcb. _begin is called
 * at each reset. */
void expo_nhcb_begin(prom_exposition *x);
sx_status expo_nhcb_next(prom_exposition *x, prom_entry *out, sx_error *err);
sx_status expo_nhcb_labels(const prom_exposition *x, sx_arena *arena, tsdb_labels *out,
                           sx_error *err);
void expo_nhcb_done(prom_exposition *x);

/* --- exposition_protobuf.c. _begin is called once for each body, before the first entry. */
sx_status expo_protobuf_begin(prom_exposition *x, sx_error *err);
sx_status expo_protobuf_next(prom_exposition *x, prom_entry *out, sx_error *err);
sx_status expo_protobuf_labels(prom_exposition *x, sx_arena *arena, tsdb_labels *out,
                               sx_error *err);
void expo_protobuf_done(prom_exposition *x);

/* --- exposition_number.c: a float as Go's strconv.ParseFloat reads it, without the forms that
 * Prometheus refuses (hexadecimal, underscores). The error has Go's words. HOT. */
sx_status expo_float(sx_str text, double *out, sx_error *err);

/* The value of an `le` or `quantile` label as OpenMetrics writes it: "5" becomes "5.0". Returns the
 * length; 0: leave the value as it is. */
enum { EXPO_FLOAT_BYTES = 40 };
size_t expo_normal_float(sx_str text, char out[EXPO_FLOAT_BYTES]);

#endif
