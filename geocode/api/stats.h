/* stats.h - the metrics by the names that dashboards of Addok services use, beside the kit's own:
 *
 *   addok_geocoding_requests_total{endpoint,status}   status is the HTTP status
 *   addok_response_time_seconds{endpoint}
 *   addok_cache_hit_rate{tier}                        of all that the tier was asked, since the start
 *   addok_active_connections
 *
 * Requests that never reach the geocoder (429 by a rate, 503 by load, broken ones) are in the kit's
 * http_requests_total and http_requests_rejected_total alone. */
#ifndef SEXTANT_GEOCODE_API_STATS_H
#define SEXTANT_GEOCODE_API_STATS_H

#include <pthread.h>

#include <sextant/metrics.h>
#include <sextant/service.h>

struct geo_cache;

/* Where a request came in; the names are the label's values. */
#define GEO_ENDPOINTS_OF_ADDOK(X)                                                                  \
    X(search)                                                                                      \
    X(reverse)                                                                                     \
    X(search_csv)                                                                                  \
    X(reverse_csv)                                                                                 \
    X(map)                                                                                         \
    X(page)                                                                                        \
    X(health)

#define GEO_ENDPOINTS_OF_NOMINATIM(X)                                                              \
    X(nominatim_search)                                                                            \
    X(nominatim_reverse)                                                                           \
    X(nominatim_lookup)                                                                            \
    X(nominatim_details)                                                                           \
    X(nominatim_status)

#define GEO_ENDPOINTS_OF_PHOTON(X)                                                                 \
    X(photon_api)                                                                                  \
    X(photon_reverse)                                                                              \
    X(photon_status)

#define GEO_ENDPOINT_LIST(X)                                                                       \
    GEO_ENDPOINTS_OF_ADDOK(X) GEO_ENDPOINTS_OF_NOMINATIM(X) GEO_ENDPOINTS_OF_PHOTON(X) X(other)

typedef enum geo_endpoint {
#define X(name) GEO_ENDPOINT_##name,
    GEO_ENDPOINT_LIST(X)
#undef X
        GEO_ENDPOINTS
} geo_endpoint;

enum { GEO_STATS_CODES = 8 };

/* Handles, resolved once. Read-only afterwards: any loop. */
typedef struct geo_stats {
    sx_metric *requests;
    sx_counter *counts[GEO_ENDPOINTS][GEO_STATS_CODES];
    sx_histogram *times[GEO_ENDPOINTS];
    const sx_service *service;
    pthread_mutex_t lock;          /* of `cache`, against a scrape while it is being freed */
    const struct geo_cache *cache; /* NULL: none, or no longer */
} geo_stats;

/* Registers them all; `stats` lives as long as the registry is scraped. `cache` may be NULL.
 * Errors: as sx_metric_new. */
sx_status geo_stats_init(geo_stats *stats, sx_service *service, const struct geo_cache *cache,
                         sx_error *err);

/* Before the cache is freed: an exporter may scrape until the service has gone. */
void geo_stats_forget_cache(geo_stats *stats);

/* HOT. Counts a request that is being answered with `status`, and the time since its head was read. */
void geo_stats_count(const geo_stats *stats, sx_request *r, geo_endpoint endpoint, int status);

#endif
