/* serve.h - the geocoder as a service: its routes, its settings, its life. */
#ifndef SEXTANT_GEOCODE_API_SERVE_H
#define SEXTANT_GEOCODE_API_SERVE_H

#include <sextant/buf.h>
#include <sextant/error.h>

typedef struct geo_serve_options {
    const char *index;   /* path */
    const char *version; /* of the program */
    const char *const
        *flags; /* --key=value, as a service takes them (listen and config among them) */
    size_t flag_count;
    const char *const *environment; /* GEOCODE_… */
} geo_serve_options;

/* Opens the index and serves until SIGTERM or SIGINT. From the main thread. `problems` gets a line
 * for each wrong setting. Errors: those of geo_index_open, sx_service_new and sx_service_run. */
sx_status geo_serve(const geo_serve_options *options, sx_buf *problems, sx_error *err);

/* Appends the list of settings, for --help and for docs/config.md. */
void geo_serve_help(sx_buf *out);
void geo_serve_docs(sx_buf *out);

#endif
