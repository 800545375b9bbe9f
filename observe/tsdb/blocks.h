/* blocks.h - the database's blocks, and what is done to them in the background.
 *
 * Called by the maintenance (one thread at a time, under db->maintenance) and by the admin calls; the
 * queriers take a look at the list under its lock, and hold what they read. Files: blocks.c (the
 * list), cut.c (head to blocks), compact.c (blocks to blocks), retention.c. */
#ifndef OBSERVE_TSDB_BLOCKS_H
#define OBSERVE_TSDB_BLOCKS_H

#include "observe/tsdb/block.h"
#include "observe/tsdb/db_internal.h"

/* --- The list. Removes what an interrupted run left behind, opens the blocks, and sets db->floor_t.
 * A block that cannot be read is set aside. */
sx_status tsdb_blocks_open(tsdb *db, sx_error *err);
void tsdb_blocks_close(tsdb *db);

/* Opens the block DIR/ulid and takes it into the list in the place of `old` ones, whose folders are
 * then removed. `ulid` NULL: nothing comes in their place. */
sx_status tsdb_blocks_replace(tsdb *db, tsdb_block *const *old, size_t old_count, const char *ulid,
                              sx_error *err);

/* References to all of them, oldest first, in the arena; each to be given back. */
sx_status tsdb_blocks_hold(tsdb *db, sx_arena *arena, tsdb_block ***out, size_t *count,
                           sx_error *err);
void tsdb_blocks_release(tsdb_block **blocks, size_t count);

/* Blocks in which a read has found damage leave the list and are renamed. */
void tsdb_blocks_set_aside(tsdb *db);

void tsdb_note(const tsdb *db, bool warning, const char *fmt, ...) SX_PRINTF(3, 4);

/* --- Head to blocks: everything before `t`, each range of block_ms in a block of its own. The head
 * lets go of it when the readers of today have left: tsdb_cut_finish(), called until it is done. */
sx_status tsdb_cut(tsdb *db, int64_t t, sx_error *err);
sx_status tsdb_cut_finish(tsdb *db, sx_error *err);

/* Cuts if it is time. */
sx_status tsdb_cut_due(tsdb *db, sx_error *err);

/* Writes all of the head between two times (both inclusive) as one block into `dir`. */
sx_status tsdb_cut_copy(tsdb *db, const char *dir, int64_t min_t, int64_t max_t, sx_error *err);

/* --- Blocks to blocks. One step of what there is to do; *did: there was something. */
sx_status tsdb_compact_due(tsdb *db, bool *did, sx_error *err);

/* Merges blocks into one. */
sx_status tsdb_compact(tsdb *db, tsdb_block *const *blocks, size_t count, sx_error *err);

/* --- Retention by time, size and matcher. */
sx_status tsdb_retention_due(tsdb *db, sx_error *err);

static inline int64_t tsdb_window_start(int64_t t, int64_t width)
{
    int64_t from = t / width * width;
    return from > t ? (from < INT64_MIN + width ? INT64_MIN : from - width) : from;
}

#endif
