/* exporter_elastic.h - Jaeger's documents for Elasticsearch, and what its answers say. Internal to
 * observe/collector.
 *
 * Sources: Jaeger 2's Elasticsearch storage (documents, ids, index names, templates); Elasticsearch,
 * "Bulk API", "Index template API". */
#ifndef OBSERVE_COLLECTOR_EXPORTER_ELASTIC_H
#define OBSERVE_COLLECTOR_EXPORTER_ELASTIC_H

#include "observe/collector/exporter_internal.h"

/* Services and operations that were written lately: each slot holds the key last put there, so memory
 * does not grow with their number, and a pair that lost its slot is merely written again. */
enum { ELASTIC_SERVICES = 16384, ELASTIC_INDEX_BYTES_MAX = 200 };

typedef struct elastic_services {
    uint64_t keys[ELASTIC_SERVICES]; /* 0: none */
} elastic_services;

typedef struct elastic_options {
    sx_str span_index, service_index; /* without the day */
    bool data_stream;         /* op "create", no day in the name, "@timestamp" in the document */
    bool all_tags_as_fields;  /* tags (but bytes) as members of "tag" instead of the list "tags" */
    const sx_str *tag_fields; /* else those with these keys */
    size_t tag_field_count;
    sx_str dot; /* what a dot in a member's name becomes; empty: "@" */
} elastic_options;

/* A pair of lines in a bulk body. */
typedef struct elastic_item {
    size_t at, len;
    uint64_t service_key; /* of a service's document; 0: it is a span's */
} elastic_item;

typedef struct elastic_items {
    elastic_item *items; /* heap */
    size_t count, cap;
} elastic_items;

/* Appends the bulk lines of a batch: each span's, and its service's and operation's unless `written`
 * (may be NULL) knows of them or they stand in `items` already. `items` may be NULL. False without
 * memory (a failed buffer tells for itself). */
bool elastic_write(const elastic_options *o, const span_batch *b, const elastic_services *written,
                   elastic_services *seen, elastic_items *items, sx_buf *out);

/* The index of services beside one of spans: "jaeger-service" for its "jaeger-span", else with
 * "-service" behind. Into `out`; empty if it is too long. */
sx_str elastic_service_index(sx_str span_index, char out[ELASTIC_INDEX_BYTES_MAX]);

/* Remembers a pair that has arrived. */
static inline void elastic_services_put(elastic_services *s, uint64_t key)
{
    s->keys[key % ELASTIC_SERVICES] = key;
}

/* The body of an index template: Jaeger's mapping of spans or of services. `legacy`: for Elasticsearch
 * 7 and OpenSearch (PUT _template), else composable (PUT _index_template). */
void elastic_template(const elastic_options *o, bool of_spans, bool legacy, sx_buf *out);

/* What became of the items of a bulk request: `item` is called in order. *errors false: all of them
 * arrived, and `item` may not have been called. Any bytes.
 *   errors  SX_EFORMAT: no answer of the bulk API */
typedef void elastic_item_fn(void *ctx, size_t number, int status, sx_str type, sx_str reason);
sx_status elastic_read_bulk(sx_str answer, bool *errors, size_t *count, elastic_item_fn *item,
                            void *ctx, sx_error *err);

/* Whether templates are of the legacy kind there: by the answer to GET /. */
bool elastic_is_legacy(sx_str answer);

#endif
