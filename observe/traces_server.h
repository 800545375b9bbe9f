/* traces_server.h - the traces' half of the observatory: store, receivers, and what stands between.
 *
 * Made in the service's setup from the flags, opened with the loops (UDP), torn down with the service.
 * Called by observe/server.c alone. */
#ifndef OBSERVE_TRACES_SERVER_H
#define OBSERVE_TRACES_SERVER_H

#include "observe/api/receive.h"
#include "observe/traces/store.h"

typedef struct traces_server traces_server;

/* Opens the store under `storage` (unless --traces.store=off) and names the listeners to the service.
 * a->service is set. Errors: of tr_store_open, sx_service_listen. */
sx_status traces_server_new(observe_api *a, const char *storage, traces_server **out,
                            sx_error *err);

/* On each loop as it starts, and as it ends. */
sx_status traces_server_loop(traces_server *t, sx_loop *loop, sx_error *err);
void traces_server_loop_end(traces_server *t, sx_loop *loop);

/* No loop and no thread of a pool runs any more. NULL is allowed. */
void traces_server_free(traces_server *t);

/* Whether a reload would find its files well. NULL is allowed. Any thread. */
sx_status traces_server_check(traces_server *t, sx_error *err);

/* Reads what files it has again (SIGHUP): sampling strategies, --collector-config.
 * On an error the old ones stay. NULL is allowed. Any thread. */
sx_status traces_server_reload(traces_server *t, sx_error *err);

#endif
