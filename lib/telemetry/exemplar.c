/* exemplar.c - slots that many threads write and a scrape reads, each behind a sequence number.
 *
 * The number is odd while a writer is in the slot. A writer takes it by making it odd, and leaves by
 * making it even again; a reader takes a copy and believes it if the number was the same even one
 * before and after. Every word is atomic: releases in the writer and acquires in the reader order them
 * without fences, which thread sanitizers do not follow. */
#include "telemetry/exemplar.h"

enum { WORD_TRACE, WORD_TRACE_END, WORD_SPAN, WORD_VALUE, WORD_TIME, WORDS };

typedef struct slot {
    uint64_t sequence; /* 0: empty */
    uint64_t word[WORDS];
} slot;

struct sx_exemplars {
    size_t count;
    slot slots[];
};

static size_t slots_of(const sx_metric *metric)
{
    if (metric->kind != SX_METRIC_HISTOGRAM)
        return 1;
    return metric->bounds.count > 0 ? metric->bounds.count + 1 : SX_EXEMPLARS_NATIVE;
}

/* In the registry's arena, once for each series that ever has an exemplar. */
static sx_exemplars *make_slots(sx_series *s)
{
    sx_metrics *m = s->metric->registry;
    pthread_mutex_lock(&m->lock);
    sx_exemplars *made = __atomic_load_n(&s->exemplars, __ATOMIC_RELAXED);
    if (!made) {
        size_t count = slots_of(s->metric);
        made = (sx_exemplars *)sx_arena_calloc(&m->arena, 1, sizeof(*made) + count * sizeof(slot));
        if (made)
            made->count = count;
        __atomic_store_n(&s->exemplars, made, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&m->lock);
    return made;
}

void sx_exemplar_put(sx_series *s, size_t number, double value, const uint8_t trace_id[16],
                     const uint8_t span_id[8])
{
    uint64_t word[WORDS];
    memcpy(&word[WORD_TRACE], trace_id, 16);
    memcpy(&word[WORD_SPAN], span_id, 8);
    if ((word[WORD_TRACE] | word[WORD_TRACE_END]) == 0)
        return;
    word[WORD_VALUE] = sx_cell_bits(value);
    word[WORD_TIME] = (uint64_t)sx_series_now_ns(s);
    sx_exemplars *all = __atomic_load_n(&s->exemplars, __ATOMIC_ACQUIRE);
    if (!all && !(all = make_slots(s)))
        return;
    sx_assert(number < all->count);
    slot *to = &all->slots[number];
    uint64_t before = __atomic_load_n(&to->sequence, __ATOMIC_RELAXED);
    if (before % 2 == 1 || !__atomic_compare_exchange_n(&to->sequence, &before, before + 1, false,
                                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return; /* another writer is in it */
    for (size_t i = 0; i < WORDS; i++)
        __atomic_store_n(&to->word[i], word[i], __ATOMIC_RELEASE);
    __atomic_store_n(&to->sequence, before + 2, __ATOMIC_RELEASE);
}

size_t sx_exemplar_count(const sx_series *s)
{
    const sx_exemplars *all = __atomic_load_n(&s->exemplars, __ATOMIC_ACQUIRE);
    return all ? all->count : 0;
}

bool sx_exemplar_get(const sx_series *s, size_t number, sx_exemplar *out)
{
    enum { TRIES = 8 }; /* a writer is in it for nanoseconds, unless it was interrupted there */
    const sx_exemplars *all = __atomic_load_n(&s->exemplars, __ATOMIC_ACQUIRE);
    if (!all || number >= all->count)
        return false;
    const slot *from = &all->slots[number];
    for (int i = 0; i < TRIES; i++) {
        uint64_t word[WORDS];
        uint64_t before = __atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE);
        if (before == 0)
            return false;
        for (size_t k = 0; k < WORDS; k++)
            word[k] = __atomic_load_n(&from->word[k], __ATOMIC_ACQUIRE);
        if (before % 2 == 1 || __atomic_load_n(&from->sequence, __ATOMIC_RELAXED) != before)
            continue;
        memcpy(out->trace_id, &word[WORD_TRACE], 16);
        memcpy(out->span_id, &word[WORD_SPAN], 8);
        out->value = sx_cell_float(word[WORD_VALUE]);
        out->wall_ns = (int64_t)word[WORD_TIME];
        return true;
    }
    return false;
}

char *sx_exemplar_hex(char *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        *out++ = "0123456789abcdef"[bytes[i] >> 4];
        *out++ = "0123456789abcdef"[bytes[i] & 15];
    }
    return out;
}
