/* server.h - the observatory's metrics server: storage, engine and API as one service.
 *
 * Owns the database, the engine, the configuration in force and the API, and builds the service that
 * serves them (include/sextant/service.h). SIGHUP, POST /-/reload and --config.auto-reload take up
 * the configuration file again; one with a fault is told and leaves everything as it was. Called by
 * cmd/observe.c, and by tests. */
#ifndef OBSERVE_SERVER_H
#define OBSERVE_SERVER_H

#include <sextant/buf.h>
#include <sextant/error.h>

#include "observe/flags.h"

typedef struct observe_options {
    const observe_flags *flags;
    const char *version;
    const char *const *environment; /* OBSERVE_... for the kit's settings; ${NAME} of the file */
} observe_options;

/* Serves until SIGTERM or SIGINT. From the main thread. `problems` gets a line for each fault of the
 * configuration file or of the service's settings.
 *   errors  SX_EFORMAT, SX_ENOTFOUND (the configuration file), SX_EINVAL (a flag or setting), and those
 *           of tsdb_open and sx_service_run */
sx_status observe_serve(const observe_options *options, sx_buf *problems, sx_error *err);

/* Appends the kit's settings that the command takes beside its flags: lines for --help. */
void observe_settings_help(sx_buf *out);

#endif
