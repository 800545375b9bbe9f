/* head.h - what a dashboard's JSON says of itself, in any of the forms that Grafana writes.
 *
 *     {"title": …, "panels": …}                                        classic
 *     {"dashboard": {"title": …}, "meta": …}                           the same, as its API answers it
 *     {"apiVersion": "dashboard.grafana.app/v1…", "kind": "Dashboard",
 *      "metadata": {"name": uid}, "spec": {"title": …}}                a resource; v2 too
 *
 * Only the head is looked at: the text is checked to be JSON in full and kept as it came. The page reads
 * the rest (web/observe/dash/read.ts). Called by the store, its files and its API. */
#ifndef OBSERVE_DASHBOARDS_HEAD_H
#define OBSERVE_DASHBOARDS_HEAD_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

enum {
    DASH_WRAPS_MAX = 4,   /* {"dashboard": {"dashboard": …}}: each is read once more */
    DASH_DEPTH_MAX = 128, /* of a dashboard's JSON: rows, panels and options are a dozen deep */
    DASH_UID_BYTES_MAX = 40,
    DASH_TITLE_CHARS_MAX = 5000,
    DASH_MESSAGE_CHARS_MAX = 500,
    DASH_TAGS_MAX = 1000,
    DASH_SLUG_BYTES_MAX = 120,
    DASH_UID_MADE = 14 /* letters of one that we make */
};

typedef struct dash_head {
    sx_str json; /* the dashboard itself: the text, or its member "dashboard" */
    bool is_resource;
    sx_str uid, title, description; /* "" where there is none, or no text */
    sx_str folder_uid;              /* of a resource's annotation grafana.app/folder */
    const sx_str *tags;
    size_t tag_count;
    int64_t id, version; /* 0: none */
} dash_head;

/* Reads the head of `text`; what it gives points into it and into `arena`. Members of a wrong type count
 * as absent, as Grafana takes them; a title may be missing here.
 *   errors  SX_EFORMAT (no JSON object; the message has line and column), SX_ELIMIT (too deep, too many
 *           tags), SX_ENOMEM */
sx_status dash_head_read(sx_str text, sx_arena *arena, dash_head *out, sx_error *err);

/* What stands in a dashboard that is given out. */
typedef struct dash_stamp {
    int64_t id, version;
    sx_str uid;
} dash_stamp;

/* Appends the dashboard `json`, which dash_head_read() took, with its members id, uid and version set;
 * a resource as it stands. Errors: as there, and buf's. */
sx_status dash_stamp_write(sx_str json, const dash_stamp *stamp, sx_buf *out, sx_error *err);

/* "CPU / Node" is cpu-node: the last part of a dashboard's address. Never empty: then it is `uid`. */
sx_str dash_slug(sx_str title, sx_str uid, sx_arena *arena);

/* Letters, digits, '-' and '_' alone. */
bool dash_uid_is_valid(sx_str uid);
/* A new one of DASH_UID_MADE letters and digits, by chance. */
sx_status dash_uid_make(char out[DASH_UID_MADE + 1], sx_error *err);
/* The same for something that has a name: always the same one for a name. */
void dash_uid_of(sx_str name, char out[DASH_UID_MADE + 1]);

/* Characters, not bytes, of UTF-8. */
size_t dash_chars(sx_str text);

#endif
