/* log_repeats.c - the table of what was said lately: see log_repeats.h. */
#include "telemetry/log_repeats.h"

#include <sextant/hash.h>
#include <sextant/utf8.h>

void sx_log_repeats_init(sx_log_repeats *t)
{
    t->due_ns = INT64_MAX;
}

uint64_t sx_log_repeat_key(const sx_logger *logger, sx_level level, sx_str message,
                           const sx_field *fields, size_t count)
{
    /* Not secret, not chosen by an attacker to any gain: a collision merges two repeats. */
    uint64_t key = sx_hash(message, (uint64_t)(uintptr_t)logger + (uint64_t)level);
    for (size_t i = 0; level < SX_LEVEL_WARN && i < count; i++) {
        const sx_field *f = &fields[i];
        bool text = f->kind == SX_FIELD_STR || f->kind == SX_FIELD_JSON;
        key = text ? sx_hash(f->str, key) : sx_hash_u64(f->u64, key);
    }
    return key ? key : 1;
}

static bool take(sx_log_repeats *t)
{
    return __atomic_exchange_n(&t->busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static void release(sx_log_repeats *t)
{
    __atomic_store_n(&t->busy, 0, __ATOMIC_RELEASE);
}

/* The place of `key`, or the one that it may take: a free one, else the one with the least to lose. */
static sx_log_repeat *place_of(sx_log_repeats *t, uint64_t key)
{
    sx_log_repeat *set = t->places[key % SX_LOG_REPEAT_SETS], *best = set;
    for (int i = 0; i < SX_LOG_REPEAT_WAYS; i++) {
        sx_log_repeat *p = &set[i];
        if (p->key == key)
            return p;
        bool holds = p->held.count > 0, best_holds = best->held.count > 0;
        if (holds != best_holds ? best_holds : p->until_ns < best->until_ns)
            best = p;
    }
    return best;
}

/* Moves what a place holds into *told. */
static void tell(sx_log_repeat *p, sx_log_told *told)
{
    if (p->held.count > 0)
        *told = p->held;
    p->held.count = 0;
}

static void hold(sx_log_repeats *t, sx_log_repeat *p, const sx_logger *logger, sx_level level,
                 sx_str message)
{
    if (p->held.count++ == 0) {
        message = sx_utf8_first(message, sizeof(p->held.text));
        p->held.logger = logger;
        p->held.level = level;
        p->held.text_len = (uint32_t)message.len;
        if (message.len)
            memcpy(p->held.text, message.data, message.len);
        if (p->until_ns < __atomic_load_n(&t->due_ns, __ATOMIC_RELAXED))
            __atomic_store_n(&t->due_ns, p->until_ns, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&t->total, __atomic_load_n(&t->total, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

bool sx_log_repeats_admit(sx_log_repeats *t, const sx_log_repeat_limits *limits, uint64_t key,
                          const sx_logger *logger, sx_level level, sx_str message, int64_t now_ns,
                          sx_log_told *told)
{
    told->count = 0;
    if (!take(t))
        return true;
    sx_log_repeat *p = place_of(t, key);
    bool admitted = true;
    /* A clock that was set back ends the period as well: it must not last for hours. */
    if (p->key != key || now_ns >= p->until_ns || now_ns < p->until_ns - limits->period_ns) {
        tell(p, told);
        p->key = key;
        p->until_ns = now_ns + limits->period_ns;
        p->count = 1;
    } else if (++p->count > limits->records_max) {
        p->count = limits->records_max + 1;
        hold(t, p, logger, level, message);
        admitted = false;
    }
    release(t);
    return admitted;
}

bool sx_log_repeats_due(sx_log_repeats *t, int64_t now_ns, sx_log_told *told)
{
    told->count = 0;
    if (__atomic_load_n(&t->due_ns, __ATOMIC_RELAXED) > now_ns || !take(t))
        return false;
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < SX_LOG_REPEAT_SETS * SX_LOG_REPEAT_WAYS; i++) {
        sx_log_repeat *p = &t->places[i / SX_LOG_REPEAT_WAYS][i % SX_LOG_REPEAT_WAYS];
        if (p->held.count == 0)
            continue;
        if (p->until_ns <= now_ns && told->count == 0) {
            tell(p, told);
            p->key = 0; /* the next one begins a new period */
            p->until_ns = 0;
        } else if (p->until_ns < next) {
            next = p->until_ns;
        }
    }
    __atomic_store_n(&t->due_ns, next, __ATOMIC_RELAXED);
    release(t);
    return told->count > 0;
}
