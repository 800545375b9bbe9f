/* dashboards_server.c - the dashboards' part of the server. See dashboards_server.h. */
#include "observe/dashboards_server.h"

#include <stdio.h>

#include <sextant/mem.h>

#include "observe/dashboards/files.h"

enum { PATH_BYTES = 4200, FIRST_LOOK_MS = 1, LOOK_LEAST_MS = 100 };

typedef struct dash_room {
    observe_api *api;
    dash_store *store;
    dash_files *files;
    sx_timer timer; /* the first loop's */
    bool looking;   /* that loop's: a look is under way */
} dash_room;

sx_status dash_room_new(observe_api *api, const char *storage, struct dash_room **out,
                        sx_error *err)
{
    const observe_flags *f = api->flags;
    char path[PATH_BYTES];
    const dash_limits limits = {.bytes_max = f->dashboards_size_max,
                                .versions_max = f->dashboards_versions_max,
                                .count_max = f->dashboards_count_max,
                                .notes_max = f->dashboards_annotations_max};
    const dash_files_options files = {.paths = f->dashboards_path,
                                      .provisioning = f->dashboards_provisioning,
                                      .builtin = f->dashboards_builtin ? &DASH_BUILTIN : NULL,
                                      .logger = sx_service_logger(api->service),
                                      .stop = &api->stopping};
    dash_room *room = sx_calloc(1, sizeof *room);
    if (!room)
        return sx_fail_memory(err, "dashboards");
    room->api = api;
    snprintf(path, sizeof path, "%s/dashboards.db", storage);
    sx_status status = dash_store_open(path, &limits, api->clock, &room->store, err);
    if (status == SX_OK)
        status = dash_files_new(room->store, &files, &room->files, err);
    if (status != SX_OK) {
        dash_room_free(room);
        return status;
    }
    api->dashboards = room->store;
    api->dashboard_files = room->files;
    *out = room;
    return SX_OK;
}

void dash_room_free(struct dash_room *room)
{
    if (!room)
        return;
    room->api->dashboards = NULL;
    room->api->dashboard_files = NULL;
    dash_files_free(room->files);
    dash_store_close(room->store);
    sx_free(room);
}

static void look(void *arg)
{
    dash_room *room = arg;
    if (!atomic_load(&room->api->stopping))
        dash_files_scan(room->files, false);
}

static void looked(sx_loop *loop, void *arg)
{
    (void)loop;
    ((dash_room *)arg)->looking = false;
}

static void on_timer(sx_timer *timer, void *arg)
{
    dash_room *room = arg;
    int64_t ms = room->api->flags->dashboards_reload_ms;
    sx_loop *loop = sx_service_loop(room->api->service, 0);
    if (!room->looking)
        room->looking = sx_pool_submit(room->api->others, loop, look, looked, room, NULL) == SX_OK;
    if (ms > 0) /* else a look is made when it is asked for */
        sx_timer_start(sx_loop_timers(loop), timer, ms < LOOK_LEAST_MS ? LOOK_LEAST_MS : ms);
}

void dash_room_loop(struct dash_room *room, sx_loop *loop)
{
    if (!room)
        return;
    room->timer = (sx_timer){.fn = on_timer, .arg = room};
    sx_timer_start(sx_loop_timers(loop), &room->timer, FIRST_LOOK_MS);
}

void dash_room_loop_end(struct dash_room *room, sx_loop *loop)
{
    if (room)
        sx_timer_stop(sx_loop_timers(loop), &room->timer);
}

void dash_room_reload(struct dash_room *room)
{
    if (room)
        dash_files_scan(room->files, true);
}
