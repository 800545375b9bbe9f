/* traces_collect.h - --collector-config: listeners and pipelines of an OpenTelemetry Collector's file.
 *
 * Its listeners take the place of the flags' of the same kind. Made before those; called by
 * observe/traces_server.c alone. */
#ifndef OBSERVE_TRACES_COLLECT_H
#define OBSERVE_TRACES_COLLECT_H

#include "observe/api/receive.h"

typedef struct traces_collect traces_collect;

/* Reads the file, starts the pipelines, names the TCP listeners to the service. `store` may have no
 * `take`. Errors: the file's, with its lines; an exporter's; of sx_service_listen. */
sx_status traces_collect_new(observe_api *a, span_sink store, traces_collect **out, sx_error *err);

/* Whether pipelines of the file as it was read last write the series of our own span metrics and service
 * graph (connector.h: derive_claimed). NULL: no. */
void traces_collect_derives(const traces_collect *t, bool *spans, bool *graph);

/* Whether the file has a listener of a kind; of UDP kinds also where and into what. */
bool traces_collect_has(const traces_collect *t, receiver_kind kind, sx_str *address,
                        span_sink *sink);

/* Whether the file can be read. NULL is allowed. */
sx_status traces_collect_check(traces_collect *t, sx_error *err);
/* Reads the file again: pipelines change at once, listeners with the next start (which is told). On an
 * error all stays as it was. NULL is allowed. */
sx_status traces_collect_reload(traces_collect *t, sx_error *err);

/* Once no receiver runs any more. NULL is allowed. */
void traces_collect_free(traces_collect *t);

#endif
