/* open.c - the store as it was: segments of the MANIFEST, the log replayed into memtables. */
#include <inttypes.h>
#include <stdio.h>

#include <sextant/mem.h>

#include "observe/spans/otlp.h"
#include "observe/traces/store_impl.h"

enum { FILES_MAX = 1 << 20 };

/* --- Segments. */

static void set_aside(tr_store *s, const char *path, const sx_error *err)
{
    char aside[TR_PATH_BYTES + 16];
    snprintf(aside, sizeof aside, "%s.corrupt", path);
    if (!s->o.read_only)
        (void)sx_file_rename(path, aside, NULL);
    if (s->meters.corrupt)
        sx_counter_add(s->meters.corrupt, 1);
    if (s->logger)
        SX_LOG_ERROR(s->logger, NULL, "a damaged segment is set aside",
                     sx_field_str("file", sx_str_z(aside)),
                     sx_field_str("error", sx_str_z(err->message)));
}

bool tr_piece_is_damaged(tr_store *s, tr_piece *p, sx_status status, const sx_error *err)
{
    if (status != SX_ECORRUPT)
        return false;
    if (atomic_exchange(&p->damaged, true))
        return true;
    if (s->meters.corrupt)
        sx_counter_add(s->meters.corrupt, 1);
    if (s->logger)
        SX_LOG_ERROR(s->logger, NULL, "a segment is damaged: answers are without what is in it",
                     sx_field_str("error", err ? sx_str_z(err->message) : SX_STR("")));
    return true;
}

static sx_status open_pieces(tr_store *s, const tr_manifest *m, sx_error *err)
{
    tr_piece **come = sx_calloc(m->count + 1, sizeof(tr_piece *));
    size_t count = 0;
    sx_status status = come ? SX_OK : sx_fail_memory(err, "segments of the traces");
    for (size_t i = 0; status == SX_OK && i < m->count; i++) {
        const tr_manifest_entry *e = &m->entries[i];
        char path[TR_PATH_BYTES];
        tr_segment *segment;
        sx_error why = {0};
        status = tr_segment_name(s->dir, e->number, path, err);
        if (status != SX_OK)
            break;
        sx_status opened = tr_segment_open(path, &segment, &why);
        if (opened == SX_ECORRUPT || opened == SX_EFORMAT || opened == SX_ENOTFOUND) {
            set_aside(s, path, &why);
            continue;
        }
        if (opened != SX_OK) {
            if (err)
                *err = why;
            status = opened;
            break;
        }
        come[count] = tr_piece_new(s, segment, e->number, e->shard % s->shards, e->reduced);
        if (!come[count]) {
            tr_segment_unref(segment);
            status = sx_fail_memory(err, "segments of the traces");
            break;
        }
        count++;
    }
    if (status == SX_OK)
        status = tr_view_change(s, NULL, 0, come, count, NULL, err);
    while (count-- > 0)
        tr_piece_unref(come[count]);
    sx_free(come);
    return status;
}

/* Files that a crash left behind: segments that are in no MANIFEST, half-written ones. */
static void remove_strays(tr_store *s, const tr_manifest *m)
{
    sx_arena arena;
    sx_str *names;
    size_t count;
    sx_arena_init(&arena, 0, 0);
    if (sx_folder_list(s->dir, FILES_MAX, &arena, &names, &count, NULL) != SX_OK)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        bool known = !sx_str_ends(names[i], SX_STR(".seg.tmp"));
        if (sx_str_ends(names[i], SX_STR(".seg")) &&
            sx_str_to_u64(sx_str_first(names[i], names[i].len - 4), &number)) {
            known = false;
            for (size_t k = 0; k < m->count && !known; k++)
                known = m->entries[k].number == number;
        }
        char path[TR_PATH_BYTES];
        if (!known &&
            snprintf(path, sizeof path, "%s/%.*s", s->dir, SX_ARG(names[i])) < (int)sizeof path)
            (void)sx_file_remove(path, NULL);
    }
    sx_arena_done(&arena);
}

/* --- The log. */

typedef struct replay {
    tr_store *s;
    tr_set *set;
    const tr_log_file *file;
    atomic_size_t next;
    atomic_size_t bad; /* records that could not be read */
    _Atomic int status;
} replay;

static sx_status replay_record(replay *r, const tr_log_record *record)
{
    static const span_limits LIMITS = {.spans_max = UINT32_MAX,
                                       .attributes_max = 1 << 20,
                                       .value_bytes_max = 1 << 30,
                                       .events_max = 1 << 20,
                                       .links_max = 1 << 20};
    span_refused refused = {0};
    span_batch *b = span_batch_new(SIZE_MAX / 2);
    if (!b)
        return SX_ENOMEM;
    sx_status status = span_read_otlp(record->otlp, &LIMITS, b, &refused, NULL);
    if (status == SX_EFORMAT || status == SX_ELIMIT) {
        atomic_fetch_add(&r->bad, 1);
        status = SX_OK;
    } else if (status == SX_OK) {
        for (uint32_t k = 0; k < r->s->shards && status == SX_OK; k++) {
            tr_memtable *m = r->set->tables[k];
            pthread_mutex_lock(&m->lock);
            tr_mark mark = tr_rows_mark(&m->rows);
            status = tr_memtable_put(m, b, (tr_part){r->s->shards - 1, k}, NULL);
            if (status == SX_OK)
                tr_memtable_show(m, mark);
            pthread_mutex_unlock(&m->lock);
        }
    }
    span_batch_unref(b);
    return status;
}

static void *replay_run(void *arg)
{
    replay *r = arg;
    for (size_t i; (i = atomic_fetch_add(&r->next, 1)) < r->file->count;) {
        sx_status status = replay_record(r, &r->file->records[i]);
        if (status != SX_OK)
            atomic_store(&r->status, (int)status);
    }
    return NULL;
}

static sx_status replay_file(tr_store *s, tr_set *set, uint32_t generation, sx_error *err)
{
    char path[TR_PATH_BYTES];
    tr_log_file file;
    sx_status status = tr_log_path(s->wal_dir, generation, path, err);
    if (status == SX_OK)
        status = tr_log_file_open(path, &file, err);
    if (status != SX_OK)
        return status;
    replay r = {.s = s, .set = set, .file = &file};
    pthread_t threads[TR_SHARDS_MAX];
    uint32_t helpers = 0;
    for (; helpers + 1 < s->o.search_threads && helpers + 1 < file.count / 4 &&
           helpers < TR_SHARDS_MAX;
         helpers++)
        if (pthread_create(&threads[helpers], NULL, replay_run, &r) != 0)
            break;
    replay_run(&r);
    while (helpers > 0)
        pthread_join(threads[--helpers], NULL);
    if (atomic_load(&r.status) != SX_OK)
        status = sx_fail(err, (sx_status)atomic_load(&r.status), "%s: cannot be replayed: %s", path,
                         sx_status_name((sx_status)atomic_load(&r.status)));
    if (s->logger && (file.torn_bytes || atomic_load(&r.bad)))
        SX_LOG_WARN(s->logger, NULL, "the log of the traces had a torn end, as after a crash",
                    sx_field_str("file", sx_str_z(path)),
                    sx_field_u64("torn_bytes", file.torn_bytes),
                    sx_field_u64("unreadable_records", atomic_load(&r.bad)));
    tr_log_file_close(&file);
    return status;
}

/* A set more at the end, to be filled from now on. */
static sx_status add_set(tr_store *s, uint32_t generation, sx_error *err)
{
    tr_set *set = tr_set_new(s, err);
    if (!set)
        return SX_ENOMEM;
    set->first_log = set->last_log = generation;
    if (s->active) {
        s->active->sequence = s->next_sequence++;
        s->active->next = set;
        s->turned++;
    } else {
        s->sets = set;
    }
    s->active = set;
    return SX_OK;
}

static uint64_t bytes_of(const tr_store *s, const tr_set *set)
{
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < s->shards; k++)
        bytes += atomic_load(&set->tables[k]->used);
    return bytes;
}

static sx_status replay_logs(tr_store *s, sx_error *err)
{
    sx_arena arena;
    sx_str *names;
    size_t count = 0;
    sx_arena_init(&arena, 0, 0);
    sx_status status = sx_folder_list(s->wal_dir, FILES_MAX, &arena, &names, &count, err);
    if (status == SX_ENOTFOUND && s->o.read_only)
        status = SX_OK;
    uint32_t newest = s->log_first ? s->log_first - 1 : 0;
    for (size_t i = 0; status == SX_OK && i < count; i++) {
        uint32_t g;
        char path[TR_PATH_BYTES];
        if (!tr_log_name(names[i], &g)) /* names sort as their numbers do */
            continue;
        if (g < s->log_first) {
            if (!s->o.read_only && tr_log_path(s->wal_dir, g, path, NULL) == SX_OK)
                (void)sx_file_remove(path, NULL);
            continue;
        }
        newest = g > newest ? g : newest;
        bool full = s->active && bytes_of(s, s->active) >= s->o.memtable_bytes;
        if (!s->active || full)
            status = add_set(s, g, err);
        if (status == SX_OK) {
            s->active->last_log = g;
            status = replay_file(s, s->active, g, err);
        }
    }
    sx_arena_done(&arena);
    s->generation = newest + 1;
    if (status == SX_OK) /* what comes now has a log of its own: old ones are never written again */
        status = add_set(s, s->generation, err);
    return status;
}

sx_status tr_store_recover(tr_store *s, sx_error *err)
{
    tr_manifest m;
    sx_status status = tr_manifest_read(s->dir, &m, err);
    if (status != SX_OK)
        return status;
    s->log_first = m.log_first;
    s->next_number = m.next_number;
    s->next_sequence = m.next_sequence;
    for (size_t i = 0; i < m.count; i++) {
        if (m.entries[i].number >= s->next_number)
            s->next_number = m.entries[i].number + 1;
        if (m.entries[i].sequence >= s->next_sequence)
            s->next_sequence = m.entries[i].sequence + 1;
    }
    status = open_pieces(s, &m, err);
    if (status == SX_OK && !s->o.read_only)
        remove_strays(s, &m);
    tr_manifest_done(&m);
    if (status == SX_OK)
        status = replay_logs(s, err);
    if (status == SX_OK)
        status = tr_view_change(s, NULL, 0, NULL, 0, NULL, err);
    if (status == SX_OK && !s->o.read_only)
        status = tr_log_open(s->wal_dir, s->generation, s->o.fsync, &s->log, err);
    return status;
}
