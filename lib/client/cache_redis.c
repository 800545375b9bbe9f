/* cache_redis.c - Redis as a tier of a cache.
 *
 * The client belongs to a loop, callers are anywhere: each call is a job that is posted to the loop and
 * becomes one command there. Redis does the commands of one connection in order, and jobs are posted in
 * order, which is what a tier has to promise. A job carries the caller's context, so that the command
 * is a child of the request's span. */
#include <sextant/cache_stores.h>

#include <string.h>

#include <sextant/mem.h>

typedef struct redis_tier {
    sx_cache_tier tier;
    sx_redis *redis; /* of the loop; not used once is_closed */
    sx_loop *loop;
    uint32_t holders; /* atomic: the owner, and each job */
    bool is_closed;   /* atomic */
} redis_tier;

typedef enum job_kind { JOB_GET, JOB_SET, JOB_REMOVE } job_kind;

typedef struct redis_job {
    redis_tier *of;
    job_kind kind;
    uint32_t ms; /* JOB_GET: the most it may take; JOB_SET: time to live */
    sx_cache_tier_fn *done;
    void *ctx;
    sx_context context;
    char *context_room;
    size_t key_len, record_len;
    char bytes[]; /* the key, then the record */
} redis_job;

static void drop(redis_tier *t)
{
    if (__atomic_sub_fetch(&t->holders, 1, __ATOMIC_ACQ_REL) == 0)
        sx_free(t);
}

static void end_job(redis_job *job, sx_status status, sx_str record)
{
    redis_tier *t = job->of;
    job->done(job->ctx, status, record);
    sx_free(job->context_room);
    sx_free(job);
    drop(t);
}

static void on_reply(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
{
    (void)err;
    redis_job *job = ctx;
    sx_str record = SX_STR("");
    if (status == SX_OK && job->kind == JOB_GET) {
        if (reply->kind == SX_REDIS_STRING)
            record = reply->str;
        else
            status = reply->kind == SX_REDIS_NIL ? SX_ENOTFOUND : SX_EPROTOCOL;
    }
    end_job(job, status, record);
}

static sx_status send_job(redis_job *job)
{
    sx_redis *redis = job->of->redis;
    sx_str key = sx_str_of(job->bytes, job->key_len);
    sx_str record = sx_str_of(job->bytes + job->key_len, job->record_len);
    switch (job->kind) {
    case JOB_SET:
        return sx_redis_set(redis, key, record, job->ms, on_reply, job, NULL, NULL);
    case JOB_REMOVE:
        return sx_redis_delete(redis, key, on_reply, job, NULL, NULL);
    default: {
        sx_str words[] = {SX_STR("GET"), key};
        sx_redis_command get = {.words = words, .count = 2, .ms_max = job->ms};
        return sx_redis_send(redis, &get, on_reply, job, NULL, NULL);
    }
    }
}

static void run_job(sx_loop *loop, void *arg)
{
    (void)loop;
    redis_job *job = arg;
    sx_status status = SX_ECANCELED;
    if (!__atomic_load_n(&job->of->is_closed, __ATOMIC_ACQUIRE)) {
        const sx_context *outer = sx_context_enter(&job->context);
        status = send_job(job);
        sx_context_leave(outer);
    }
    if (status != SX_OK)
        end_job(job, status, SX_STR(""));
}

/* What a job is made from; everything is copied. */
typedef struct redis_wish {
    job_kind kind;
    uint32_t ms;
    sx_str key, record;
    sx_cache_tier_fn *done;
    void *ctx;
} redis_wish;

static void post(sx_cache_tier *tier, const redis_wish *wish)
{
    redis_tier *t = (redis_tier *)tier;
    redis_job *job = sx_alloc(sizeof(*job) + wish->key.len + wish->record.len);
    if (!job) {
        wish->done(wish->ctx, SX_ENOMEM, SX_STR(""));
        return;
    }
    *job = (redis_job){.of = t,
                       .kind = wish->kind,
                       .ms = wish->ms,
                       .done = wish->done,
                       .ctx = wish->ctx,
                       .key_len = wish->key.len,
                       .record_len = wish->record.len};
    if (wish->key.len)
        memcpy(job->bytes, wish->key.data, wish->key.len);
    if (wish->record.len)
        memcpy(job->bytes + wish->key.len, wish->record.data, wish->record.len);
    /* Without memory the command is merely a child of nothing. A write is not the request's: it goes
     * on after it, so its deadline does not count. */
    (void)sx_context_keep(sx_context_current(), &job->context, &job->context_room);
    if (wish->kind != JOB_GET)
        job->context.deadline_mono_ns = 0;
    __atomic_add_fetch(&t->holders, 1, __ATOMIC_RELAXED);
    if (sx_loop_post(t->loop, run_job, job, NULL) != SX_OK)
        end_job(job, SX_ENOMEM, SX_STR(""));
}

static void redis_get(sx_cache_tier *tier, sx_str key, uint32_t ms_max, sx_cache_tier_fn *done,
                      void *ctx)
{
    post(tier, &(redis_wish){.kind = JOB_GET, .ms = ms_max, .key = key, .done = done, .ctx = ctx});
}

static void redis_put(sx_cache_tier *tier, sx_str key, sx_str record, uint32_t ttl_ms,
                      sx_cache_tier_fn *done, void *ctx)
{
    post(
        tier,
        &(redis_wish){
            .kind = JOB_SET, .ms = ttl_ms, .key = key, .record = record, .done = done, .ctx = ctx});
}

static void redis_remove(sx_cache_tier *tier, sx_str key, sx_cache_tier_fn *done, void *ctx)
{
    post(tier, &(redis_wish){.kind = JOB_REMOVE, .key = key, .done = done, .ctx = ctx});
}

/* Commands under way are ended by their answers, or by the client when it is freed. */
static void redis_free(sx_cache_tier *tier)
{
    redis_tier *t = (redis_tier *)tier;
    __atomic_store_n(&t->is_closed, true, __ATOMIC_RELEASE);
    drop(t);
}

sx_status sx_cache_redis_tier_new(sx_redis *redis, const char *name, sx_cache_tier **out,
                                  sx_error *err)
{
    redis_tier *t = sx_alloc(sizeof(*t));
    if (!t)
        return sx_fail_memory(err, "a cache tier");
    *t = (redis_tier){.tier = {.name = name ? name : "redis",
                               .get = redis_get,
                               .set = redis_put,
                               .remove = redis_remove,
                               .free = redis_free},
                      .redis = redis,
                      .loop = sx_redis_loop(redis),
                      .holders = 1};
    *out = &t->tier;
    return SX_OK;
}
