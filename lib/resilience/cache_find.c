/* cache_find.c - looking for a missing key in the tiers, one after the other, before it is loaded.
 *
 * A find asks one tier at a time. It goes on when the tier answers or its time is over (seen by
 * cache_tiers_sweep); an answer that comes after that is passed over. The last "no" gives the duty to
 * the asker. Called by cache.c, and by tiers in whatever thread they answer. */
#include <string.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "net/loop_internal.h"
#include "resilience/cache_tiers_internal.h"

enum { NOBODY = -1 };

typedef struct find find;

typedef struct find_call {
    find *of;
    size_t lane;
    sx_breaker_pass pass;
} find_call;

struct find {
    sx_list link; /* of tiers.finds */
    sx_cache_tiers *tiers;
    sx_cache_token token;
    unsigned class_index;
    sx_cache_load_fn *load; /* NULL: the asker is told LOAD by the cache */
    void *load_ctx;
    sx_loop *loop;
    loop_post *post; /* with loop and load: taken beforehand */
    int asked;       /* the tier whose answer is awaited, or NOBODY while one is being judged */
    int64_t due_ms;  /* of it; monotonic */
    unsigned outstanding; /* calls that tiers have not answered, passed over or not, and whoever is
                           * going on with it; the last to leave frees it */
    find_call calls[SX_CACHE_TIERS_MAX];
    size_t key_len; /* with the tiers' prefix */
    char key[];
};

static sx_str whole_key(const find *f)
{
    return sx_str_of(f->key, f->key_len);
}

static sx_str own_key(const find *f)
{
    return sx_str_from(whole_key(f), f->tiers->prefix_len);
}

/* Gives back one of `outstanding`; the tiers too when it was the last. */
static void leave(find *f)
{
    sx_cache_tiers *t = f->tiers;
    pthread_mutex_lock(&t->lock);
    bool is_last = --f->outstanding == 0;
    if (is_last)
        sx_list_remove(&f->link);
    pthread_mutex_unlock(&t->lock);
    if (!is_last)
        return;
    sx_free(f->post);
    sx_free(f);
    cache_tiers_drop(t);
}

/* The cache, which stays until cache_quit; NULL if it is gone. */
static sx_cache *cache_use(sx_cache_tiers *t)
{
    pthread_mutex_lock(&t->lock);
    sx_cache *cache = t->cache;
    t->busy += cache != NULL;
    pthread_mutex_unlock(&t->lock);
    return cache;
}

static void cache_quit(sx_cache_tiers *t)
{
    pthread_mutex_lock(&t->lock);
    if (--t->busy == 0)
        pthread_cond_broadcast(&t->quiet);
    pthread_mutex_unlock(&t->lock);
}

/* ---- the end of it ---- */

static void load_on_loop(sx_loop *loop, void *arg)
{
    (void)loop;
    find *f = arg;
    sx_cache *cache = cache_use(f->tiers);
    if (cache) {
        f->load(f->load_ctx, cache, own_key(f), f->token);
        cache_quit(f->tiers);
    }
    leave(f);
}

/* No tier has it. Called while the cache is in use; the find is left by who called. */
static void give_duty(find *f, sx_cache *cache)
{
    if (!f->load) {
        cache_hand_over(cache, f->token);
    } else if (f->loop) {
        loop_post *post = f->post;
        f->post = NULL;
        pthread_mutex_lock(&f->tiers->lock);
        f->outstanding++; /* left by load_on_loop */
        pthread_mutex_unlock(&f->tiers->lock);
        sx_loop_post_send(f->loop, post);
    } else {
        f->load(f->load_ctx, cache, own_key(f), f->token);
    }
}

/* ---- asking ---- */

static void count_result(cache_lane *lane, cache_tier_result result)
{
    lane->results[result]++;
    if (lane->result_counters[result])
        sx_counter_add(lane->result_counters[result], 1);
}

/* What a tier's answer is worth; *what is filled for a hit. Lock held. */
static cache_tier_result judge(const find *f, size_t index, sx_status status, sx_str bytes,
                               const sx_cache_class *k, cache_stored *what)
{
    const sx_cache_tiers *t = f->tiers;
    cache_record r;
    if (status == SX_ENOTFOUND)
        return CACHE_TIER_MISS;
    if (status != SX_OK)
        return status == SX_ETIMEOUT ? CACHE_TIER_TIMEOUT : CACHE_TIER_ERROR;
    if (!cache_record_read(bytes, whole_key(f), &r))
        return CACHE_TIER_CORRUPT;
    int64_t now_ms = sx_clock_ms(t->clock);
    /* One from the future was stored by a machine with another clock, or ours was set back: it may
     * live its whole time from now on, no longer. */
    int64_t age = now_ms > r.stored_ms ? now_ms - r.stored_ms : 0;
    int64_t ttl = r.fresh_until_ms - r.stored_ms;
    if (age >= ttl || r.class_version != k->version ||
        r.class_hash != sx_hash(sx_str_z(k->name), 0) ||
        cache_tiers_is_old(t, &t->lanes[index], own_key(f), f->class_index, &r))
        return CACHE_TIER_MISS;
    *what = (cache_stored){.key = own_key(f),
                           .value = r.value,
                           .is_absent = r.is_absent,
                           .tiers = index,
                           .class_of = k,
                           .age_ms = age,
                           .ttl_ms = (uint32_t)ttl,
                           .tag = r.tag};
    return CACHE_TIER_HIT;
}

static void on_answer(void *ctx, sx_status status, sx_str record);

/* Asks the next tier from `index` on that may be asked; after the last the asker has the duty. Called
 * while the cache is in use, by one who counts in `outstanding`. */
static void ask_from(find *f, size_t index, sx_cache *cache)
{
    sx_cache_tiers *t = f->tiers;
    for (; index < t->lane_count; index++) {
        cache_lane *lane = &t->lanes[index];
        find_call *call = &f->calls[index];
        *call = (find_call){.of = f, .lane = index};
        bool may_ask = !lane->breaker || sx_breaker_allow(lane->breaker, &call->pass);
        pthread_mutex_lock(&t->lock);
        if (may_ask) {
            f->asked = (int)index;
            f->due_ms = sx_clock_mono_ms(t->clock) + t->get_ms_max;
            f->outstanding++; /* left by on_answer */
        } else {
            count_result(lane, CACHE_TIER_SKIPPED);
        }
        pthread_mutex_unlock(&t->lock);
        if (may_ask) {
            lane->tier->get(lane->tier, whole_key(f), t->get_ms_max, on_answer, call);
            return;
        }
    }
    give_duty(f, cache);
}

static void on_answer(void *ctx, sx_status status, sx_str record)
{
    find_call *call = ctx;
    find *f = call->of;
    sx_cache_tiers *t = f->tiers;
    size_t index = call->lane;
    cache_stored what = {0};
    sx_cache *cache = cache_use(t);

    pthread_mutex_lock(&t->lock);
    bool is_awaited = f->asked == (int)index;
    sx_breaker_pass pass = call->pass;
    cache_tier_result result = CACHE_TIER_ERROR;
    if (is_awaited) {
        f->asked = NOBODY;
        if (cache) {
            result = judge(f, index, status, record, cache_class_of(cache, f->class_index), &what);
            count_result(&t->lanes[index], result);
        }
    }
    pthread_mutex_unlock(&t->lock);

    sx_breaker *breaker =
        is_awaited ? t->lanes[index].breaker : NULL; /* else done at its time-out */
    if (breaker && status == SX_ECANCELED)
        sx_breaker_cancel(breaker, &pass);
    else if (breaker)
        sx_breaker_done(breaker, &pass, status == SX_OK || status == SX_ENOTFOUND);
    if (is_awaited && cache) {
        if (result == CACHE_TIER_HIT)
            cache_fill_from_tier(cache, f->token, &what);
        else
            ask_from(f, index + 1, cache);
    }
    if (cache)
        cache_quit(t);
    leave(f);
}

void cache_tiers_find(sx_cache_tiers *t, sx_cache_token token, sx_str key, unsigned class_index,
                      const sx_cache_ask *ask)
{
    sx_cache *cache = t->cache; /* we are called by it */
    find *f = sx_alloc(sizeof(*f) + t->prefix_len + key.len);
    loop_post *post = f && ask->load && ask->loop ? sx_loop_post_new(load_on_loop, f) : NULL;
    if (!f || (ask->load && ask->loop && !post)) {
        sx_free(f);
        if (ask->load)
            ask->load(ask->load_ctx, cache, key, token); /* we are in the asker's thread */
        else
            cache_hand_over(cache, token);
        return;
    }
    *f = (find){.tiers = t,
                .token = token,
                .class_index = class_index,
                .load = ask->load,
                .load_ctx = ask->load_ctx,
                .loop = ask->loop,
                .post = post,
                .asked = NOBODY,
                .outstanding = 1, /* us */
                .key_len = t->prefix_len + key.len};
    memcpy(f->key, t->prefix, t->prefix_len);
    if (key.len)
        memcpy(f->key + t->prefix_len, key.data, key.len);
    sx_list_init(&f->link);
    pthread_mutex_lock(&t->lock);
    sx_list_push_back(&t->finds, &f->link);
    cache_tiers_hold(t);
    pthread_mutex_unlock(&t->lock);
    ask_from(f, 0, cache);
    leave(f);
}

/* ---- time-outs ---- */

/* Takes one find whose tier is late away from that tier; NULL if there is none. Lock held. */
static find *take_late(sx_cache_tiers *t, int64_t now_ms, size_t *index)
{
    sx_list *it;
    SX_LIST_EACH(it, &t->finds)
    {
        find *f = SX_CONTAINER_OF(it, find, link);
        if (f->asked == NOBODY || f->due_ms > now_ms)
            continue;
        *index = (size_t)f->asked;
        f->asked = NOBODY;
        f->outstanding++; /* us */
        count_result(&t->lanes[*index], CACHE_TIER_TIMEOUT);
        return f;
    }
    return NULL;
}

void cache_tiers_sweep(sx_cache_tiers *t)
{
    int64_t now_ms = sx_clock_mono_ms(t->clock);
    for (;;) {
        size_t index = 0;
        pthread_mutex_lock(&t->lock);
        find *f = take_late(t, now_ms, &index);
        pthread_mutex_unlock(&t->lock);
        if (!f)
            return;
        if (t->lanes[index].breaker)
            sx_breaker_done(t->lanes[index].breaker, &f->calls[index].pass, false);
        ask_from(f, index + 1, t->cache);
        leave(f);
    }
}
