/* cache_sqlite.c - one file as a tier of a cache.
 *
 * Two lanes, each a bounded queue and a thread: gets, one after the other (each some tens of
 * microseconds where the file is in the page cache), and writes, taken up to 64 at a time into one
 * transaction, which costs about as much as one alone. Both use the same sx_sqlite, whose reader never
 * waits for its writer.
 *
 *     entry(id, key, expires_ms, record)    id rises with each write: the lowest is the oldest
 *
 * Freeing it writes what is queued, unless the disk fails.
 *
 * Damage that any call finds closes the file, moves it aside and begins anew: what is lost is a cache. */
#include <sextant/cache_stores.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <sextant/file.h>
#include <sextant/list.h>
#include <sextant/mem.h>

enum {
    QUEUE_DEFAULT = 4096,
    WRITE_DEFAULT_MS = 5000,
    BATCH_MAX = 64,
    EXPIRED_A_BATCH = 256, /* removed with each batch, so that the file stays young */
    OLDEST_A_STEP = 64,
    STEPS_A_BATCH = 256, /* of such removals: a batch is bounded */
    VALUE_PART = 8,      /* a record may take an eighth of the file */
    REOPEN_MS = 5000,    /* between tries, once opening has failed */
    ARENA_CHUNK = 64 << 10,
    PATH_BYTES = 4096,
};
static const uint64_t BYTES_DEFAULT = 256 << 20;
static const size_t ARENA_MAX = (size_t)1 << 30;

static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE,"
    " expires_ms INTEGER NOT NULL, record BLOB NOT NULL);"
    "CREATE INDEX IF NOT EXISTS entry_expires ON entry (expires_ms)";

typedef enum job_kind { JOB_GET, JOB_SET, JOB_REMOVE } job_kind;

typedef struct sqlite_job {
    sx_list link;
    job_kind kind;
    int64_t due_ms;     /* JOB_GET: monotonic; later it is not worth an answer */
    int64_t expires_ms; /* JOB_SET: wall */
    sx_cache_tier_fn *done;
    void *ctx;
    size_t key_len, record_len;
    char bytes[]; /* the key, then the record */
} sqlite_job;

typedef struct sqlite_tier sqlite_tier;

typedef struct job_lane {
    sqlite_tier *of;
    pthread_mutex_t lock;
    pthread_cond_t more;
    sx_list jobs;
    uint32_t count;
    bool is_stopping;
    bool has_thread;
    pthread_t thread;
} job_lane;

typedef enum lane_index { READS, WRITES, LANES } lane_index;

struct sqlite_tier {
    sx_cache_tier tier;
    sx_kit kit;
    const sx_clock *clock;
    sx_logger *logger; /* NULL: none */
    char *path;
    uint64_t bytes_max;
    uint32_t queue_max, write_ms_max;
    pthread_rwlock_t file_lock; /* written by who opens and closes `db`, read by who uses it */
    sx_sqlite *db;              /* NULL: could not be opened; tried again now and then */
    uint64_t opened;            /* times: who found damage knows whether it was this file */
    int64_t retry_ms;           /* monotonic: not before that */
    job_lane lanes[LANES];
};

/* ---- the file ---- */

static sx_status open_file(sqlite_tier *t, sx_error *err)
{
    sx_kit kit = t->kit;
    kit.tracer = NULL; /* batches belong to no request */
    return sx_sqlite_open(
        &kit,
        &(sx_sqlite_options){.path = t->path,
                             .schema = SCHEMA,
                             .readers = 1,
                             .client = {.name = t->tier.name,
                                        .breaker_off = true, /* the tiers have one */
                                        .health_informative = true}},
        &t->db, err);
}

/* Moves the file and what SQLite keeps beside it out of the way. A damaged one from before goes. */
static sx_status move_aside(sqlite_tier *t, sx_error *err)
{
    static const char *const BESIDE[] = {"-wal", "-shm"};
    char name[PATH_BYTES];
    for (size_t i = 0; i < SX_COUNT_OF(BESIDE); i++) {
        snprintf(name, sizeof(name), "%s%s", t->path, BESIDE[i]);
        sx_status status = sx_file_remove(name, err);
        if (status != SX_OK && status != SX_ENOTFOUND)
            return status;
    }
    snprintf(name, sizeof(name), "%s.damaged", t->path);
    sx_status status = sx_file_rename(t->path, name, err);
    return status == SX_ENOTFOUND ? SX_OK : status;
}

/* Opens the file; if it is damaged, a new one. The lock is held for writing. */
static sx_status open_or_renew(sqlite_tier *t, sx_error *err)
{
    sx_error first = {0};
    t->opened++;
    sx_status status = open_file(t, &first);
    if (status == SX_ECORRUPT || status == SX_EFORMAT) {
        status = move_aside(t, err);
        if (status == SX_OK)
            status = open_file(t, err);
        if (t->logger)
            SX_LOG_WARN(
                t->logger, NULL,
                "the cache's file is damaged; it was renamed to PATH.damaged and begun anew",
                sx_field_z("path", t->path), sx_field_error(&first));
    } else if (status != SX_OK && err) {
        *err = first;
    }
    if (status != SX_OK)
        t->db = NULL;
    return status;
}

/* Some call on the file opened as number `opened` found it damaged. */
static void renew(sqlite_tier *t, uint64_t opened)
{
    sx_error err = {0};
    pthread_rwlock_wrlock(&t->file_lock);
    if (t->opened == opened) {
        sx_sqlite_close(t->db);
        t->db = NULL;
        sx_status status = move_aside(t, &err);
        if (t->logger)
            SX_LOG_WARN(
                t->logger, NULL,
                "the cache's file is damaged; it was renamed to PATH.damaged and begun anew",
                sx_field_z("path", t->path));
        if (status == SX_OK)
            status = open_or_renew(t, &err);
        if (status != SX_OK && t->logger)
            SX_LOG_ERROR(t->logger, NULL, "the cache's file cannot be opened",
                         sx_field_z("path", t->path), sx_field_error(&err));
        t->retry_ms = sx_clock_mono_ms(t->clock) + REOPEN_MS;
    }
    pthread_rwlock_unlock(&t->file_lock);
}

/* Once opening has failed: tries it again, from time to time. */
static void try_again(sqlite_tier *t)
{
    sx_error err = {0};
    int64_t now_ms = sx_clock_mono_ms(t->clock);
    pthread_rwlock_wrlock(&t->file_lock);
    if (!t->db && now_ms >= t->retry_ms) {
        t->retry_ms = now_ms + REOPEN_MS;
        (void)open_or_renew(t, &err); /* was logged when it failed first */
    }
    pthread_rwlock_unlock(&t->file_lock);
}

/* ---- gets ---- */

static sx_status read_record(sqlite_tier *t, const sqlite_job *job, sx_arena *arena, sx_str *record)
{
    int64_t left_ms = job->due_ms - sx_clock_mono_ms(t->clock);
    if (left_ms <= 0)
        return SX_ETIMEOUT;
    sx_sqlite_value params[] = {sx_sqlite_blob(sx_str_of(job->bytes, job->key_len)),
                                sx_sqlite_i64(sx_clock_ms(t->clock))};
    sx_sqlite_query query = {
        .sql = SX_STR("SELECT record FROM entry WHERE key = ?1 AND expires_ms > ?2"),
        .params = params,
        .param_count = 2,
        .side = SX_SQLITE_READ,
        .ms_max = (uint32_t)left_ms};
    sx_sqlite_result result = {0};
    sx_status status = sx_sqlite_run(t->db, &query, arena, &result, NULL);
    if (status != SX_OK)
        return status;
    if (result.row_count == 0)
        return SX_ENOTFOUND;
    *record = sx_sqlite_at(&result, 0, 0)->str;
    return SX_OK;
}

static void do_get(sqlite_tier *t, sqlite_job *job, sx_arena *arena)
{
    sx_str record = SX_STR("");
    sx_status status = SX_ECLOSED;
    pthread_rwlock_rdlock(&t->file_lock);
    uint64_t opened = t->opened;
    bool is_open = t->db != NULL;
    if (is_open)
        status = read_record(t, job, arena, &record);
    pthread_rwlock_unlock(&t->file_lock);
    if (status == SX_ECORRUPT)
        renew(t, opened);
    else if (!is_open)
        try_again(t);
    job->done(job->ctx, status, record);
    sx_free(job);
}

/* ---- writes ---- */

typedef struct batch {
    sqlite_tier *of;
    sx_list jobs;
} batch;

static sx_status run_one(sx_sqlite_tx *tx, sx_str sql, const sx_sqlite_value *params, size_t count,
                         sx_sqlite_result *result, sx_arena *arena, sx_error *err)
{
    sx_sqlite_query query = {.sql = sql, .params = params, .param_count = count};
    return sx_sqlite_tx_run(tx, &query, arena, result, err);
}

static sx_status write_job(sqlite_tier *t, sx_sqlite_tx *tx, const sqlite_job *job, sx_error *err)
{
    sx_sqlite_value params[] = {
        sx_sqlite_blob(sx_str_of(job->bytes, job->key_len)), sx_sqlite_i64(job->expires_ms),
        sx_sqlite_blob(sx_str_of(job->bytes + job->key_len, job->record_len))};
    /* One that is too big for the file still ends the one before it. */
    if (job->kind == JOB_SET && job->record_len <= t->bytes_max / VALUE_PART)
        return run_one(tx,
                       SX_STR("INSERT OR REPLACE INTO entry (key, expires_ms, record)"
                              " VALUES (?1, ?2, ?3)"),
                       params, 3, NULL, NULL, err);
    return run_one(tx, SX_STR("DELETE FROM entry WHERE key = ?1"), params, 1, NULL, NULL, err);
}

/* Bytes of the pages that are in use; pages once freed are used again before the file grows. */
static sx_status used_bytes(sx_sqlite_tx *tx, sx_arena *arena, uint64_t *used, sx_error *err)
{
    sx_sqlite_result result = {0};
    sx_status status =
        run_one(tx,
                SX_STR("SELECT (page_count - freelist_count) * page_size"
                       " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"),
                NULL, 0, &result, arena, err);
    if (status == SX_OK)
        *used = result.row_count ? (uint64_t)sx_sqlite_at(&result, 0, 0)->i64 : 0;
    return status;
}

/* Removes some of what has expired, then the oldest while there is too much. */
static sx_status trim(sqlite_tier *t, sx_sqlite_tx *tx, sx_arena *arena, sx_error *err)
{
    sx_sqlite_value expired[] = {sx_sqlite_i64(sx_clock_ms(t->clock)),
                                 sx_sqlite_i64(EXPIRED_A_BATCH)};
    sx_sqlite_value oldest = sx_sqlite_i64(OLDEST_A_STEP);
    sx_status status = run_one(tx,
                               SX_STR("DELETE FROM entry WHERE id IN (SELECT id FROM entry"
                                      " WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2)"),
                               expired, 2, NULL, NULL, err);
    for (int step = 0; step < STEPS_A_BATCH && status == SX_OK; step++) {
        uint64_t used = 0;
        status = used_bytes(tx, arena, &used, err);
        if (status != SX_OK || used <= t->bytes_max)
            break;
        status = run_one(tx,
                         SX_STR("DELETE FROM entry WHERE id IN (SELECT id FROM entry"
                                " ORDER BY id LIMIT ?1)"),
                         &oldest, 1, NULL, NULL, err);
    }
    return status;
}

static sx_status write_batch(sx_sqlite_tx *tx, void *arg, sx_error *err)
{
    batch *b = arg;
    sx_arena arena;
    sx_arena_init(&arena, 0, ARENA_MAX);
    sx_status status = SX_OK;
    sx_list *it;
    SX_LIST_EACH(it, &b->jobs)
    {
        status = write_job(b->of, tx, SX_CONTAINER_OF(it, sqlite_job, link), err);
        if (status != SX_OK)
            break;
    }
    if (status == SX_OK)
        status = trim(b->of, tx, &arena, err);
    sx_arena_done(&arena);
    return status;
}

static sx_status do_writes(sqlite_tier *t, batch *b)
{
    sx_status status = SX_ECLOSED;
    pthread_rwlock_rdlock(&t->file_lock);
    uint64_t opened = t->opened;
    bool is_open = t->db != NULL;
    if (is_open)
        status = sx_sqlite_transact(t->db, t->write_ms_max, write_batch, b, NULL);
    pthread_rwlock_unlock(&t->file_lock);
    if (status == SX_ECORRUPT)
        renew(t, opened);
    else if (!is_open)
        try_again(t);
    sx_list *link;
    while ((link = sx_list_pop_front(&b->jobs))) {
        sqlite_job *job = SX_CONTAINER_OF(link, sqlite_job, link);
        job->done(job->ctx, status, SX_STR(""));
        sx_free(job);
    }
    return status;
}

/* ---- lanes ---- */

/* Waits for jobs and takes up to `most`. False when it is time to stop: for gets at once, for writes
 * once all are taken. */
static bool take_jobs(job_lane *lane, size_t most, sx_list *into)
{
    pthread_mutex_lock(&lane->lock);
    while (lane->count == 0 && !lane->is_stopping)
        pthread_cond_wait(&lane->more, &lane->lock);
    bool is_writing = lane == &lane->of->lanes[WRITES];
    bool goes_on = !lane->is_stopping || (is_writing && lane->count);
    for (size_t i = 0; goes_on && i < most && lane->count; i++) {
        sx_list_push_back(into, sx_list_pop_front(&lane->jobs));
        lane->count--;
    }
    pthread_mutex_unlock(&lane->lock);
    return goes_on;
}

static void *read_thread(void *arg)
{
    job_lane *lane = arg;
    sx_list one;
    sx_arena arena;
    sx_list_init(&one);
    sx_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    sx_telemetry_thread_join();
    while (take_jobs(lane, 1, &one)) {
        do_get(lane->of, SX_CONTAINER_OF(sx_list_pop_front(&one), sqlite_job, link), &arena);
        sx_arena_reset(&arena);
    }
    sx_telemetry_thread_leave();
    sx_arena_done(&arena);
    return NULL;
}

static bool is_stopping(job_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    bool stopping = lane->is_stopping;
    pthread_mutex_unlock(&lane->lock);
    return stopping;
}

static void *write_thread(void *arg)
{
    job_lane *lane = arg;
    batch b = {.of = lane->of};
    sx_list_init(&b.jobs);
    sx_telemetry_thread_join();
    while (take_jobs(lane, BATCH_MAX, &b.jobs)) {
        sx_status status = do_writes(lane->of, &b);
        if (status != SX_OK && is_stopping(lane))
            break; /* a disk that fails does not hold up the end */
    }
    sx_telemetry_thread_leave();
    return NULL;
}

/* Takes a job over; refused where the line is full. */
static void submit(job_lane *lane, sqlite_job *job)
{
    pthread_mutex_lock(&lane->lock);
    sx_status status = lane->is_stopping ? SX_ECANCELED : SX_OK;
    if (status == SX_OK && lane->count >= lane->of->queue_max)
        status = SX_REFUSED;
    if (status == SX_OK) {
        sx_list_push_back(&lane->jobs, &job->link);
        lane->count++;
        pthread_cond_signal(&lane->more);
    }
    pthread_mutex_unlock(&lane->lock);
    if (status != SX_OK) {
        job->done(job->ctx, status, SX_STR(""));
        sx_free(job);
    }
}

static void submit_new(sqlite_tier *t, const sqlite_job *like, sx_str key, sx_str record)
{
    sqlite_job *job = sx_alloc(sizeof(*job) + key.len + record.len);
    if (!job) {
        like->done(like->ctx, SX_ENOMEM, SX_STR(""));
        return;
    }
    *job = *like;
    sx_list_init(&job->link);
    job->key_len = key.len;
    job->record_len = record.len;
    if (key.len)
        memcpy(job->bytes, key.data, key.len);
    if (record.len)
        memcpy(job->bytes + key.len, record.data, record.len);
    submit(&t->lanes[job->kind == JOB_GET ? READS : WRITES], job);
}

/* ---- the tier ---- */

static void sqlite_get(sx_cache_tier *tier, sx_str key, uint32_t ms_max, sx_cache_tier_fn *done,
                       void *ctx)
{
    sqlite_tier *t = (sqlite_tier *)tier;
    sqlite_job like = {
        .kind = JOB_GET, .due_ms = sx_clock_mono_ms(t->clock) + ms_max, .done = done, .ctx = ctx};
    submit_new(t, &like, key, SX_STR(""));
}

static void sqlite_set(sx_cache_tier *tier, sx_str key, sx_str record, uint32_t ttl_ms,
                       sx_cache_tier_fn *done, void *ctx)
{
    sqlite_tier *t = (sqlite_tier *)tier;
    sqlite_job like = {
        .kind = JOB_SET, .expires_ms = sx_clock_ms(t->clock) + ttl_ms, .done = done, .ctx = ctx};
    submit_new(t, &like, key, record);
}

static void sqlite_remove(sx_cache_tier *tier, sx_str key, sx_cache_tier_fn *done, void *ctx)
{
    sqlite_job like = {.kind = JOB_REMOVE, .done = done, .ctx = ctx};
    submit_new((sqlite_tier *)tier, &like, key, SX_STR(""));
}

static void stop_lane(job_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->is_stopping = true;
    pthread_cond_broadcast(&lane->more);
    pthread_mutex_unlock(&lane->lock);
    if (lane->has_thread)
        pthread_join(lane->thread, NULL);
    sx_list *link;
    while ((link = sx_list_pop_front(&lane->jobs))) {
        sqlite_job *job = SX_CONTAINER_OF(link, sqlite_job, link);
        job->done(job->ctx, SX_ECANCELED, SX_STR(""));
        sx_free(job);
    }
    pthread_cond_destroy(&lane->more);
    pthread_mutex_destroy(&lane->lock);
}

static void sqlite_free(sx_cache_tier *tier)
{
    sqlite_tier *t = (sqlite_tier *)tier;
    for (size_t i = 0; i < LANES; i++)
        stop_lane(&t->lanes[i]);
    sx_sqlite_close(t->db);
    pthread_rwlock_destroy(&t->file_lock);
    sx_free(t->path);
    sx_free(t);
}

static sx_status start_lanes(sqlite_tier *t, sx_error *err)
{
    static void *(*const RUNS[LANES])(void *) = {read_thread, write_thread};
    sigset_t all, before;
    sigfillset(&all);         /* they take no signals: those are the main thread's */
    sigdelset(&all, SIGPROF); /* but for a CPU profile's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (size_t i = 0; i < LANES && !failed; i++) {
        job_lane *lane = &t->lanes[i];
        failed = pthread_create(&lane->thread, NULL, RUNS[i], lane);
        lane->has_thread = !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? sx_fail_os(err, failed, "cannot start a thread of the cache's file") : SX_OK;
}

sx_status sx_cache_sqlite_tier_new(const sx_kit *kit, const sx_cache_sqlite_options *o,
                                   sx_cache_tier **out, sx_error *err)
{
    sx_str path = sx_str_z(o->path);
    if (path.len == 0 || path.len > PATH_BYTES - sizeof(".damaged"))
        return sx_fail(err, SX_EINVAL,
                       "cache: the path of an SQLite tier has %zu bytes; write 1 to %zu", path.len,
                       PATH_BYTES - sizeof(".damaged"));
    sqlite_tier *t = sx_calloc(1, sizeof(*t));
    char *copy = sx_alloc(path.len + 1);
    if (!t || !copy) {
        sx_free(t);
        sx_free(copy);
        return sx_fail_memory(err, "a cache tier");
    }
    memcpy(copy, path.data, path.len);
    copy[path.len] = '\0';
    t->tier = (sx_cache_tier){.name = o->name ? o->name : "sqlite",
                              .get = sqlite_get,
                              .set = sqlite_set,
                              .remove = sqlite_remove,
                              .free = sqlite_free};
    if (kit)
        t->kit = *kit;
    t->clock = t->kit.clock ? t->kit.clock : sx_clock_system();
    t->logger = t->kit.log ? sx_log_logger(t->kit.log, "cache") : NULL;
    t->path = copy;
    t->bytes_max = o->bytes_max ? o->bytes_max : BYTES_DEFAULT;
    t->queue_max = o->queue_max ? o->queue_max : QUEUE_DEFAULT;
    t->write_ms_max = o->write_ms_max ? o->write_ms_max : WRITE_DEFAULT_MS;
    pthread_rwlock_init(&t->file_lock, NULL);
    for (size_t i = 0; i < LANES; i++) {
        t->lanes[i].of = t;
        pthread_mutex_init(&t->lanes[i].lock, NULL);
        pthread_cond_init(&t->lanes[i].more, NULL);
        sx_list_init(&t->lanes[i].jobs);
    }
    sx_status status = open_or_renew(t, err);
    if (status == SX_OK)
        status = start_lanes(t, err);
    if (status != SX_OK) {
        sqlite_free(&t->tier);
        return status;
    }
    *out = &t->tier;
    return SX_OK;
}
