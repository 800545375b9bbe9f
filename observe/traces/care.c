/* care.c - the store copied and checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

/* A second name for the file where both lie on one file system, else a copy. */
static sx_status link_or_copy(const char *from, const char *to, sx_error *err)
{
    if (link(from, to) == 0)
        return SX_OK;
    if (errno != EXDEV && errno != EPERM && errno != EOPNOTSUPP)
        return sx_fail_os(err, errno, "cannot link %s to %s", from, to);
    sx_mapping map;
    sx_writer w;
    sx_status status = sx_mapping_open(&map, from, SX_MAP_SEQUENTIAL, err);
    if (status != SX_OK)
        return status;
    status = sx_writer_open(&w, to, SX_WRITER_NEW, 0, err);
    if (status == SX_OK) {
        status = sx_writer_bytes(&w, map.data, map.len, err);
        if (status == SX_OK)
            status = sx_writer_sync(&w, err);
        sx_status closed = sx_writer_close(&w, status == SX_OK ? err : NULL);
        status = status == SX_OK ? closed : status;
    }
    sx_mapping_close(&map);
    return status;
}

/* Segments alone: what is in memory is flushed before. `change` is held, so none goes meanwhile. */
static sx_status copy_pieces(tr_store *s, const tr_view *v, const char *dir, sx_error *err)
{
    char from[TR_PATH_BYTES], to[TR_PATH_BYTES];
    tr_manifest m = {.log_first = 1, .next_number = s->next_number};
    sx_status status = SX_OK;
    m.entries = sx_calloc(v->piece_count + 1, sizeof *m.entries);
    if (!m.entries)
        return sx_fail_memory(err, "snapshot");
    pthread_mutex_lock(&s->lock);
    m.next_sequence = s->next_sequence;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < v->piece_count && status == SX_OK; i++) {
        const tr_piece *p = v->pieces[i];
        m.entries[m.count++] =
            (tr_manifest_entry){p->number, p->sequence, p->shard, p->level, p->reduced};
        status = tr_segment_name(s->dir, p->number, from, err);
        if (status == SX_OK)
            status = tr_segment_name(dir, p->number, to, err);
        if (status == SX_OK)
            status = link_or_copy(from, to, err);
    }
    if (status == SX_OK)
        status = sx_folder_sync(dir, err);
    if (status == SX_OK)
        status = tr_manifest_write(dir, &m, err);
    tr_manifest_done(&m);
    return status;
}

sx_status tr_store_snapshot(tr_store *s, const char *dir, sx_error *err)
{
    sx_status status = tr_store_flush(s, err);
    if (status == SX_OK)
        status = sx_folder_make(dir, err);
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&s->change);
    tr_view *v = tr_view_take(s);
    status = copy_pieces(s, v, dir, err);
    tr_view_unref(v);
    pthread_mutex_unlock(&s->change);
    return status;
}

/* --- Checking. */

typedef struct checking {
    void (*note)(void *ctx, const char *line);
    void *ctx;
    size_t faults;
} checking;

static void fault(checking *c, const char *what, const char *why)
{
    sx_buf line;
    sx_buf_init(&line, 0);
    if (sx_str_starts(sx_str_z(why), sx_str_z(what))) /* it names the file itself */
        sx_buf_printf(&line, "%s%c", why, 0);
    else
        sx_buf_printf(&line, "%s: %s%c", what, why, 0);
    c->faults++;
    if (c->note)
        c->note(c->ctx, line.failed ? what : line.data);
    sx_buf_done(&line);
}

static void check_segment(checking *c, const char *dir, uint64_t number,
                          const _Atomic bool *canceled)
{
    char path[TR_PATH_BYTES];
    tr_segment *segment;
    sx_error err = {0};
    sx_status status = tr_segment_name(dir, number, path, &err);
    if (status == SX_OK)
        status = tr_segment_open(path, &segment, &err);
    if (status == SX_OK) {
        status = tr_segment_verify(segment, canceled, &err);
        tr_segment_unref(segment);
    }
    if (status != SX_OK && status != SX_ECANCELED)
        fault(c, path, err.message);
}

static sx_status check_logs(checking *c, const char *dir, uint32_t log_first, sx_error *err)
{
    char wal[TR_PATH_BYTES - 64], path[TR_PATH_BYTES];
    sx_arena arena;
    sx_str *names;
    size_t count = 0;
    if (snprintf(wal, sizeof wal, "%s/wal", dir) >= (int)sizeof wal)
        return sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    sx_arena_init(&arena, 0, 0);
    sx_status status = sx_folder_list(wal, 0, &arena, &names, &count, err);
    if (status == SX_ENOTFOUND) /* a snapshot has none */
        status = SX_OK;
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        uint32_t g;
        tr_log_file file;
        sx_error why = {0};
        if (!tr_log_name(names[i], &g) || g < log_first)
            continue;
        status = tr_log_path(wal, g, path, err);
        if (status != SX_OK)
            break;
        if (tr_log_file_open(path, &file, &why) != SX_OK) {
            fault(c, path, why.message);
            continue;
        }
        if (file.torn_bytes) {
            snprintf(why.message, sizeof why.message,
                     "%" PRIu64 " bytes behind byte %" PRIu64 " are no whole record",
                     file.torn_bytes, file.good_bytes);
            fault(c, path, why.message);
        }
        tr_log_file_close(&file);
    }
    sx_arena_done(&arena);
    return status;
}

sx_status tr_store_verify(const char *dir, void (*note)(void *ctx, const char *line), void *ctx,
                          const _Atomic bool *canceled, sx_error *err)
{
    checking c = {note, ctx, 0};
    tr_manifest m;
    sx_error why = {0};
    sx_status status = tr_manifest_read(dir, &m, &why);
    if (status == SX_ECORRUPT) {
        fault(&c, "MANIFEST", why.message);
        return sx_fail(err, SX_ECORRUPT, "%s: the MANIFEST is damaged", dir);
    }
    if (status != SX_OK) {
        if (err)
            *err = why;
        return status;
    }
    for (size_t i = 0; i < m.count && !(canceled && atomic_load(canceled)); i++)
        check_segment(&c, dir, m.entries[i].number, canceled);
    status = check_logs(&c, dir, m.log_first, err);
    tr_manifest_done(&m);
    if (status == SX_OK && canceled && atomic_load(canceled))
        status = sx_fail(err, SX_ECANCELED, "%s: the check was canceled", dir);
    if (status == SX_OK && c.faults)
        status = sx_fail(err, SX_ECORRUPT, "%s: %zu faults", dir, c.faults);
    return status;
}
