/* store_impl.h - what the parts of the store share. */
#ifndef OBSERVE_DASHBOARDS_STORE_IMPL_H
#define OBSERVE_DASHBOARDS_STORE_IMPL_H

#include <pthread.h>

#include <sextant/sqlite.h>

#include "observe/dashboards/store.h"

struct dash_store {
    sx_sqlite *db;
    const sx_clock *clock;
    dash_limits limits;
    _Atomic uint64_t generation; /* grows with each change of an item */
    pthread_mutex_t lock;
    dash_index *index; /* by lock; may be of an older generation */
};

/* A transaction under way; `fault` other than DASH_FINE takes it back. */
typedef struct dash_tx {
    dash_store *store;
    sx_sqlite_tx *tx;
    sx_arena *arena;
    dash_fault fault;
    const void *arg;
    void *out;
} dash_tx;

typedef sx_status dash_work(dash_tx *t, sx_error *err);

/* Runs `work` in one transaction, for which it may set t->fault. `arg` and `out` are its own. */
dash_fault dash_transact(dash_store *s, sx_arena *arena, dash_work *work, const void *arg,
                         void *out, sx_error *err);
/* The same for work that changes no item, so that the index stays good, and whose `out` points to
 * nothing in t->arena, which is its own. */
dash_fault dash_transact_aside(dash_store *s, dash_work *work, const void *arg, void *out,
                               sx_error *err);

/* One statement of it; `result` may be NULL. */
sx_status dash_run(dash_tx *t, const char *sql, const sx_sqlite_value *params, size_t count,
                   sx_sqlite_result *result, sx_error *err);
/* One that only reads, outside of any. */
sx_status dash_ask(dash_store *s, const char *sql, const sx_sqlite_value *params, size_t count,
                   sx_arena *arena, sx_sqlite_result *result, sx_error *err);

/* The columns of an item, in the order in which dash_item_read() takes them. */
#define DASH_ITEM_COLUMNS                                                                          \
    "id, uid, title, slug, description, folder, tags, version, created_ms, updated_ms, "           \
    "created_by, updated_by, provider, file, checksum, is_folder, may_update"
enum { DASH_ITEM_COLUMN_COUNT = 17 };
sx_status dash_item_read(const sx_sqlite_value *row, sx_arena *arena, dash_item *out,
                         sx_error *err);

/* The item of a uid; *found tells whether there is one. */
sx_status dash_item_find(dash_tx *t, sx_str uid, bool *found, dash_item *out, sx_error *err);
/* Removes it and all that hangs on it. */
sx_status dash_item_remove(dash_tx *t, int64_t id, sx_error *err);
/* Whether `uid` is a folder's, "" counting as one. */
sx_status dash_folder_is(dash_tx *t, sx_str uid, bool *is, sx_error *err);
/* Whether there may be one more; else t->fault is set. */
sx_status dash_room(dash_tx *t, bool *room, sx_error *err);

/* ["a","b"], and back. */
sx_str dash_tags_write(const sx_str *tags, size_t count, sx_arena *arena);
sx_status dash_tags_read(sx_str json, sx_arena *arena, const sx_str **out, size_t *count,
                         sx_error *err);

int64_t dash_now_ms(const dash_store *s);

#endif
