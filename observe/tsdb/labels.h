/* labels.h - the name=value pairs that name a series, and the matchers that select series.
 *
 * A label set is a sorted array of views: it owns nothing and is cheap to pass. Whoever keeps one
 * copies it (tsdb_labels_copy into an arena; the head interns it). An empty value is the same as no
 * label at all, everywhere in Prometheus, so a set never holds one. Used by every room of observe/.
 * Source: Prometheus's data model; names are UTF-8 since version 3. */
#ifndef OBSERVE_TSDB_LABELS_H
#define OBSERVE_TSDB_LABELS_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/regex.h>
#include <sextant/str.h>

#include "codec/go_text.h"

#define TSDB_METRIC_NAME SX_STR("__name__")

typedef struct tsdb_label {
    sx_str name, value;
} tsdb_label;

/* Sorted by name (bytes), names unique, no empty value. */
typedef struct tsdb_labels {
    const tsdb_label *items;
    uint32_t count;
} tsdb_labels;

/* The value of `name`; empty if the set has none. */
sx_str tsdb_labels_get(tsdb_labels l, sx_str name);

/* Same pairs. Order: name, value, name ..., bytewise; the shorter set first: <0, 0, >0. */
bool tsdb_labels_equal(tsdb_labels a, tsdb_labels b);
int tsdb_labels_compare(tsdb_labels a, tsdb_labels b);

/* XXH3 of names and values, each seeded with the hash of what came before it: the same in every
 * process. The `_by` form takes only the `names` (sorted), the `_without` form all but these and, as
 * aggregation wants it, __name__. */
uint64_t tsdb_labels_hash(tsdb_labels l);
uint64_t tsdb_labels_hash_by(tsdb_labels l, const sx_str *names, size_t count);
uint64_t tsdb_labels_hash_without(tsdb_labels l, const sx_str *names, size_t count);

/* A deep copy in `arena`; items NULL with count > 0 never happens: SX_ENOMEM instead. */
sx_status tsdb_labels_copy(tsdb_labels l, sx_arena *arena, tsdb_labels *out, sx_error *err);

/* Sorts `items` by name in place and drops empty values. SX_EINVAL names a label given twice.
 * Returns the set over the same array. */
sx_status tsdb_labels_sort(tsdb_label *items, size_t count, tsdb_labels *out, sx_error *err);

/* Appends {__name__="up", job="x"}: a space after each comma, names that are no plain ones and all
 * values quoted as Go's %q does. SX_ENOMEM or SX_ELIMIT of the buffer. */
sx_status tsdb_labels_print(tsdb_labels l, sx_buf *out, sx_error *err);

/* The same with a plain metric name in front: up{job="x"}; {} for an empty set. */
sx_status tsdb_labels_print_series(tsdb_labels l, sx_buf *out, sx_error *err);

/* go_quote() under the name by which the rooms above know it. */
static inline void tsdb_quote(sx_str text, sx_buf *out)
{
    go_quote(text, out);
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*, and the same without the colon for label names. Not empty. */
bool tsdb_metric_name_is_legacy(sx_str name);
bool tsdb_label_name_is_legacy(sx_str name);

/* --- A set under construction: a copy of `base` with changes. Views are borrowed until taken. */
typedef struct tsdb_labels_builder {
    tsdb_label *items; /* unsorted until taken */
    size_t count, cap;
} tsdb_labels_builder;

void tsdb_labels_builder_init(tsdb_labels_builder *b);
void tsdb_labels_builder_done(tsdb_labels_builder *b);
sx_status tsdb_labels_builder_reset(tsdb_labels_builder *b, tsdb_labels base, sx_error *err);

/* Sets a label, an empty value removes it. */
sx_status tsdb_labels_builder_set(tsdb_labels_builder *b, sx_str name, sx_str value, sx_error *err);
sx_str tsdb_labels_builder_get(const tsdb_labels_builder *b, sx_str name);

/* Sorts what there is; good until the next change. */
tsdb_labels tsdb_labels_builder_take(tsdb_labels_builder *b);

/* --- Matchers. */
typedef enum tsdb_match_kind {
    TSDB_MATCH_EQUAL,     /* = */
    TSDB_MATCH_NOT_EQUAL, /* != */
    TSDB_MATCH_REGEX,     /* =~, anchored at both ends, `.` matches a newline */
    TSDB_MATCH_NOT_REGEX, /* !~ */
} tsdb_match_kind;

typedef struct tsdb_matcher {
    tsdb_match_kind kind;
    sx_str name, value; /* borrowed from whoever made it: the query's arena */
    sx_regex *regex;    /* for the two regex kinds; owned by the matcher */
} tsdb_matcher;

/* Compiles; views stay borrowed. SX_EFORMAT with RE2's words for a bad expression. */
sx_status tsdb_matcher_init(tsdb_matcher *m, tsdb_match_kind kind, sx_str name, sx_str value,
                            sx_error *err);
void tsdb_matcher_done(tsdb_matcher *m);

/* Whether a label of that value (empty: the label is absent) passes. */
bool tsdb_matcher_matches(const tsdb_matcher *m, sx_str value);

/* All matchers pass. */
bool tsdb_matchers_match(const tsdb_matcher *m, size_t count, tsdb_labels l);

#endif
