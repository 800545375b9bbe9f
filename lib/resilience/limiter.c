/* limiter.c - the table of keys and the decision about one request.
 *
 * HOT: 50 ns. Hash, lock of a set (one exchange, held some ten nanoseconds, never across a call
 * that can wait), seven hashes compared, each rule asked, and if all agree each rule charged.
 * limiter_table.h draws the memory; limiter_rules.h has the arithmetic. */
#include <sextant/limiter.h>

#include "resilience/limiter_table.h"
#include "resilience/metric_list.h"

#include <sextant/hash.h>

static const limiter_key WHOLE_KEY;

/* ---- a set ---- */

static inline void lock_set(limiter_set *set)
{
    unsigned spins = 0;
    /* Sequentially consistent with the store of l->rules: see walk(). */
    while (sx_unlikely(__atomic_exchange_n(&set->lock, 1, __ATOMIC_SEQ_CST)))
        while (load(&set->lock))
            spin_rest(&spins);
}

static inline void unlock_set(limiter_set *set)
{
    store_release(&set->lock, 0);
}

static inline int find_way(const limiter_set *set, uint64_t hash)
{
    unsigned hits = 0;
    for (unsigned i = 0; i < LIMITER_WAYS; i++)
        hits |= (unsigned)(set->hash[i] == hash) << i;
    hits &= set->used;
    return hits ? __builtin_ctz(hits) : -1;
}

static int64_t key_whole_at(const limiter_rules *rules, const limiter_key *key)
{
    int64_t at = 0;
    for (uint32_t i = 0; i < rules->count; i++) {
        int64_t one = limiter_cell_whole_at(&rules->rule[i], &key->cell[i]);
        at = one > at ? one : at;
    }
    return at;
}

/* Where a new key goes: a free way, else that of the key which is soonest whole. */
static SX_COLD int new_way(sx_limiter *l, limiter_set *set, const limiter_rules *rules, int64_t now)
{
    unsigned unused = ~(unsigned)set->used & ((1u << LIMITER_WAYS) - 1);
    if (unused) {
        int way = __builtin_ctz(unused);
        store(&set->used, (uint8_t)(set->used | 1u << way));
        add_return(&l->keys, 1);
        sx_gauge_add(l->keys_gauge, 1);
        return way;
    }
    int least = 0;
    int64_t least_at = key_whole_at(rules, &set->key[0]);
    for (int i = 1; i < LIMITER_WAYS; i++) {
        int64_t at = key_whole_at(rules, &set->key[i]);
        if (at < least_at) {
            least = i;
            least_at = at;
        }
    }
    if (least_at > now)
        sx_counter_add(l->evicted, 1);
    return least;
}

/* Carries the cells of a set over to the present rules; its lock is held. */
static SX_COLD void convert_set(limiter_set *set, const limiter_rules *rules, int64_t now)
{
    for (int way = 0; way < LIMITER_WAYS; way++) {
        limiter_key old = set->key[way], *key = &set->key[way];
        if (!(set->used >> way & 1))
            continue;
        *key = WHOLE_KEY;
        for (uint32_t i = 0; i < rules->count; i++) {
            int heir_of = rules->heir_of[i];
            if (heir_of < 0)
                continue;
            key->cell[i] = old.cell[heir_of];
            limiter_cell_convert(&rules->before->rule[heir_of], &rules->rule[i], &key->cell[i],
                                 now);
        }
    }
    set->version = rules->version;
}

/* ---- the decision ---- */

static uint32_t to_ms(int64_t ns)
{
    int64_t ms = ns / LIMITER_NS_PER_MS + (ns % LIMITER_NS_PER_MS > 0);
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static uint32_t to_s(int64_t ns)
{
    int64_t s = ns / 1000 / LIMITER_NS_PER_MS + (ns % ((int64_t)1000 * LIMITER_NS_PER_MS) > 0);
    return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

static void fill_answer(sx_limit_answer *out, const limiter_rules *rules, uint32_t chosen,
                        const limiter_cell *cells, int64_t now)
{
    const limiter_rule *r = &rules->rule[chosen];
    int64_t whole_ns = limiter_cell_whole_at(r, &cells[chosen]) - now;
    out->rule = (uint8_t)chosen;
    out->limit = r->rate.count;
    out->period_s = r->rate.period_ms / 1000 + (r->rate.period_ms % 1000 > 0);
    out->reset_s = whole_ns > 0 ? to_s(whole_ns) : 0;
}

/* Asks all rules; `chosen` is the one that refuses longest, or has the least left. */
static inline limiter_verdict ask_all(const limiter_rules *rules, limiter_cell *cells, int64_t now,
                                      uint32_t cost, uint32_t *chosen)
{
    limiter_verdict worst = limiter_cell_ask(&rules->rule[0], &cells[0], now, cost);
    *chosen = 0;
    for (uint32_t i = 1; i < rules->count; i++) {
        limiter_verdict v = limiter_cell_ask(&rules->rule[i], &cells[i], now, cost);
        bool is_worse = v.allowed != worst.allowed ? !v.allowed
                        : v.allowed                ? v.remaining < worst.remaining
                                                   : v.wait_ns > worst.wait_ns;
        if (is_worse) {
            worst = v;
            *chosen = i;
        }
    }
    return worst;
}

bool limiter_decide(sx_limiter *l, uint64_t hash, uint32_t cost, limiter_mode mode,
                    sx_limit_answer *answer)
{
    limiter_set *set = &l->sets[(uint64_t)((unsigned __int128)hash * l->set_count >> 64)];
    __builtin_prefetch(set, 1);
    int64_t now = sx_clock_mono_ns(load(&l->hot_clock)); /* not while the lock is held */
    lock_set(set);
    const limiter_rules *rules = __atomic_load_n(&l->rules, __ATOMIC_SEQ_CST);
    if (sx_unlikely(set->version != rules->version))
        convert_set(set, rules, now);

    int way = find_way(set, hash);
    limiter_key fresh, *key = &fresh;
    if (way >= 0)
        key = &set->key[way];
    else
        fresh = WHOLE_KEY;

    uint32_t chosen;
    limiter_verdict v = ask_all(rules, key->cell, now, cost, &chosen);
    bool takes = (mode == LIMITER_TAKE && v.allowed) || mode == LIMITER_CHARGE;
    if (takes) {
        if (sx_unlikely(way < 0)) {
            way = new_way(l, set, rules, now);
            set->hash[way] = hash;
            set->key[way] = fresh;
            key = &set->key[way];
        }
        for (uint32_t i = 0; i < rules->count; i++)
            limiter_cell_take(&rules->rule[i], &key->cell[i], now, cost);
    }
    if (answer) {
        answer->allowed = v.allowed;
        answer->remaining = takes && v.remaining >= cost ? v.remaining - cost : v.remaining;
        answer->retry_after_ms = v.allowed ? 0 : to_ms(v.wait_ns);
        fill_answer(answer, rules, chosen, key->cell, now);
    }
    unlock_set(set);
    return v.allowed;
}

bool sx_limiter_take(sx_limiter *l, sx_str key, uint32_t cost, sx_limit_answer *answer)
{
    bool allowed = limiter_decide(l, sx_hash(key, l->seed), cost, LIMITER_TAKE, answer);
    sx_counter_add(allowed ? l->allowed : l->refused, 1);
    return allowed;
}

void sx_limiter_peek(sx_limiter *l, sx_str key, sx_limit_answer *answer)
{
    limiter_decide(l, sx_hash(key, l->seed), 1, LIMITER_ASK, answer);
}

bool sx_limiter_forget(sx_limiter *l, sx_str key)
{
    uint64_t forgotten = 0;
    uint64_t hash = sx_hash(key, l->seed), first = 0, last = l->set_count;
    if (key.data) {
        first = (uint64_t)((unsigned __int128)hash * l->set_count >> 64);
        last = first + 1;
    }
    for (uint64_t i = first; i < last; i++) {
        limiter_set *set = &l->sets[i];
        if (!load(&set->used))
            continue; /* its memory may never have been touched */
        lock_set(set);
        int way = find_way(set, hash);
        unsigned gone = !key.data ? set->used : way >= 0 ? 1u << way : 0;
        store(&set->used, (uint8_t)(set->used & ~gone));
        forgotten += (uint64_t)__builtin_popcount(gone);
        unlock_set(set);
    }
    __atomic_sub_fetch(&l->keys, forgotten, __ATOMIC_RELAXED);
    sx_gauge_add(l->keys_gauge, -(double)forgotten);
    return forgotten > 0;
}

/* ---- rules ---- */

static sx_status make_rules(const sx_rate *rates, size_t count, limiter_rules **out, sx_error *err)
{
    if (count == 0 || count > SX_RATES_MAX)
        return sx_fail(err, SX_EINVAL, "a limiter has 1 to %d rates, not %zu", SX_RATES_MAX, count);
    limiter_rules *rules = sx_calloc(1, sizeof(*rules));
    if (!rules)
        return sx_fail_memory(err, "the rates of a limiter");
    rules->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        rules->heir_of[i] = -1;
        sx_status status = limiter_rule_make(&rates[i], &rules->rule[i], err);
        if (status != SX_OK) {
            sx_free(rules);
            return status;
        }
    }
    *out = rules;
    return SX_OK;
}

/* Whether a clock that is some milliseconds late makes no difference: it only delays what comes
 * back, which matters where a rule is whole again within less than COARSE_NS. */
static bool are_slow(const limiter_rules *rules)
{
    enum { COARSE_NS = 200 * 1000 * 1000 };
    for (uint32_t i = 0; i < rules->count; i++) {
        const limiter_rule *r = &rules->rule[i];
        bool is_bucket = r->rate.kind == SX_RATE_TOKEN_BUCKET;
        if ((is_bucket ? r->room_ns : r->period_ns) < COARSE_NS)
            return false;
    }
    return true;
}

/* Which old rule each new one goes on from; each old one has one heir. */
static void find_heirs(limiter_rules *rules, const limiter_rules *before)
{
    bool taken[SX_RATES_MAX] = {false};
    rules->before = before;
    for (uint32_t i = 0; i < rules->count; i++) {
        for (uint32_t j = 0; j < before->count && rules->heir_of[i] < 0; j++) {
            const sx_rate *a = &rules->rule[i].rate, *b = &before->rule[j].rate;
            if (!taken[j] && a->kind == b->kind && a->period_ms == b->period_ms) {
                taken[j] = true;
                rules->heir_of[i] = (int8_t)j;
            }
        }
    }
}

/* Carries every set over and waits until each lock was seen free after the new rules were
 * published: a holder that took it later has read the new ones. Sets that were never used stay
 * untouched, so that their memory is not made real by this. */
static void walk(sx_limiter *l, const limiter_rules *rules, int64_t now)
{
    for (uint64_t i = 0; i < l->set_count; i++) {
        limiter_set *set = &l->sets[i];
        unsigned spins = 0;
        while (__atomic_load_n(&set->lock, __ATOMIC_SEQ_CST))
            spin_rest(&spins);
        if (!load(&set->used))
            continue;
        lock_set(set);
        if (set->version != rules->version)
            convert_set(set, rules, now);
        unlock_set(set);
    }
}

/* Shows the rules to those who do not hold a set's lock. */
static void publish(sx_limiter *l, const limiter_rules *rules)
{
    union {
        limiter_public seen;
        uint64_t words[LIMITER_PUBLIC_WORDS];
    } u = {0};
    store(&l->hot_clock, are_slow(rules) ? sx_clock_coarse(l->clock) : l->clock);
    u.seen.count = rules->count;
    for (uint32_t i = 0; i < rules->count; i++)
        u.seen.rates[i] = rules->rule[i].rate;
    u.seen.policy_len = limiter_policy_write(u.seen.rates, rules->count, u.seen.policy);
    __atomic_add_fetch(&l->public_turn, 1, __ATOMIC_ACQ_REL);
    for (size_t i = 0; i < LIMITER_PUBLIC_WORDS; i++) /* release: not before the odd turn */
        store_release(&l->public_words[i], u.words[i]);
    __atomic_add_fetch(&l->public_turn, 1, __ATOMIC_RELEASE);
}

void limiter_public_read(const sx_limiter *l, limiter_public *out)
{
    union {
        limiter_public seen;
        uint64_t words[LIMITER_PUBLIC_WORDS];
    } u;
    unsigned spins = 0;
    for (;;) {
        uint32_t turn = load_acquire(&l->public_turn);
        for (size_t i = 0; i < LIMITER_PUBLIC_WORDS; i++) /* acquire: not after the second look */
            u.words[i] = load_acquire(&l->public_words[i]);
        if (turn % 2 == 0 && load(&l->public_turn) == turn)
            break;
        spin_rest(&spins);
    }
    *out = u.seen;
}

sx_status sx_limiter_rates_set(sx_limiter *l, const sx_rate *rates, size_t count, sx_error *err)
{
    limiter_rules *rules;
    sx_status status = make_rules(rates, count, &rules, err);
    if (status != SX_OK)
        return status;
    pthread_mutex_lock(&l->rates_lock);
    limiter_rules *before = l->rules;
    find_heirs(rules, before);
    rules->version = (uint8_t)(before->version + 1);
    __atomic_store_n(&l->rules, rules, __ATOMIC_SEQ_CST);
    walk(l, rules, sx_clock_mono_ns(l->clock));
    publish(l, rules);
    sx_free(before);
    pthread_mutex_unlock(&l->rates_lock);
    return SX_OK;
}

/* ---- life ---- */

static sx_status make_metrics(sx_limiter *l, sx_metrics *metrics, sx_error *err)
{
    static const char *const NAME[] = {"name"}, *const NAME_OUTCOME[] = {"name", "outcome"};
    static const sx_metric_options OPTIONS[] = {
        {.kind = SX_METRIC_COUNTER,
         .name = "rate_limiter_requests_total",
         .help = "Requests asked about, by outcome: allowed or refused.",
         .labels = NAME_OUTCOME,
         .label_count = 2},
        {.kind = SX_METRIC_COUNTER,
         .name = "rate_limiter_evicted_total",
         .help = "Keys that gave way to others before they were whole again.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_GAUGE,
         .name = "rate_limiter_keys",
         .help = "Keys in the table.",
         .labels = NAME,
         .label_count = 1},
        {.kind = SX_METRIC_COUNTER,
         .name = "rate_limiter_share_total",
         .help = "Questions to the shared store: answered, failed (no answer in time) or away.",
         .labels = NAME_OUTCOME,
         .label_count = 2},
    };
    sx_metric *made[SX_COUNT_OF(OPTIONS)];
    sx_str name = sx_str_z(l->name);
    sx_status status = sx_metric_list(metrics, OPTIONS, SX_COUNT_OF(OPTIONS), made, err);
    if (status != SX_OK)
        return status;
    l->allowed = sx_metric_counter(made[0], (const sx_str[]){name, SX_STR("allowed")}, 2);
    l->refused = sx_metric_counter(made[0], (const sx_str[]){name, SX_STR("refused")}, 2);
    l->evicted = sx_metric_counter(made[1], &name, 1);
    l->keys_gauge = sx_metric_gauge(made[2], &name, 1);
    static const char *const SHARE[SHARE_OUTCOMES] = {"answered", "failed", "away"};
    for (size_t i = 0; i < SHARE_OUTCOMES; i++)
        l->shared[i] = sx_metric_counter(made[3], (const sx_str[]){name, sx_str_z(SHARE[i])}, 2);
    return SX_OK;
}

static sx_status set_up(sx_limiter *l, const sx_limiter_options *o, sx_error *err)
{
    sx_status status = make_rules(o->rates, o->rate_count, &l->rules, err);
    if (status != SX_OK)
        return status;
    sx_str name = sx_str_z(o->name ? o->name : "default");
    l->name = sx_calloc(1, name.len + 1);
    /* Half as many places again: keys do not spread evenly over the sets. */
    l->set_count = ((uint64_t)l->keys_max * 3 / 2 + LIMITER_WAYS - 1) / LIMITER_WAYS;
    l->sets = line_alloc(l->set_count * sizeof(limiter_set), &l->block);
    if (!l->name || !l->sets)
        return sx_fail_memory(err, "the keys of a limiter");
    memcpy(l->name, name.data, name.len);
    publish(l, l->rules);
    if (!o->metrics)
        status = sx_metrics_new(NULL, &l->own_metrics, err);
    if (status == SX_OK)
        status = make_metrics(l, o->metrics ? o->metrics : l->own_metrics, err);
    return status;
}

sx_status sx_limiter_new(const sx_limiter_options *options, sx_limiter **out, sx_error *err)
{
    void *block;
    sx_limiter *l = line_alloc(sizeof(*l) + sizeof(void *), &block);
    if (!l)
        return sx_fail_memory(err, "a limiter");
    *(void **)(l + 1) = block;
    pthread_mutex_init(&l->rates_lock, NULL);
    l->seed = sx_hash_seed();
    l->clock = options->clock ? options->clock : sx_clock_system();
    l->keys_max = options->keys_max ? options->keys_max : 100000;
    if (options->share) {
        l->share = *options->share;
        if (l->share.timeout_ms == 0)
            l->share.timeout_ms = 20;
    }
    sx_status status = set_up(l, options, err);
    if (status != SX_OK) {
        sx_limiter_free(l);
        return status;
    }
    *out = l;
    return SX_OK;
}

void sx_limiter_free(sx_limiter *l)
{
    if (!l)
        return;
    sx_metrics_free(l->own_metrics);
    pthread_mutex_destroy(&l->rates_lock);
    sx_free(l->rules);
    sx_free(l->name);
    sx_free(l->block);
    sx_free(*(void **)(l + 1));
}

void sx_limiter_info_of(const sx_limiter *l, sx_limiter_info *out)
{
    limiter_public seen;
    limiter_public_read(l, &seen);
    *out = (sx_limiter_info){
        .name = l->name,
        .rate_count = seen.count,
        .allowed = (uint64_t)sx_counter_value(l->allowed),
        .refused = (uint64_t)sx_counter_value(l->refused),
        .evicted = (uint64_t)sx_counter_value(l->evicted),
        .keys = load(&l->keys),
        .keys_max = l->keys_max,
    };
    memcpy(out->rates, seen.rates, sizeof(out->rates));
}
