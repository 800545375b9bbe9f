/* dash.h - Grafana's HTTP API of dashboards: its routes, and what their handlers share.
 *
 * Handlers are api_work (observe/api/api.h): they run on a thread of a pool and fill the call's answer.
 * A failure is {"message": …} with Grafana's status, and `status` where it has a word for scripts.
 * Source: Grafana's HTTP API reference, version 12. */
#ifndef OBSERVE_API_DASH_H
#define OBSERVE_API_DASH_H

#include <sextant/json.h>

#include "codec/json_member.h"
#include "observe/api/api.h"
#include "observe/dashboards/store.h"

/* Whom a route is for; the roles of sign-in (observe/auth). */
typedef enum dash_need { DASH_NEEDS_VIEWER, DASH_NEEDS_EDITOR, DASH_NEEDS_ADMIN } dash_need;

typedef struct dash_route {
    int method;
    const char *path;
    api_work *work;
    dash_need need;
} dash_route;

extern const dash_route DASH_ROUTES[];
extern const size_t DASH_ROUTES_COUNT;

/* Begins a call for a route, on its loop. What changes something is refused (415, 403) where a page of
 * another origin could have sent it: its body must be application/json, which a form cannot send and no
 * preflight allows, and a browser that names an origin must name ours. */
void dash_http_start(observe_api *a, sx_request *r, const dash_route *route);

/* ---- answers ---- */

/* Starts a JSON answer; `w` writes into the call's buffer. */
void dash_answer(api_call *c, sx_json_writer *w);
/* {"message": …} */
void dash_message(api_call *c, int status, sx_str message);
/* The fault's status and words; `err` is that of the store. */
void dash_fail(api_call *c, dash_fault fault, const sx_error *err);
/* 500 with the error's message. */
void dash_fail_store(api_call *c, const sx_error *err);

/* Members of an object, beside those of codec/json_member.h. */
void dash_put_time(sx_json_writer *w, const char *key, int64_t ms);
void dash_put_strs(sx_json_writer *w, const char *key, const sx_str *items, size_t count);
/* PREFIX + "/d/UID/SLUG", or "/dashboards/f/UID/SLUG" of a folder. */
void dash_put_url(sx_json_writer *w, const api_call *c, const char *key, const dash_item *item);

/* ---- requests ---- */

/* Who asks: their login, "" if nobody in particular. */
sx_str dash_login(const api_call *c);
/* Whether they have the role. */
bool dash_may(const api_call *c, dash_need need);
/* A parameter of the address as a whole number; `fallback` where it is missing or none. */
int64_t dash_param_i64(const api_call *c, const char *name, int64_t fallback);
/* One of the path. Negative: it is no number. */
int64_t dash_path_i64(const api_call *c, const char *name);

/* The body, an object, to be read by its members; false: it is none, and the answer is written. */
bool dash_body(api_call *c, sx_json *r);
/* What a body that stores a dashboard has, whichever way it comes. Texts live as long as the request. */
typedef struct dash_stored {
    sx_str dashboard; /* JSON; empty: there was none */
    sx_str folder_uid;
    bool overwrite;
} dash_stored;
/* Reads the member if it is one of those; false: it is not, and is still to be read. */
bool dash_read_stored(sx_json *r, sx_str key, dash_stored *out);
/* Its end. */
bool dash_body_finish(api_call *c, sx_json *r);
/* The same where a member "dashboard" had to be among them: `dashboard` is its text, "" if it was not. */
bool dash_body_finish_with(api_call *c, sx_json *r, sx_str dashboard);
/* Values of members; those of another type are left out. */
void dash_read_str(sx_json *r, sx_str *out);
void dash_read_i64(sx_json *r, int64_t *out);
void dash_read_bool(sx_json *r, bool *out);
/* A list's texts. */
void dash_read_strs(api_call *c, sx_json *r, const sx_str **out, size_t *count);

/* Reads and saves a dashboard for who asks; `save` has the rest. False: the answer is written. */
bool dash_http_store(api_call *c, dash_save *save, sx_str json, dash_head *head, dash_item *item);

/* "general" and "" are the top. */
sx_str dash_folder_uid(sx_str given);

/* ---- handlers ---- */
void dash_http_search(api_call *c); /* dash_search.c */
void dash_http_sorting(api_call *c);
void dash_http_tags(api_call *c);
void dash_http_get(api_call *c); /* dash_items.c */
void dash_http_home(api_call *c);
void dash_http_save(api_call *c);
void dash_http_delete(api_call *c);
void dash_http_versions(api_call *c);
void dash_http_version(api_call *c);
void dash_http_restore(api_call *c);
void dash_http_permissions(api_call *c);
void dash_http_import(api_call *c);  /* dash_import.c */
void dash_http_folders(api_call *c); /* dash_folders.c */
void dash_http_folder(api_call *c);
void dash_http_folder_by_id(api_call *c);
void dash_http_folder_counts(api_call *c);
void dash_http_folder_make(api_call *c);
void dash_http_folder_change(api_call *c);
void dash_http_folder_move(api_call *c);
void dash_http_folder_delete(api_call *c);
void dash_http_stars(api_call *c); /* dash_notes.c */
void dash_http_star(api_call *c);
void dash_http_unstar(api_call *c);
void dash_http_notes(api_call *c);
void dash_http_note(api_call *c);
void dash_http_note_add(api_call *c);
void dash_http_note_put(api_call *c);
void dash_http_note_patch(api_call *c);
void dash_http_note_delete(api_call *c);
void dash_http_note_tags(api_call *c);
void dash_http_sources(api_call *c); /* dash_sources.c */
void dash_http_source(api_call *c);
void dash_http_source_id(api_call *c);
void dash_http_source_health(api_call *c);
void dash_http_source_add(api_call *c);
void dash_http_source_change(api_call *c);
void dash_http_source_delete(api_call *c);
void dash_http_org(api_call *c); /* dash_files.c */
void dash_http_settings(api_call *c);
void dash_http_health(api_call *c);
void dash_http_reload(api_call *c);
void dash_http_problems(api_call *c);

#endif
