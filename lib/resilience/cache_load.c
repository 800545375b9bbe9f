/* cache_load.c - duties: who loads a missing key, who waits for it, and how both end.
 *
 * A duty is a cache_load in its shard, found by the key's hash. It is under way (on shard.flying) until
 * it is ended, or overdue: then those who waited have been told, and it stays (on shard.overdue), so
 * that a late answer still fills the cache, until the next asker is given the duty anew or its place
 * is needed. Removing the key makes it outdated: it goes on for those who asked before, invisible to
 * those who ask now. Called by cache.c. */
#include <string.h>

#include <sextant/mem.h>

#include "resilience/cache_internal.h"

/* ---- those who wait ---- */

static void tell(cache_waiter *w)
{
    cache_waiter copy = *w;
    sx_free(w);
    copy.answer(copy.ctx, copy.result, &copy.view);
}

static void tell_on_loop(sx_loop *loop, void *arg)
{
    (void)loop;
    tell(arg);
}

void cache_deliver(sx_cache *c, sx_list *due)
{
    sx_list *link;
    while ((link = sx_list_pop_front(due))) {
        cache_waiter *w = SX_CONTAINER_OF(link, cache_waiter, link);
        cache_move(c->metrics.waiters, -1);
        if (w->loop)
            sx_loop_post_send(w->loop, w->post);
        else
            tell(w);
    }
}

/* Makes the asker wait for `load`. NULL without memory. */
static cache_waiter *wait_for(sx_cache *c, cache_shard *s, cache_load *load,
                              const sx_cache_ask *ask)
{
    cache_waiter *w = sx_alloc(sizeof(*w));
    if (!w)
        return NULL;
    *w = (cache_waiter){.answer = ask->answer, .ctx = ask->ctx, .loop = ask->loop};
    if (ask->loop && !(w->post = sx_loop_post_new(tell_on_loop, w))) {
        sx_free(w);
        return NULL;
    }
    sx_list_push_back(&load->waiters, &w->link);
    load->waiter_count++;
    s->waiter_count++;
    cache_move(c->metrics.waiters, 1);
    return w;
}

/* Moves all who wait for `load` to `due`, with this answer. `e` may be NULL. */
static void answer_all(cache_shard *s, cache_load *load, sx_cache_result result, sx_status status,
                       cache_entry *e, int64_t now_ms, sx_list *due)
{
    sx_list *it;
    SX_LIST_EACH(it, &load->waiters)
    {
        cache_waiter *w = SX_CONTAINER_OF(it, cache_waiter, link);
        w->result = result;
        if (e)
            w->view = cache_view_of(e, now_ms);
        else
            w->view = (sx_cache_view){.status = status};
    }
    s->waiter_count -= load->waiter_count;
    load->waiter_count = 0;
    load->first = NULL;
    sx_list_splice_back(due, &load->waiters);
}

/* ---- duties ---- */

static cache_load **slot_of(cache_shard *s, uint64_t hash)
{
    return &s->loads[hash % CACHE_LOAD_BUCKETS];
}

static void discard(cache_shard *s, cache_load *load)
{
    sx_assert(load->waiter_count == 0);
    cache_load **at = slot_of(s, load->hash);
    while (*at != load) {
        sx_assert(*at);
        at = &(*at)->chain;
    }
    *at = load->chain;
    sx_list_remove(&load->link);
    s->load_count--;
    sx_free(load);
}

/* From now on its value is not stored. One that is overdue besides is of no use to anybody. */
static void outdate(cache_shard *s, cache_load *load)
{
    if (load->is_overdue)
        discard(s, load);
    else
        load->is_outdated = true;
}

static bool is_of(const cache_load *load, uint64_t hash, sx_str key)
{
    return load->hash == hash && !load->is_outdated &&
           sx_str_eq(sx_str_of(load->key, load->key_len), key);
}

void cache_load_outdate(cache_shard *s, uint64_t hash, sx_str key)
{
    for (cache_load *next, *load = *slot_of(s, hash); load; load = next) {
        next = load->chain;
        if (is_of(load, hash, key))
            outdate(s, load);
    }
}

void cache_loads_outdate_prefix(cache_shard *s, sx_str prefix)
{
    for (size_t i = 0; i < CACHE_LOAD_BUCKETS; i++)
        for (cache_load *next, *load = s->loads[i]; load; load = next) {
            next = load->chain;
            if (sx_str_starts(sx_str_of(load->key, load->key_len), prefix))
                outdate(s, load);
        }
}

/* The duty for a key that askers of today may share, or NULL. */
static cache_load *find_current(sx_cache *c, cache_shard *s, const cache_asking *a)
{
    for (cache_load *next, *load = *slot_of(s, a->hash); load; load = next) {
        next = load->chain;
        if (!is_of(load, a->hash, a->key))
            continue;
        if (!cache_epoch_old(c, load->epoch, load->class_index, 0))
            return load;
        outdate(s, load); /* its class was removed since */
    }
    return NULL;
}

static cache_load *find_token(cache_shard *s, sx_cache_token token)
{
    for (cache_load *load = *slot_of(s, token.hash); load; load = load->chain)
        if (load->id == token.id && load->hash == token.hash)
            return load;
    return NULL;
}

/* A new duty on no list yet; NULL without memory or when there are too many. */
static cache_load *begin(sx_cache *c, cache_shard *s, const cache_asking *a)
{
    if (s->load_count >= c->loads_max) {
        if (sx_list_empty(&s->overdue))
            return NULL;
        discard(s, SX_CONTAINER_OF(s->overdue.next, cache_load, link));
    }
    cache_load *load = sx_alloc(sizeof(*load) + a->key.len);
    if (!load)
        return NULL;
    *load = (cache_load){.hash = a->hash, .key_len = a->key.len};
    if (a->key.len)
        memcpy(load->key, a->key.data, a->key.len);
    sx_list_init(&load->waiters);
    sx_list_init(&load->link);
    cache_load **slot = slot_of(s, a->hash);
    load->chain = *slot;
    *slot = load;
    s->load_count++;
    return load;
}

sx_cache_result cache_load_ask(sx_cache *c, cache_shard *s, const cache_asking *a,
                               sx_cache_token *token)
{
    cache_load *load = find_current(c, s, a);
    bool may_wait = a->ask->answer && !a->is_refresh;
    if (load && !load->is_overdue) {
        bool waits =
            may_wait && load->waiter_count < c->waiters_max && wait_for(c, s, load, a->ask);
        return waits ? SX_CACHE_WAIT : SX_CACHE_BYPASS;
    }
    bool is_new = !load;
    if (is_new && !(load = begin(c, s, a)))
        return SX_CACHE_BYPASS;
    if (may_wait && (a->ask->load || c->tiers)) {
        cache_waiter *w = wait_for(c, s, load, a->ask);
        if (!w && is_new)
            discard(s, load);
        if (!w)
            return SX_CACHE_BYPASS;
        load->first = a->ask->load ? NULL : w;
    }
    load->id = ++s->last_id;
    load->class_index = (uint8_t)a->class_index;
    load->epoch = c->epoch;
    load->start_ms = a->now_ms;
    load->due_ms = a->now_ms + c->load_ms_max;
    load->is_overdue = false;
    sx_list_remove(&load->link);
    sx_list_push_back(&s->flying, &load->link);
    s->stats.loads++;
    *token = (sx_cache_token){.id = load->id, .hash = a->hash};
    return SX_CACHE_LOAD;
}

/* An older value that may stand in for a load that failed, or NULL. */
static cache_entry *stand_in(sx_cache *c, cache_shard *s, const cache_load *load, int64_t now_ms)
{
    cache_entry *e = cache_shard_find(s, load->hash, sx_str_of(load->key, load->key_len));
    bool fits = e && e->status == SX_OK && cache_entry_age(e, now_ms) < e->dead_age &&
                !cache_epoch_old(c, e->epoch, e->class_index, e->tag);
    if (!fits)
        return NULL;
    uint64_t retry = cache_entry_age(e, now_ms) + c->classes[e->class_index].retry_ms;
    e->retry_age = retry < UINT32_MAX ? (uint32_t)retry : UINT32_MAX;
    return e;
}

void cache_loads_expire(sx_cache *c, cache_shard *s, int64_t now_ms, sx_list *due)
{
    while (!sx_list_empty(&s->flying)) {
        cache_load *load = SX_CONTAINER_OF(s->flying.next, cache_load, link);
        if (load->due_ms > now_ms)
            return;
        cache_entry *e = stand_in(c, s, load, now_ms);
        answer_all(s, load, e ? SX_CACHE_STALE : SX_CACHE_FAILED, SX_ETIMEOUT, e, now_ms, due);
        s->stats.loads_timed_out++;
        cache_count(c->metrics.load_timeout);
        load->is_overdue = true;
        sx_list_remove(&load->link);
        sx_list_push_back(&s->overdue, &load->link);
        if (load->is_outdated)
            discard(s, load);
    }
}

void cache_loads_cancel(cache_shard *s, sx_list *due)
{
    sx_list *lists[] = {&s->flying, &s->overdue};
    for (size_t i = 0; i < SX_COUNT_OF(lists); i++)
        while (!sx_list_empty(lists[i])) {
            cache_load *load = SX_CONTAINER_OF(lists[i]->next, cache_load, link);
            answer_all(s, load, SX_CACHE_FAILED, SX_ECANCELED, NULL, 0, due);
            discard(s, load);
        }
}

/* ---- answers ---- */

/* The answer that ends a duty, gathered before the lock is taken. */
typedef struct ending {
    sx_status status; /* SX_OK: a value; SX_ENOTFOUND: absent */
    sx_str bytes;
    const sx_cache_how *how;
    const cache_stored *lower; /* where a tier had it; NULL: it was loaded */
} ending;

/* Length of the key of a duty; false if it is no longer the caller's. */
static bool key_len_of(sx_cache *c, cache_shard *s, sx_cache_token token, size_t *len)
{
    pthread_mutex_lock(&s->lock);
    cache_load *load = token.id ? find_token(s, token) : NULL;
    if (load) {
        *len = load->key_len;
    } else {
        s->stats.loads_late++;
        cache_count(c->metrics.load_late);
    }
    pthread_mutex_unlock(&s->lock);
    return load != NULL;
}

static void count_end(sx_cache *c, cache_shard *s, const cache_load *load, sx_status status,
                      bool is_from_tier, int64_t now_ms)
{
    if (is_from_tier)
        cache_count(c->metrics.load_tier);
    else if (status == SX_OK)
        cache_count(c->metrics.load_ok);
    else if (status == SX_ENOTFOUND)
        cache_count(c->metrics.load_absent);
    else
        cache_count(c->metrics.load_failed);
    if (status != SX_OK && status != SX_ENOTFOUND)
        s->stats.loads_failed++;
    if (c->metrics.load_seconds)
        sx_histogram_observe(c->metrics.load_seconds, (double)(now_ms - load->start_ms) / 1000);
}

/* Keeps the entry of an ended duty, if the key was not removed since the duty began and it fits. One
 * that is not kept (absence that its class does not remember, a value too big) still ends what was
 * there before. */
static void keep(sx_cache *c, cache_shard *s, const cache_load *load, cache_entry *e,
                 const ending *end)
{
    if (load->is_outdated || cache_epoch_old(c, e->epoch, e->class_index, e->tag))
        return;
    if (c->tiers && e->dead_age > 0 && (e->status == SX_OK || e->status == SX_ENOTFOUND))
        cache_tiers_store(
            c->tiers, &(cache_stored){.key = cache_entry_key(e),
                                      .value = cache_entry_value(e),
                                      .is_absent = e->status == SX_ENOTFOUND,
                                      .tiers = end->lower ? end->lower->tiers : SX_CACHE_TIERS_MAX,
                                      .class_of = &c->classes[e->class_index],
                                      .age_ms = end->lower ? end->lower->age_ms : 0,
                                      .ttl_ms = e->fresh_age,
                                      .tag = end->how ? end->how->tag : 0});
    if (e->dead_age > 0 && e->value_len <= c->value_bytes_max &&
        cache_entry_size(e) <= s->value_room) {
        cache_shard_insert(c, s, e);
        return;
    }
    cache_entry *old = cache_shard_find(s, e->hash, cache_entry_key(e));
    if (old)
        cache_shard_remove(c, s, old, CACHE_INVALIDATED);
}

/* Ends the duty under the lock with `e`, whose key is still blank (NULL: no memory for one). */
static sx_status end_with(sx_cache *c, cache_shard *s, cache_load *load, cache_entry *e,
                          const ending *end, int64_t now_ms, sx_list *due)
{
    count_end(c, s, load, end->status, end->lower != NULL, now_ms);
    if (!e) {
        answer_all(s, load, SX_CACHE_FAILED, SX_ENOMEM, NULL, now_ms, due);
        discard(s, load);
        return SX_ENOMEM;
    }
    memcpy(e->bytes, load->key, load->key_len);
    e->epoch = load->epoch;
    e->class_index = load->class_index;
    e->status = (uint8_t)end->status;
    cache_entry_date(c, s, e, end->how, now_ms - (end->lower ? end->lower->age_ms : 0));
    keep(c, s, load, e, end);
    sx_cache_result result = end->status == SX_OK          ? SX_CACHE_HIT
                             : end->status == SX_ENOTFOUND ? SX_CACHE_NEGATIVE
                                                           : SX_CACHE_FAILED;
    answer_all(s, load, result, end->status, e, now_ms, due);
    discard(s, load);
    return SX_OK;
}

/* Ends a duty with an entry. The bytes are copied before the lock is taken: only the key's length is
 * needed for that, and the duty is looked up once more. */
static sx_status finish(sx_cache *c, sx_cache_token token, const ending *end, sx_cache_view *view)
{
    cache_shard *s = cache_shard_of(c, token.hash);
    int64_t now_ms = sx_clock_mono_ms(c->clock);
    size_t key_len;
    sx_list due;
    sx_list_init(&due);
    if (!key_len_of(c, s, token, &key_len))
        return SX_REFUSED;
    cache_entry *e = end->bytes.len <= UINT32_MAX
                         ? cache_entry_new(sx_str_of(NULL, key_len), token.hash, end->bytes)
                         : NULL;

    pthread_mutex_lock(&s->lock);
    cache_load *load = find_token(s, token);
    sx_status status = SX_REFUSED; /* ended by another thread meanwhile */
    if (load) {
        status = end_with(c, s, load, e, end, now_ms, &due);
        cache_shard_sweep(c, s, 2, now_ms);
    }
    pthread_mutex_unlock(&s->lock);

    if (status == SX_OK && view)
        *view = cache_view_of(e, now_ms);
    if (e)
        cache_entry_drop(e);
    if (c->tiers)
        cache_tiers_flush(c->tiers);
    cache_deliver(c, &due);
    return status;
}

sx_status sx_cache_fill(sx_cache *cache, sx_cache_token token, sx_str value,
                        const sx_cache_how *how, sx_cache_view *view)
{
    if (view)
        *view = (sx_cache_view){0};
    return finish(cache, token, &(ending){.bytes = value, .how = how}, view);
}

sx_status sx_cache_absent(sx_cache *cache, sx_cache_token token, sx_str note, sx_cache_view *view)
{
    if (view)
        *view = (sx_cache_view){0};
    return finish(cache, token, &(ending){.status = SX_ENOTFOUND, .bytes = note}, view);
}

sx_status sx_cache_fail(sx_cache *cache, sx_cache_token token, sx_status why, sx_cache_view *view)
{
    sx_assert(why != SX_OK);
    if (view)
        *view = (sx_cache_view){0};
    if (why == SX_ENOTFOUND) {
        sx_status status = sx_cache_absent(cache, token, SX_STR(""), NULL);
        return status == SX_OK ? why : status;
    }
    cache_shard *s = cache_shard_of(cache, token.hash);
    int64_t now_ms = sx_clock_mono_ms(cache->clock);
    sx_list due;
    sx_list_init(&due);
    size_t key_len;
    if (!key_len_of(cache, s, token, &key_len))
        return SX_REFUSED;

    sx_status status = SX_REFUSED;
    bool is_remembered = false;
    pthread_mutex_lock(&s->lock);
    cache_load *load = find_token(s, token);
    if (load) {
        cache_entry *e = stand_in(cache, s, load, now_ms);
        is_remembered = !e && cache->classes[load->class_index].error_ttl_ms;
        status = e ? SX_OK : why;
        if (e && view)
            *view = cache_view_of(e, now_ms);
        if (!is_remembered) {
            count_end(cache, s, load, why, false, now_ms);
            answer_all(s, load, e ? SX_CACHE_STALE : SX_CACHE_FAILED, why, e, now_ms, &due);
            discard(s, load);
        }
    }
    pthread_mutex_unlock(&s->lock);
    cache_deliver(cache, &due);
    if (!is_remembered)
        return status;
    sx_status ended = finish(cache, token, &(ending){.status = why}, NULL);
    return ended == SX_REFUSED ? SX_REFUSED : why;
}

/* ---- what tiers say ---- */

void cache_fill_from_tier(sx_cache *c, sx_cache_token token, const cache_stored *what)
{
    const sx_cache_how how = {.ttl_ms = what->ttl_ms,
                              .jitter_percent =
                                  CACHE_NO_JITTER, /* it had its part when it was loaded */
                              .tag = what->tag};
    (void)finish(c, token,
                 &(ending){.status = what->is_absent ? SX_ENOTFOUND : SX_OK,
                           .bytes = what->value,
                           .how = &how,
                           .lower = what},
                 NULL); /* refused: it was overdue, and another has the duty */
}

void cache_hand_over(sx_cache *c, sx_cache_token token)
{
    cache_shard *s = cache_shard_of(c, token.hash);
    sx_list due;
    sx_list_init(&due);
    pthread_mutex_lock(&s->lock);
    cache_load *load = find_token(s, token);
    cache_waiter *w =
        load ? load->first : NULL; /* none: it was overdue, and the asker was told so */
    if (w) {
        load->first = NULL;
        load->waiter_count--;
        s->waiter_count--;
        w->result = SX_CACHE_LOAD;
        w->view = (sx_cache_view){.token = token};
        sx_list_remove(&w->link);
        sx_list_push_back(&due, &w->link);
    }
    pthread_mutex_unlock(&s->lock);
    cache_deliver(c, &due);
}

const sx_cache_class *cache_class_of(const sx_cache *c, unsigned class_index)
{
    return &c->classes[class_index];
}
