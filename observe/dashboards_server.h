/* dashboards_server.h - the dashboards' part of the server: opened with it, its files looked at now and then.
 *
 * The first look is made when the loops have started, so that the start does not wait for it. Called by
 * observe/server_life.c and server_config.c. */
#ifndef OBSERVE_DASHBOARDS_SERVER_H
#define OBSERVE_DASHBOARDS_SERVER_H

#include "observe/api/api.h"

struct dash_room;

/* Opens the store below the folder `storage` and sets api->dashboards and api->dashboard_files. Errors:
 * those of dash_store_open. */
sx_status dash_room_new(observe_api *api, const char *storage, struct dash_room **out,
                        sx_error *err);
/* No loop and no pool runs any more. NULL is allowed. */
void dash_room_free(struct dash_room *room);

/* Of the first loop, whose timer it uses; NULL is allowed. */
void dash_room_loop(struct dash_room *room, sx_loop *loop);
void dash_room_loop_end(struct dash_room *room, sx_loop *loop);

/* Reads all files again; any thread but a loop's. NULL is allowed. */
void dash_room_reload(struct dash_room *room);

#endif
