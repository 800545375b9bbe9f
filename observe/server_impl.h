/* server_impl.h - what the parts of observe/server.c share. */
#ifndef OBSERVE_SERVER_IMPL_H
#define OBSERVE_SERVER_IMPL_H

#include <sextant/service.h>

#include "observe/api/api.h"
#include "observe/auth/auth.h"
#include "observe/collect/collect.h"
#include "observe/remote/remote.h"
#include "observe/server.h"
#include "observe/traces_server.h"

typedef struct server {
    const observe_options *options;
    const observe_flags *flags;
    observe_api api;
    pthread_mutex_t reload_lock;
    sx_arena arena;
    sx_route routes[API_ROUTES_MAX];
    size_t route_count;
    sx_timer watch;   /* the first loop's: --config.auto-reload */
    sx_timer start;   /* the first loop's: until the log has been replayed */
    sx_buf *problems; /* of the start */
    remote_sender *sender;
    traces_server *traces;
    struct dash_room *dashboards;
    remote_reader *reader;
    prom_config *kept_config;   /* whose rules of retention the database borrows, by reload_lock */
    tsdb_retention_rule *rules; /* its rules, heap */
    bool watching;              /* that loop's: a look is under way */
    uint64_t seen;              /* what the watched files were, by reload_lock */
    collect_site_options collect;
    char storage[4096];
} server;

/* --- server_config.c: the configuration, taken up. */

/* Reads the file; `problems` (may be NULL) gets a line for each fault. */
sx_status server_config_load(const server *s, prom_config **out, sx_buf *problems, sx_error *err);
/* A number that changes when one of the configuration's files does: names, sizes, times. */
uint64_t server_config_look(const prom_config *config);
promql_engine_options server_engine_options(const server *s, const prom_config *config);
/* What the database begins with. What it borrows is kept by `s`. */
sx_status server_storage_options(server *s, prom_config *config, tsdb_options *out, sx_error *err);
/* Everything that follows the configuration takes it; the first that cannot ends the round. */
sx_status server_config_apply(server *s, prom_config *config, sx_buf *problems, sx_error *err);
void server_note_reload(server *s, bool good);
/* The files once more: all or nothing. `ctx` is the server. Any thread; waits for one under way. */
sx_status server_reload(void *ctx, sx_error *err);
/* --config.auto-reload: a timer on the first loop. */
void server_watch_start(server *s, sx_loop *loop);
void server_watch_stop(server *s, sx_loop *loop);

/* --- server_life.c: the service's hooks. */
sx_status server_set_up(sx_service *service, void *ctx, sx_error *err);
void server_tear_down(sx_service *service, void *ctx);
sx_status server_loop_set_up(sx_service *service, sx_loop *loop, void *ctx, void **loop_ctx,
                             sx_error *err);
void server_loop_tear_down(sx_service *service, sx_loop *loop, void *ctx, void *loop_ctx);

#endif
