/* log_pack.c - old log files: compressed, and removed when there are too many.
 *
 * One thread a log that rotates, asleep until the writer has rotated. It looks at the folder instead of
 * keeping a list, so that what an earlier run left behind is treated the same: whatever is named as our
 * old file and not compressed yet is compressed, then the oldest ones go. A compressed file appears as a
 * whole (sx_replace) before the plain one is removed; after a crash in between the plain one is simply
 * compressed again. */
#include "telemetry/log_file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sextant/arena.h>
#include <sextant/file.h>

enum { NAMES_MAX = 100000, PIECE_BYTES = 65536 };

static const sx_str SUFFIXES[] = {SX_STR_INIT(".gz"), SX_STR_INIT(".zst")};

static sx_str suffix_of(sx_codec codec)
{
    return SUFFIXES[codec == SX_CODEC_ZSTD];
}

sx_log_old sx_log_old_of(sx_str name, sx_str base)
{
    static const char SHAPE[] = ".dddddddd-dddddd.ddd";
    const size_t len = sizeof(SHAPE) - 1;
    if (!sx_str_starts(name, base) || name.len < base.len + len)
        return SX_LOG_NOT_OLD;
    sx_str tail = sx_str_from(name, base.len);
    for (size_t i = 0; i < len; i++) {
        bool digit = tail.data[i] >= '0' && tail.data[i] <= '9';
        if (SHAPE[i] == 'd' ? !digit : tail.data[i] != SHAPE[i])
            return SX_LOG_NOT_OLD;
    }
    tail = sx_str_from(tail, len);
    if (tail.len == 0)
        return SX_LOG_OLD_PLAIN;
    for (size_t i = 0; i < SX_COUNT_OF(SUFFIXES); i++)
        if (sx_str_eq(tail, SUFFIXES[i]))
            return SX_LOG_OLD_PACKED;
    return SX_LOG_NOT_OLD;
}

static bool is_stopping(sx_log *log)
{
    return __atomic_load_n(&log->pack_stopping, __ATOMIC_ACQUIRE) != 0;
}

/* ---- one file ---- */

static sx_status pack_pieces(sx_log *log, sx_reader *in, sx_encoder *encoder, sx_buf *packed,
                             sx_writer *out, sx_error *err)
{
    char piece[PIECE_BYTES]; /* a thread of the log's own, with the usual stack */
    for (;;) {
        size_t got;
        sx_status status = sx_reader_read(in, piece, sizeof(piece), &got, err);
        if (status == SX_END)
            status = sx_encoder_finish(encoder, packed, err);
        else if (status == SX_OK)
            status = sx_encoder_feed(encoder, sx_str_of(piece, got), packed, err);
        if (status == SX_OK)
            status = sx_writer_bytes(out, packed->data, packed->len, err);
        if (status || got == 0)
            return status;
        sx_buf_clear(packed);
        if (is_stopping(log))
            return SX_ECANCELED;
    }
}

/* PATH becomes PATH.gz or PATH.zst, with the same permissions. */
static sx_status pack_file(sx_log *log, const char *path, sx_arena *arena, sx_error *err)
{
    const char *target =
        sx_arena_printf(arena, "%s%s", path, suffix_of(log->rotate_codec).data).data;
    if (!target)
        return sx_fail_memory(err, "the name of an old file");
    sx_reader in = {.fd = -1};
    sx_replace out = {0};
    sx_buf packed;
    sx_buf_init(&packed, 0);
    sx_encoder *encoder = sx_encoder_new(log->rotate_codec, NULL, err);
    sx_status status = encoder ? sx_reader_open(&in, path, err) : SX_ENOMEM;
    if (status == SX_OK)
        status = sx_replace_open(&out, target, 0, err);
    if (status == SX_OK)
        status = pack_pieces(log, &in, encoder, &packed, &out.writer, err);
    if (status == SX_OK)
        status = sx_replace_commit(&out, err);
    else
        sx_replace_abandon(&out);
    struct stat about;
    if (status == SX_OK && in.fd >= 0 && fstat(in.fd, &about) == 0)
        (void)chmod(target, about.st_mode & 0777); /* it was 0600 till now: never too open */
    sx_reader_close(&in);
    sx_encoder_free(encoder);
    sx_buf_done(&packed);
    return status ? status : sx_file_remove(path, err);
}

/* ---- the folder ---- */

static int newest_first(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)b, *(const sx_str *)a);
}

/* Old files, newest first, as names in the log's folder. */
static sx_status list_old(const char *folder, sx_str base, sx_arena *arena, sx_str **out,
                          size_t *count, sx_error *err)
{
    sx_str *names;
    size_t all, kept = 0;
    sx_status status = sx_folder_list(folder, NAMES_MAX, arena, &names, &all, err);
    if (status)
        return status;
    for (size_t i = 0; i < all; i++)
        if (sx_log_old_of(names[i], base) != SX_LOG_NOT_OLD)
            names[kept++] = names[i];
    qsort(names, kept, sizeof(*names), newest_first);
    *out = names;
    *count = kept;
    return SX_OK;
}

static void look_after_old(sx_log *log, sx_arena *arena, sx_error *err)
{
    const char *slash = strrchr(log->path, '/');
    sx_str base = sx_str_z(slash ? slash + 1 : log->path);
    /* With its '/', as the root has no other name. */
    sx_str folder = slash ? sx_str_of(log->path, (size_t)(slash - log->path) + 1) : SX_STR("./");
    const char *folder_z = sx_arena_printf(arena, "%.*s", SX_ARG(folder)).data;
    sx_str *names;
    size_t count;
    if (!folder_z || list_old(folder_z, base, arena, &names, &count, err))
        return;
    for (size_t i = 0; i < count && !is_stopping(log); i++) {
        const char *path = sx_arena_printf(arena, "%s%.*s", folder_z, SX_ARG(names[i])).data;
        sx_status status = path ? SX_OK : sx_fail_memory(err, "the name of an old file");
        if (status)
            return;
        if (i >= log->rotate_keep)
            status = sx_file_remove(path, err);
        else if (log->rotate_codec && sx_log_old_of(names[i], base) == SX_LOG_OLD_PLAIN)
            status = pack_file(log, path, arena, err);
        if (status && status != SX_ENOTFOUND && status != SX_ECANCELED && !log->pack_complained) {
            log->pack_complained = true; /* once; the next rotation tries again */
            fprintf(stderr, "log %s: an old file stays as it is: %s\n", log->path, err->message);
        }
    }
}

static void *packer(void *arg)
{
    sx_log *log = (sx_log *)arg;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    pthread_mutex_lock(&log->pack_lock);
    while (!is_stopping(log)) {
        if (!log->pack_wanted) {
            pthread_cond_wait(&log->pack_cond, &log->pack_lock);
            continue;
        }
        log->pack_wanted = false;
        pthread_mutex_unlock(&log->pack_lock);
        sx_error err = {0};
        look_after_old(log, &arena, &err);
        sx_arena_reset(&arena);
        pthread_mutex_lock(&log->pack_lock);
    }
    pthread_mutex_unlock(&log->pack_lock);
    sx_arena_done(&arena);
    return NULL;
}

sx_status sx_log_pack_start(sx_log *log, sx_error *err)
{
    if (!log->rotate_bytes && !log->rotate_ns)
        return SX_OK;
    log->pack_wanted = true; /* what an earlier run has left */
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGPROF); /* a CPU profile sees it, too */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&log->pack_thread, NULL, packer, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return sx_fail_os(err, failed, "no thread for the log's old files");
    log->pack_running = true;
    return SX_OK;
}

void sx_log_pack_stop(sx_log *log)
{
    if (!log->pack_running)
        return;
    __atomic_store_n(&log->pack_stopping, 1, __ATOMIC_RELEASE);
    sx_log_pack_wake(log);
    pthread_join(log->pack_thread, NULL);
    log->pack_running = false;
}

void sx_log_pack_wake(sx_log *log)
{
    pthread_mutex_lock(&log->pack_lock);
    log->pack_wanted = true;
    pthread_cond_signal(&log->pack_cond);
    pthread_mutex_unlock(&log->pack_lock);
}
