/* visit.h - `sextant geocode visit`: a service that asks a geocoder as people do.
 *
 * A visit is what one person does in a minute: an address is typed and completed letter by letter, found,
 * the place under the pointer looked up, the same asked of Nominatim's and Photon's APIs; every twelfth
 * comes with a CSV file. The questions are real and so are the answers, their times and their spans: what
 * dashboards, traces and the map of services show of `sextant up` before its first user comes, and a
 * steady load for a soak test. Called by cmd/geocode_visit.c. */
#ifndef GEOCODE_VISIT_H
#define GEOCODE_VISIT_H

#include <sextant/service.h>

typedef struct geo_visit_options {
    const char *version;
    const char *const *flags; /* of the service's own table, as argv + 1 */
    size_t flag_count;
    const char *const *environment;
} geo_visit_options;

/* Visits until SIGTERM. `problems` as of sx_service_new. Errors: as of sx_service_new and _run. */
sx_status geo_visit(const geo_visit_options *options, sx_buf *problems, sx_error *err);

/* Appends the settings, as lines for --help. */
void geo_visit_help(sx_buf *out);

#endif
