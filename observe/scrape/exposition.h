/* exposition.h - reads what a target exposes: text 0.0.4 and 1.0.0, OpenMetrics, protobuf.
 *
 * A pull reader over the whole body, one pass, no allocation a sample: each series' text is given as
 * it stands in the body, so that a scrape's cache finds its series by those bytes without taking the
 * labels apart (prom_exposition_labels does, for a series seen for the first time).
 * HOT: text at 1 GB/s and more. Used by scrape, federation's readers, backfill, remote agents.
 * Source: Prometheus, docs/instrumenting/exposition_formats.md; OpenMetrics 1.0; content negotiation
 * and escaping schemes of prometheus/docs; io.prometheus.client.MetricFamily. */
#ifndef OBSERVE_SCRAPE_EXPOSITION_H
#define OBSERVE_SCRAPE_EXPOSITION_H

#include <sextant/arena.h>
#include <sextant/error.h>

#include "observe/config/config.h"
#include "observe/tsdb/storage.h"

typedef enum prom_entry_kind {
    PROM_ENTRY_SERIES,    /* a float sample */
    PROM_ENTRY_HISTOGRAM, /* a native histogram: protobuf, or converted (NHCB) */
    PROM_ENTRY_TYPE,
    PROM_ENTRY_HELP,
    PROM_ENTRY_UNIT,
} prom_entry_kind;

typedef struct prom_entry {
    prom_entry_kind kind;
    sx_str
        series; /* SERIES, HISTOGRAM: identifies the series within this target and format: for text
                      its bytes in the body ("a{b=\"c\"}"), for protobuf a key made by the reader */
    double value;
    const tsdb_histogram *histogram; /* good until the next entry */
    bool has_t;
    bool expected;   /* it is what was expected */
    int64_t t;       /* ms */
    int64_t start_t; /* created / start timestamp, ms; 0: none */
    const tsdb_exemplar *exemplars;
    uint32_t exemplar_count;
    sx_str metric, text; /* TYPE, HELP, UNIT: the family's name, and the type's name or the text */
} prom_entry;

typedef struct prom_exposition prom_exposition;

typedef struct prom_exposition_options {
    prom_scrape_protocol protocol;
    bool native_histograms; /* take them from protobuf; else only the classic form */
    bool classic_always;    /* both */
    bool classic_to_nhcb;   /* turn classic histograms into native ones with custom buckets */
    bool type_unit_labels;  /* feature type-and-unit-labels */
    bool skip_created;      /* _created lines of OpenMetrics give start times, and are no series */
    uint32_t label_bytes_max; /* of one name or value; 0: 64 KiB */
    uint32_t labels_max;      /* of one series; 0: 1,000 */
} prom_exposition_options;

/* Chooses the protocol by a Content-Type; `fallback` where it is missing or unknown.
 * SX_EUNSUPPORTED with Prometheus's words if there is none. */
sx_status prom_exposition_protocol(sx_str content_type, prom_scrape_protocol fallback,
                                   prom_scrape_protocol *out, sx_error *err);

/* The Accept field for a job: its protocols in order of preference, with the escaping scheme. */
sx_status prom_exposition_accept(const prom_scrape_config *job, sx_buf *out, sx_error *err);

/* A reader over `body`, which stays where it is until the reader is done. The reader may be kept and
 * reset for the next body. */
sx_status prom_exposition_new(const prom_exposition_options *options, prom_exposition **out,
                              sx_error *err);
void prom_exposition_reset(prom_exposition *x, const prom_exposition_options *options, sx_str body);
void prom_exposition_free(prom_exposition *x);

/* What the next series will probably be: the bytes that came after this one in the scrape before.
 * Comparing them is many times cheaper than reading a series; a wrong guess costs nothing. Borrowed
 * until the next entry has been read. Text formats only; others take no notice. */
void prom_exposition_expect(prom_exposition *x, sx_str series);

/* The next entry. SX_END after the last (OpenMetrics: after # EOF); SX_EFORMAT with the line and what
 * is wrong in Prometheus's words, and the line; SX_ELIMIT. */
sx_status prom_exposition_next(prom_exposition *x, prom_entry *out, sx_error *err);

/* Labels of the entry just read, sorted, __name__ among them, escapes undone, in `arena`. */
sx_status prom_exposition_labels(prom_exposition *x, const prom_entry *e, sx_arena *arena,
                                 tsdb_labels *out, sx_error *err);

#endif
