/* tracelog.c - the traces' log written and read; see tracelog.h. */
#include "observe/traces/tracelog.h"

#include <pthread.h>
#include <stdio.h>

#include <sextant/file.h>
#include <sextant/hash.h>
#include <sextant/mem.h>

enum { PATH_BYTES = 4096, VERSION = 1, BATCH = 1, VOID = 2 };
static const char MAGIC[8] = "SXTRLOG1";

struct tr_log {
    char *dir;
    tr_fsync fsync;
    pthread_mutex_t lock; /* of all below */
    uint32_t generation;
    bool open;  /* writer has the file */
    bool begun; /* the file is there */
    bool dirty; /* its end may hold bytes that no one was promised */
    uint64_t offset;
    uint64_t sequence;
    uint64_t written, synced; /* bytes of all time: what group commit compares */
    sx_writer writer;
    sx_writer syncer; /* the same file, for fsync alone, so that others write meanwhile */
    bool syncer_open;
    pthread_mutex_t sync_lock; /* one waits for the disk, those who wait here ride along */
};

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (8 * i));
}

static void put64(char *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const char *p)
{
    const uint8_t *u = (const uint8_t *)p;
    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

static uint64_t get64(const char *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

sx_status tr_log_path(const char *dir, uint32_t generation, char *path, sx_error *err)
{
    int n = snprintf(path, PATH_BYTES, "%s/%08u.log", dir, generation);
    return n > 0 && n < PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
}

bool tr_log_name(sx_str name, uint32_t *generation)
{
    uint64_t n;
    if (!sx_str_ends(name, SX_STR(".log")) ||
        !sx_str_to_u64(sx_str_first(name, name.len - 4), &n) || n > UINT32_MAX)
        return false;
    *generation = (uint32_t)n;
    return true;
}

sx_status tr_log_open(const char *dir, uint32_t generation, tr_fsync fsync, tr_log **out,
                      sx_error *err)
{
    sx_status status = sx_folder_make(dir, err);
    if (status != SX_OK)
        return status;
    tr_log *l = sx_calloc(1, sizeof *l);
    size_t len = strlen(dir);
    char *copy = sx_alloc(len + 1);
    if (!l || !copy) {
        sx_free(l);
        sx_free(copy);
        return sx_fail_memory(err, "log of the traces");
    }
    memcpy(copy, dir, len + 1);
    l->dir = copy;
    l->fsync = fsync;
    l->generation = generation;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->sync_lock, NULL);
    *out = l;
    return SX_OK;
}

/* --- The file, under the lock. */

/* With the sync lock held, too: that comes before the lock. */
static void close_files(tr_log *l)
{
    if (l->open)
        sx_writer_abandon(&l->writer);
    if (l->syncer_open)
        sx_writer_abandon(&l->syncer);
    l->open = l->syncer_open = false;
}

/* The syncer stays: another thread may be waiting in it, and it is the same file. */
static void close_broken(tr_log *l)
{
    if (l->open)
        sx_writer_abandon(&l->writer);
    l->open = false;
    l->dirty = l->begun;
}

static sx_status write_head(tr_log *l, sx_error *err)
{
    char head[TR_LOG_HEAD] = {0};
    memcpy(head, MAGIC, sizeof MAGIC);
    put32(head + 8, VERSION);
    put32(head + 12, l->generation);
    put32(head + 28, sx_crc32c(0, head, 28));
    sx_status status = sx_writer_bytes(&l->writer, head, sizeof head, err);
    if (status == SX_OK)
        status = sx_writer_flush(&l->writer, err);
    if (status == SX_OK)
        l->offset = sizeof head;
    return status;
}

/* The file as it is known to be, ready to be written to. */
static sx_status ready(tr_log *l, sx_error *err)
{
    if (l->open)
        return SX_OK;
    char path[PATH_BYTES];
    sx_status status = tr_log_path(l->dir, l->generation, path, err);
    if (status == SX_OK && l->dirty) {
        status = sx_file_truncate(path, l->offset, err);
        if (status == SX_OK)
            l->dirty = false;
    }
    if (status == SX_OK)
        status = sx_writer_open(&l->writer, path, l->begun ? SX_WRITER_APPEND : SX_WRITER_EMPTY,
                                4096, err);
    if (status != SX_OK)
        return status;
    l->open = true;
    bool made = !l->begun;
    l->begun = true;
    if (l->offset == 0)
        status = write_head(l, err);
    if (status == SX_OK && l->fsync != TR_FSYNC_NONE && !l->syncer_open) {
        status = sx_writer_open(&l->syncer, path, SX_WRITER_APPEND, 512, err);
        l->syncer_open = status == SX_OK;
        if (status == SX_OK && made)
            status = sx_folder_sync(l->dir, err);
    }
    if (status != SX_OK)
        close_broken(l);
    return status;
}

/* All of a record or none. */
static sx_status put_record(tr_log *l, uint32_t kind, sx_str payload, uint32_t crc,
                            uint64_t *sequence, sx_error *err)
{
    sx_status status = ready(l, err);
    char head[TR_LOG_HEAD] = {0};
    put32(head, (uint32_t)payload.len);
    put32(head + 4, crc);
    put64(head + 8, l->sequence + 1);
    put32(head + 16, kind);
    put32(head + 28, sx_crc32c(0, head, 28));
    if (status == SX_OK)
        status = sx_writer_bytes(&l->writer, head, sizeof head, err);
    if (status == SX_OK)
        status = sx_writer_bytes(&l->writer, payload.data, payload.len, err);
    if (status == SX_OK)
        status = sx_writer_flush(&l->writer, err);
    if (status != SX_OK) {
        close_broken(l);
        sx_error ignored;
        if (l->dirty && ready(l, &ignored) != SX_OK) /* else before the next record */
            close_broken(l);
        return sx_error_prefix(err, status, "log of the traces");
    }
    l->offset += sizeof head + payload.len;
    l->written += sizeof head + payload.len;
    *sequence = ++l->sequence;
    return SX_OK;
}

/* Syncs what is written up to now; the sync lock is held. */
static sx_status sync_now(tr_log *l, sx_error *err)
{
    pthread_mutex_lock(&l->lock);
    uint64_t upto = l->written;
    bool needed = l->syncer_open && l->synced < upto;
    pthread_mutex_unlock(&l->lock);
    if (!needed)
        return SX_OK;
    sx_status status = sx_writer_sync(&l->syncer, err);
    pthread_mutex_lock(&l->lock);
    if (status == SX_OK)
        l->synced = upto;
    else /* what the system still has may be lost, but it is not written twice */
        close_files(l);
    pthread_mutex_unlock(&l->lock);
    return status;
}

static sx_status wait_for_disk(tr_log *l, uint64_t mine, sx_error *err)
{
    sx_status status = SX_OK;
    pthread_mutex_lock(&l->sync_lock);
    pthread_mutex_lock(&l->lock);
    bool done = l->synced >= mine;
    pthread_mutex_unlock(&l->lock);
    if (!done)
        status = sync_now(l, err);
    pthread_mutex_unlock(&l->sync_lock);
    return status;
}

static sx_status append(tr_log *l, uint32_t kind, sx_str payload, uint64_t *sequence, sx_error *err)
{
    if (payload.len > TR_LOG_RECORD_MAX)
        return sx_fail(err, SX_ELIMIT, "a batch of %zu bytes is too long for the log", payload.len);
    uint32_t crc = sx_crc32c(0, payload.data, payload.len);
    pthread_mutex_lock(&l->lock);
    sx_status status = put_record(l, kind, payload, crc, sequence, err);
    uint64_t mine = l->written;
    pthread_mutex_unlock(&l->lock);
    if (status == SX_OK && l->fsync == TR_FSYNC_ALWAYS)
        status = wait_for_disk(l, mine, err);
    return status;
}

sx_status tr_log_append(tr_log *l, sx_str otlp, uint64_t *sequence, sx_error *err)
{
    return append(l, BATCH, otlp, sequence, err);
}

sx_status tr_log_void(tr_log *l, uint64_t sequence, sx_error *err)
{
    char payload[8];
    put64(payload, sequence);
    return append(l, VOID, sx_str_of(payload, sizeof payload), &sequence, err);
}

sx_status tr_log_sync(tr_log *l, sx_error *err)
{
    pthread_mutex_lock(&l->sync_lock);
    sx_status status = sync_now(l, err);
    pthread_mutex_unlock(&l->sync_lock);
    return status;
}

sx_status tr_log_turn(tr_log *l, uint32_t generation, sx_error *err)
{
    pthread_mutex_lock(&l->sync_lock);
    sx_status status = sync_now(l, err);
    pthread_mutex_lock(&l->lock);
    close_files(l);
    l->generation = generation;
    l->begun = l->dirty = false;
    l->offset = 0;
    l->synced = l->written;
    pthread_mutex_unlock(&l->lock);
    pthread_mutex_unlock(&l->sync_lock);
    return status;
}

uint64_t tr_log_bytes(tr_log *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t bytes = l->offset;
    pthread_mutex_unlock(&l->lock);
    return bytes;
}

void tr_log_close(tr_log *l)
{
    if (!l)
        return;
    if (l->fsync != TR_FSYNC_NONE)
        (void)tr_log_sync(l, NULL);
    close_files(l);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->sync_lock);
    sx_free(l->dir);
    sx_free(l);
}

/* --- Reading. */

static void make_void(tr_log_file *f, uint64_t sequence)
{
    for (size_t i = f->count; i-- > 0;)
        if (f->records[i].sequence == sequence) {
            memmove(f->records + i, f->records + i + 1, (f->count - i - 1) * sizeof *f->records);
            f->count--;
            return;
        }
}

sx_status tr_log_file_parse(sx_str bytes, tr_log_file *out, sx_error *err)
{
    *out = (tr_log_file){.data = bytes.data, .len = bytes.len, .torn_bytes = bytes.len};
    const char *p = bytes.data;
    if (bytes.len < TR_LOG_HEAD || memcmp(p, MAGIC, sizeof MAGIC) != 0 ||
        get32(p + 28) != sx_crc32c(0, p, 28))
        return SX_OK;
    if (get32(p + 8) > VERSION)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "log of the traces has version %u, this program knows %d: use a newer one",
                       get32(p + 8), VERSION);
    size_t at = TR_LOG_HEAD;
    while (bytes.len - at >= TR_LOG_HEAD) {
        const char *head = p + at;
        size_t len = get32(head);
        if (get32(head + 28) != sx_crc32c(0, head, 28) || len > bytes.len - at - TR_LOG_HEAD ||
            get32(head + 4) != sx_crc32c(0, head + TR_LOG_HEAD, len))
            break;
        uint32_t kind = get32(head + 16);
        if (kind == BATCH) {
            if (!sx_grow(&out->records, &out->cap, out->count + 1, sizeof *out->records))
                return sx_fail_memory(err, "records of the traces' log");
            out->records[out->count++] =
                (tr_log_record){get64(head + 8), sx_str_of(head + TR_LOG_HEAD, len)};
        } else if (kind == VOID && len == 8) {
            make_void(out, get64(head + TR_LOG_HEAD));
        } else {
            break;
        }
        at += TR_LOG_HEAD + len;
    }
    out->good_bytes = at;
    out->torn_bytes = bytes.len - at;
    return SX_OK;
}

sx_status tr_log_file_open(const char *path, tr_log_file *out, sx_error *err)
{
    sx_mapping map;
    *out = (tr_log_file){0};
    sx_status status = sx_mapping_open(&map, path, SX_MAP_SEQUENTIAL, err);
    if (status != SX_OK)
        return status;
    status = tr_log_file_parse(sx_str_of(map.data, map.len), out, err);
    out->mapped = true;
    if (status != SX_OK)
        tr_log_file_close(out);
    return status;
}

void tr_log_file_close(tr_log_file *f)
{
    if (f->mapped)
        sx_mapping_close(&(sx_mapping){.data = f->data, .len = f->len});
    sx_free(f->records);
    *f = (tr_log_file){0};
}
