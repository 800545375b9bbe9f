/* store.h - dashboards, folders, stars and annotations, in one file of SQLite.
 *
 *     item         dashboards and folders: their heads; ids and uids are unique among both
 *     version      what a dashboard was at each save, the newest last; `versions_max` are kept
 *     star         whose favourites
 *     annotation   marks in time, of a dashboard or of all
 *
 * Every change is one transaction that waits for the disk, so that a kill or a power cut leaves the whole
 * of it or nothing. What is listed and searched comes from an index in memory of all heads, made anew
 * after a change when somebody asks. All of it blocks and is for threads of a pool; any thread. Results
 * lie in the caller's arena. Called by the API (observe/api/dash_*.c) and by files.h, which puts files in. */
#ifndef OBSERVE_DASHBOARDS_STORE_H
#define OBSERVE_DASHBOARDS_STORE_H

#include <stdatomic.h>

#include <sextant/arena.h>
#include <sextant/clock.h>

#include "observe/dashboards/fault.h"
#include "observe/dashboards/head.h"

typedef struct dash_store dash_store;

/* A head is in memory as long as the server runs, so that its parts are bounded, too. */
enum {
    DASH_DESCRIPTION_BYTES_MAX = 4096, /* of an item; more is in the dashboard itself alone */
    DASH_TAGS_BYTES_MAX = 64 << 10     /* of all tags of one */
};

typedef struct dash_limits { /* 0 takes the default */
    uint64_t bytes_max;      /* 10 MiB: of one dashboard's JSON */
    int64_t versions_max;    /* 20 kept of each */
    int64_t count_max;       /* 50000 dashboards and folders */
    int64_t notes_max;       /* 100000 annotations; the oldest go */
} dash_limits;

/* Opens or makes the file (its folder is there). `clock` is borrowed. Errors: those of sx_sqlite_open. */
sx_status dash_store_open(const char *path, const dash_limits *limits, const sx_clock *clock,
                          dash_store **out, sx_error *err);
/* Closes it; nobody uses it any more. NULL is allowed. */
void dash_store_close(dash_store *s);
/* The limits in force. */
const dash_limits *dash_store_limits(const dash_store *s);

/* ---- heads ---- */

typedef struct dash_item {
    int64_t id, version, created_ms, updated_ms;
    sx_str uid, title, slug, description;
    sx_str folder; /* uid of the one it lies in; "": none */
    sx_str created_by, updated_by;
    sx_str provider, file; /* of a file's; "" */
    sx_str checksum;
    const sx_str *tags;
    size_t tag_count;
    bool is_folder, may_update; /* may_update: a file's, but may be saved */
} dash_item;

/* All of them, by uid. Counted: it stays as it is, whatever is saved. */
typedef struct dash_index {
    _Atomic uint32_t references;
    uint64_t generation;
    sx_arena arena;
    const dash_item *items;
    size_t count;
    const uint32_t *by_title; /* items: folders first, then by title without case */
    const sx_str *lower;      /* by item: title without case */
} dash_index;

/* As it is now; to be given back. */
sx_status dash_index_get(dash_store *s, dash_index **out, sx_error *err);
void dash_index_unref(dash_index *index);
/* `text` with small letters for ASCII's, as `lower` has titles; data NULL without memory. */
sx_str dash_lower(sx_str text, sx_arena *arena);
/* NULL: none. */
const dash_item *dash_index_find(const dash_index *index, sx_str uid);
/* By number; NULL: none. */
const dash_item *dash_index_find_id(const dash_index *index, int64_t id);

/* ---- dashboards ---- */

typedef struct dash_version {
    int64_t id, version, parent, restored_from, created_ms;
    sx_str created_by, message;
    sx_str json; /* as it was saved; "" in a list */
} dash_version;

/* One of them without its JSON. */
dash_fault dash_get_item(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out, sx_error *err);
/* One of them and its JSON: of `version`, or 0: the newest. */
dash_fault dash_get(dash_store *s, sx_str uid, int64_t version, sx_arena *arena, dash_item *item,
                    dash_version *out, sx_error *err);

typedef struct dash_save {
    const dash_head *head;
    sx_str folder, message, login;
    bool overwrite;
    int64_t restored_from;
    /* Of a file: it is saved as it stands there, whoever changed it meanwhile. */
    sx_str provider, file, checksum;
    bool may_update;
} dash_save;

/* Makes or changes a dashboard; *out is its head. Makes a uid where there is none. A number (head->id)
 * counts only without a uid: what was exported elsewhere has that server's. */
dash_fault dash_put(dash_store *s, const dash_save *save, sx_arena *arena, dash_item *out,
                    sx_error *err);

/* Removes it with its versions, stars and annotations; *out is what it was. */
dash_fault dash_remove(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out, sx_error *err);

/* Newest first, from `start` on (0: the newest), at most `limit`. */
dash_fault dash_versions(dash_store *s, sx_str uid, int64_t start, int64_t limit, sx_arena *arena,
                         dash_item *item, dash_version **out, size_t *count, sx_error *err);

/* ---- folders ---- */

typedef struct dash_folder_save {
    sx_str uid, title, description, parent, login;
    int64_t version; /* of a change: what it is thought to be */
    bool overwrite;
    sx_str provider; /* of one made for files */
} dash_folder_save;

/* One of them. */
dash_fault dash_folder_get(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out,
                           sx_error *err);
dash_fault dash_folder_make(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                            dash_item *out, sx_error *err);
/* Title and description. */
dash_fault dash_folder_change(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                              dash_item *out, sx_error *err);
/* To another parent ("": the top). */
dash_fault dash_folder_move(dash_store *s, const dash_folder_save *save, sx_arena *arena,
                            dash_item *out, sx_error *err);
/* With all that is below it; refused if a file's dashboard is. */
dash_fault dash_folder_remove(dash_store *s, sx_str uid, sx_arena *arena, dash_item *out,
                              sx_error *err);

/* ---- files' ---- */

/* Removes what `provider` has of a file that `keeps` does not name; with `unlink` it stays, as if a user had
 * made it. */
typedef bool dash_keeps(void *ctx, sx_str file);
sx_status dash_prune(dash_store *s, sx_str provider, bool unlink, dash_keeps *keeps, void *ctx,
                     sx_error *err);

/* ---- stars ---- */

dash_fault dash_star(dash_store *s, sx_str login, sx_str uid, bool on, sx_error *err);
/* Whether it is one of theirs; and the uids of all, sorted. */
sx_status dash_is_star(dash_store *s, sx_str login, int64_t item, bool *is, sx_error *err);
sx_status dash_stars(dash_store *s, sx_str login, sx_arena *arena, sx_str **out, size_t *count,
                     sx_error *err);

/* ---- annotations ---- */

enum { DASH_NOTE_BYTES_MAX = 64 << 10, DASH_NOTE_TAGS_MAX = 100 };

typedef struct dash_note {
    int64_t id, panel_id, time_ms, end_ms, created_ms, updated_ms;
    sx_str dashboard; /* uid; "": of none */
    sx_str text, login;
    sx_str data; /* JSON object, or "" */
    const sx_str *tags;
    size_t tag_count;
} dash_note;

/* Adds it; its id goes to *id. */
dash_fault dash_note_add(dash_store *s, const dash_note *note, int64_t *id, sx_error *err);
/* Writes all of it over the one of its id. */
dash_fault dash_note_set(dash_store *s, const dash_note *note, sx_error *err);
dash_fault dash_note_get(dash_store *s, int64_t id, sx_arena *arena, dash_note *out, sx_error *err);
dash_fault dash_note_remove(dash_store *s, int64_t id, sx_error *err);

typedef struct dash_note_filter {
    int64_t from_ms, to_ms; /* both 0: any time */
    bool of_dashboard;      /* only of `dashboard` */
    sx_str dashboard;
    int64_t panel_id; /* 0: any */
    const sx_str *tags;
    size_t tag_count;
    bool any_tag; /* one of them is enough */
    int64_t limit;
} dash_note_filter;

/* Newest first. */
sx_status dash_notes(dash_store *s, const dash_note_filter *filter, sx_arena *arena,
                     dash_note **out, size_t *count, sx_error *err);

typedef struct dash_count {
    sx_str name;
    int64_t count;
} dash_count;

/* Tags of annotations that contain `part` (without case), by name. */
sx_status dash_note_tags(dash_store *s, sx_str part, int64_t limit, sx_arena *arena,
                         dash_count **out, size_t *count, sx_error *err);

#endif
