/* redis_reply.c - replies out of a stream of bytes, by hiredis's reader (redis_internal.h).
 *
 * The reader finds the items; what they become is ours: nodes in an arena that is reset for each reply,
 * an array's items side by side. What a server says about lengths is believed only as far as the
 * limits go: an array's memory is taken when its head is read. */
#include "client/redis_internal.h"

/* Where the item of a task goes: into its array, or the root. NULL: refused, and why. */
static sx_redis_reply *place(const redisReadTask *task, redis_reader *r, sx_redis_kind kind)
{
    sx_redis_reply *node;
    if (task->parent) {
        const sx_redis_reply *array = task->parent->obj;
        node = (sx_redis_reply *)&array->items[task->idx];
    } else {
        node = sx_arena_calloc(&r->arena, 1, sizeof(*node));
    }
    if (!node)
        r->why = SX_ENOMEM;
    else
        node->kind = kind;
    return node;
}

static void *on_string(const redisReadTask *task, char *text, size_t len)
{
    redis_reader *r = task->privdata;
    sx_redis_kind kind = task->type == REDIS_REPLY_ERROR    ? SX_REDIS_ERROR
                         : task->type == REDIS_REPLY_STATUS ? SX_REDIS_STATUS
                                                            : SX_REDIS_STRING;
    sx_redis_reply *node = place(task, r, kind);
    if (!node)
        return NULL;
    node->str = sx_arena_copy(&r->arena, sx_str_of(text, len));
    if (!node->str.data) {
        r->why = SX_ENOMEM;
        return NULL;
    }
    return node;
}

static void *on_array(const redisReadTask *task, int elements)
{
    redis_reader *r = task->privdata;
    sx_redis_reply *node = place(task, r, SX_REDIS_ARRAY);
    if (!node)
        return NULL;
    if (elements < 0 || (uint32_t)elements > r->items_max - r->items) {
        r->why = SX_ELIMIT;
        return NULL;
    }
    r->items += (uint32_t)elements;
    node->count = (size_t)elements;
    node->items = sx_arena_calloc(&r->arena, (size_t)elements + 1, sizeof(*node));
    if (!node->items) {
        r->why = SX_ENOMEM;
        return NULL;
    }
    return node;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    sx_redis_reply *node = place(task, task->privdata, SX_REDIS_INTEGER);
    if (node)
        node->integer = value;
    return node;
}

static void *on_nil(const redisReadTask *task)
{
    return place(task, task->privdata, SX_REDIS_NIL);
}

static void on_free(void *node)
{
    (void)node; /* the arena's */
}

sx_status redis_reader_init(redis_reader *r, size_t bytes_max, uint32_t items_max, sx_error *err)
{
    /* hiredis does not say const, but does not write to it either. */
    static redisReplyObjectFunctions functions = {on_string, on_array, on_integer, on_nil, on_free};
    memset(r, 0, sizeof(*r));
    r->bytes_max = bytes_max;
    r->items_max = items_max;
    sx_arena_init(&r->arena, 0, 0);
    r->reader = redisReaderCreateWithFunctions(&functions);
    if (!r->reader)
        return sx_fail_memory(err, "a reader of replies");
    r->reader->privdata = r;
    return SX_OK;
}

void redis_reader_done(redis_reader *r)
{
    if (r->reader)
        redisReaderFree(r->reader);
    sx_arena_done(&r->arena);
    r->reader = NULL;
}

static sx_status fail(const redis_reader *r, sx_error *err)
{
    const redisReader *reader = r->reader;
    if (r->why == SX_ELIMIT)
        return sx_fail(err, SX_ELIMIT, "a reply has more than %u items", r->items_max);
    if (r->why == SX_ENOMEM || reader->err == REDIS_ERR_OOM)
        return sx_fail_memory(err, "a reply");
    return sx_fail(err, SX_EPROTOCOL, "what came is no Redis protocol: %.100s", reader->errstr);
}

sx_status redis_reader_feed(redis_reader *r, sx_str bytes, sx_error *err)
{
    const redisReader *reader = r->reader;
    if (reader->len - reader->pos + bytes.len > r->bytes_max)
        return sx_fail(err, SX_ELIMIT, "a reply has more than %zu bytes", r->bytes_max);
    return redisReaderFeed(r->reader, bytes.data, bytes.len) == REDIS_OK ? SX_OK : fail(r, err);
}

sx_status redis_reader_next(redis_reader *r, const sx_redis_reply **out, sx_error *err)
{
    void *reply = NULL;
    if (r->reader->ridx < 0) { /* none is under way */
        sx_arena_reset(&r->arena);
        r->items = 0;
    }
    if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return fail(r, err);
    *out = reply;
    return reply ? SX_OK : SX_AGAIN;
}
