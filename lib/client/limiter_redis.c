/* limiter_redis.c - the shared store of rate limits, in Redis (redis.h, limiter.h).
 *
 * The script computes what limiter.h asks of a store, in microseconds of Redis's clock, so that it does
 * not matter whose clock is wrong. All rules of a key are one hash and one call: they agree or nothing
 * is written. The hash expires when all rules are whole again, so the keys that Redis holds are those
 * in use. */
#include "client/redis_internal.h"

#include <pthread.h>
#include <stdio.h>

#include <sextant/mem.h>

enum { PREFIX_BYTES_MAX = 100, NAME_BYTES_MAX = 256, TIMEOUT_MS = 20, ANSWER_ITEMS = 5 };

/* ARGV: cost, then kind, count, period and burst of each rule. Gives back: allowed, the rule that the
 * answer is of, remaining, microseconds until it is whole, microseconds to wait (-1: never). */
static const char SCRIPT[] =
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local cost, rules = tonumber(ARGV[1]), (#ARGV - 1) / 4\n"
    "local old, state, fields = {}, {}, {}\n"
    "for i = 1, rules do\n"
    "  for _, f in ipairs({'t', 's', 'c', 'p'}) do fields[#fields + 1] = f .. i end\n"
    "end\n"
    "local held = redis.call('HMGET', KEYS[1], unpack(fields))\n"
    "local allowed, refused_by, longest = true, 0, -2\n"
    "for i = 1, rules do\n"
    "  local a = 4 * i - 2\n"
    "  local count, period, burst = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])\n"
    "  local r = {kind = ARGV[a], count = count, period = period}\n"
    "  local h = 4 * i - 4\n"
    "  local wait\n"
    "  if r.kind == '0' then\n"
    "    r.step = period / count\n"
    "    r.room = r.step * burst\n"
    "    r.t = math.max(tonumber(held[h + 1] or 0), now)\n"
    "    r.next = r.t + cost * r.step\n"
    "    if r.next > now + r.room then\n"
    "      wait = cost > burst and -1 or r.next - r.room - now\n"
    "    end\n"
    "  else\n"
    "    r.s, r.c, r.p = tonumber(held[h + 2] or 0), tonumber(held[h + 3] or 0), tonumber(held[h + 4] or 0)\n"
    "    if now - r.s >= 2 * period then\n"
    "      r.s, r.c, r.p = now, 0, 0\n"
    "    elseif now - r.s >= period then\n"
    "      r.s, r.p, r.c = r.s + period, r.c, 0\n"
    "    end\n"
    "    local used = r.c + r.p * (1 - (now - r.s) / period)\n"
    "    if used + cost > count then\n"
    "      if cost > count then\n"
    "        wait = -1\n"
    "      elseif r.c + cost <= count then\n"
    "        wait = r.s + period * (1 - (count - r.c - cost) / r.p) - now\n"
    "      else\n"
    "        wait = r.s + period + period * (1 - (count - cost) / r.c) - now\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  if wait then\n"
    "    allowed = false\n"
    "    if longest ~= -1 and (wait == -1 or wait > longest) then\n"
    "      refused_by, longest = i, wait\n"
    "    end\n"
    "  end\n"
    "  state[i] = r\n"
    "end\n"
    "local least, answer, whole_last = nil, refused_by, now\n"
    "local write = {}\n"
    "for i = 1, rules do\n"
    "  local r = state[i]\n"
    "  if r.kind == '0' then\n"
    "    if allowed then r.t = r.next end\n"
    "    r.left = math.floor((now + r.room - r.t) / r.step + 1e-6)\n"
    "    r.whole = r.t\n"
    "    write[#write + 1] = 't' .. i\n"
    "    write[#write + 1] = string.format('%.3f', r.t)\n"
    "  else\n"
    "    if allowed then r.c = r.c + cost end\n"
    "    r.left = math.floor(r.count - (r.c + r.p * (1 - (now - r.s) / r.period)) + 1e-6)\n"
    "    r.whole = r.c > 0 and r.s + 2 * r.period or r.p > 0 and r.s + r.period or now\n"
    "    for f, v in pairs({s = r.s, c = r.c, p = r.p}) do\n"
    "      write[#write + 1] = f .. i\n"
    "      write[#write + 1] = string.format('%.3f', v)\n"
    "    end\n"
    "  end\n"
    "  if r.left < 0 then r.left = 0 end\n"
    "  if allowed and (not least or r.left < least) then least, answer = r.left, i end\n"
    "  if r.whole > whole_last then whole_last = r.whole end\n"
    "end\n"
    "if allowed then\n"
    "  redis.call('HSET', KEYS[1], unpack(write))\n"
    "  redis.call('PEXPIRE', KEYS[1], math.ceil((whole_last - now) / 1000) + 1)\n"
    "end\n"
    "local r = state[answer]\n"
    "return {allowed and 1 or 0, answer - 1, r.left, math.ceil(r.whole - now),\n"
    "        allowed and 0 or longest == -1 and -1 or math.ceil(longest)}\n";

/* A thread that joined. */
typedef struct joined {
    sx_redis
        *redis; /* atomic; NULL: free. Read by its own thread alone, but for finding a free one */
    pthread_t thread; /* atomic; an integer on Linux */
} joined;

struct sx_redis_limiter {
    sx_limiter_share share;
    sx_redis_script script;
    pthread_mutex_t lock; /* of joining and leaving */
    joined threads[SX_THREAD_SHARDS_MAX];
    size_t prefix_len;
    char prefix[PREFIX_BYTES_MAX + 1];
};

/* One question; the wait's share_state. */
typedef struct question {
    sx_limiter_wait *wait; /* NULL: it was cancelled */
    sx_redis_call *call;
    sx_rate rates[SX_RATES_MAX];
    size_t count;
} question;

/* The client of the calling thread; NULL: it has not joined. A thread believes only what itself has
 * written: `thread` is set before `redis`, and the pair is not changed until that thread leaves. */
static sx_redis *client_of(sx_redis_limiter *l)
{
    pthread_t self = pthread_self();
    for (size_t i = 0; i < SX_THREAD_SHARDS_MAX; i++) {
        sx_redis *redis = __atomic_load_n(&l->threads[i].redis, __ATOMIC_ACQUIRE);
        if (redis && __atomic_load_n(&l->threads[i].thread, __ATOMIC_RELAXED) == self)
            return redis;
    }
    return NULL;
}

/* ---- answers ---- */

static uint32_t bounded(int64_t value)
{
    return value < 0 ? 0 : value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static bool read_answer(const question *q, const sx_redis_reply *reply, sx_limit_answer *out)
{
    int64_t n[ANSWER_ITEMS];
    if (reply->kind != SX_REDIS_ARRAY || reply->count != ANSWER_ITEMS)
        return false;
    for (size_t i = 0; i < ANSWER_ITEMS; i++) {
        if (reply->items[i].kind != SX_REDIS_INTEGER)
            return false;
        n[i] = reply->items[i].integer;
    }
    if (n[1] < 0 || (size_t)n[1] >= q->count)
        return false;
    const sx_rate *rate = &q->rates[n[1]];
    memset(out, 0, sizeof(*out));
    out->allowed = n[0] != 0;
    out->rule = (uint8_t)n[1];
    out->limit = rate->count;
    out->period_s = rate->period_ms / 1000 + (rate->period_ms % 1000 > 0);
    out->remaining = n[2] > 0 ? (uint64_t)n[2] : 0;
    out->reset_s = bounded((n[3] + 999999) / 1000000);
    if (!out->allowed)
        out->retry_after_ms = n[4] < 0 ? UINT32_MAX : bounded((n[4] + 999) / 1000);
    return true;
}

static void on_reply(void *ctx, sx_status status, const sx_redis_reply *reply, const sx_error *err)
{
    question *q = ctx;
    sx_limiter_wait *wait = q->wait;
    sx_limit_answer answer;
    (void)err;
    bool is_good = status == SX_OK && read_answer(q, reply, &answer);
    sx_free(q);
    if (wait)
        sx_limiter_answered(wait, is_good ? &answer : NULL);
}

/* ---- questions ---- */

/* The script's arguments: texts in `room`. */
static size_t write_rules(uint32_t cost, const sx_rate *rates, size_t count, sx_str *words,
                          char (*room)[16])
{
    size_t n = 0;
    snprintf(room[n], 16, "%u", cost);
    words[n] = sx_str_z(room[n]);
    n++;
    for (size_t i = 0; i < count; i++) {
        const sx_rate *r = &rates[i];
        const uint64_t values[] = {r->kind == SX_RATE_SLIDING_WINDOW, r->count,
                                   (uint64_t)r->period_ms * 1000, r->burst ? r->burst : r->count};
        for (size_t k = 0; k < SX_COUNT_OF(values); k++, n++) {
            snprintf(room[n], 16, "%llu", (unsigned long long)values[k]);
            words[n] = sx_str_z(room[n]);
        }
    }
    return n;
}

static bool take(void *ctx, sx_str name, sx_str key, uint32_t cost, const sx_rate *rates,
                 size_t count, uint32_t timeout_ms, sx_limiter_wait *w)
{
    sx_redis_limiter *l = ctx;
    sx_redis *redis = client_of(l);
    char room[1 + 4 * SX_RATES_MAX][16];
    sx_str words[2 + 4 * SX_RATES_MAX];
    if (!redis || !sx_redis_is_connected(redis) || name.len > NAME_BYTES_MAX ||
        count > SX_RATES_MAX)
        return false;
    question *q = sx_calloc(1, sizeof(*q));
    char *full = sx_alloc(l->prefix_len + name.len + 1 + key.len);
    if (q && full) {
        char *at = full;
        memcpy(at, l->prefix, l->prefix_len);
        at += l->prefix_len;
        memcpy(at, name.data, name.len);
        at += name.len;
        *at++ = ':';
        if (key.len)
            memcpy(at, key.data, key.len);
        words[0] = sx_str_of(full, l->prefix_len + name.len + 1 + key.len);
        size_t n = 1 + write_rules(cost, rates, count, words + 1, room);
        q->wait = w;
        q->count = count;
        memcpy(q->rates, rates, count * sizeof(*rates));
        w->share_state = q;
        if (redis_eval(redis, &l->script, words, n, 1, timeout_ms, on_reply, q, &q->call, NULL) ==
            SX_OK) {
            sx_free(full);
            return true;
        }
    }
    sx_free(full);
    sx_free(q);
    return false;
}

static void cancel(void *ctx, sx_limiter_wait *w)
{
    question *q = w->share_state;
    (void)ctx;
    q->wait = NULL;
    sx_redis_cancel(q->call); /* on_reply frees */
}

/* ---- life ---- */

sx_status sx_redis_limiter_new(const char *prefix, sx_redis_limiter **out, sx_error *err)
{
    sx_str text = sx_str_z(prefix ? prefix : "sextant:limit:");
    if (text.len > PREFIX_BYTES_MAX)
        return sx_fail(err, SX_EINVAL, "a prefix of limits has at most %d bytes, not %zu",
                       PREFIX_BYTES_MAX, text.len);
    sx_redis_limiter *l = sx_calloc(1, sizeof(*l));
    if (!l)
        return sx_fail_memory(err, "a shared limiter");
    l->prefix_len = text.len;
    memcpy(l->prefix, text.data, text.len);
    sx_redis_script_init(&l->script, sx_str_z(SCRIPT));
    pthread_mutex_init(&l->lock, NULL);
    l->share =
        (sx_limiter_share){.ctx = l, .timeout_ms = TIMEOUT_MS, .take = take, .cancel = cancel};
    *out = l;
    return SX_OK;
}

void sx_redis_limiter_free(sx_redis_limiter *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    sx_free(l);
}

const sx_limiter_share *sx_redis_limiter_share(sx_redis_limiter *l)
{
    return &l->share;
}

sx_status sx_redis_limiter_join(sx_redis_limiter *l, sx_redis *redis, sx_error *err)
{
    joined *at = NULL;
    sx_redis_limiter_leave(l);
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < SX_THREAD_SHARDS_MAX && !at; i++) {
        if (!l->threads[i].redis)
            at = &l->threads[i];
    }
    if (at) {
        __atomic_store_n(&at->thread, pthread_self(), __ATOMIC_RELAXED);
        __atomic_store_n(&at->redis, redis, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&l->lock);
    return at ? SX_OK
              : sx_fail(err, SX_ELIMIT, "%d threads share the limiter already, which is the most",
                        SX_THREAD_SHARDS_MAX);
}

void sx_redis_limiter_leave(sx_redis_limiter *l)
{
    pthread_t self = pthread_self();
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < SX_THREAD_SHARDS_MAX; i++) {
        joined *at = &l->threads[i];
        if (at->redis && at->thread == self)
            __atomic_store_n(&at->redis, NULL, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&l->lock);
}
