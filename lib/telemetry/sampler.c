/* sampler.c - decides which traces are recorded.
 *
 * In this order: what the parent says (unless told to ignore it), the first rule that fits, the
 * ratio and rate for the rest. A ratio is judged by the trace id, so that every service that sees a
 * trace decides the same; a rate is a bucket of tokens, of which a second's worth (at least one) may
 * be saved up, kept as a single moment (the generic cell rate algorithm) so that a decision is one
 * compare-and-swap.
 *
 * The ratio's rule is the one of OpenTelemetry's SDKs for traceidratio as they are today (Go, Python,
 * JavaScript, .NET differ in details, Go's is taken): the last 8 bytes of the trace id, big-endian,
 * without their lowest bit, below ratio * 2^63. The rule of OTEP 235 (the last 7 bytes against a
 * threshold in tracestate, keeping the upper end) would keep other traces than these SDKs and break
 * traces across services; it can come when they change. Called by span.c at every start. */
#include "telemetry/sampler.h"

#include <math.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/number.h>

enum { RULES_MAX = 1000 };

/* A share of traces, and of those so many a second. */
typedef struct gate {
    uint64_t below;      /* of 2^63 */
    int64_t interval_ns; /* between two at the full rate; 0: no rate */
    int64_t saved_ns;    /* how far ahead of now the bucket may be taken */
    int64_t ready_ns; /* atomic, relaxed: when the bucket will be full again; guards nothing else */
} gate;

typedef struct rule {
    sx_str name, key, value; /* in the sampler's block */
    int kind;
    gate gate;
} rule;

struct sx_sampler {
    struct sx_sampler *older; /* the tracer's */
    bool ignore_parent;
    gate rest;
    size_t rule_count;
    rule rules[]; /* then their texts */
};

static const uint64_t ALL = (uint64_t)1 << 63;

static sx_status check_gate(double ratio, double per_second, const char *what, sx_error *err)
{
    if (!(ratio >= 0 && ratio <= 1))
        return sx_fail(err, SX_EINVAL, "%s has the ratio %g; write a share from 0 to 1", what,
                       ratio);
    if (!(per_second >= 0))
        return sx_fail(err, SX_EINVAL, "%s has %g spans a second; write 0 (any number) or more",
                       what, per_second);
    return SX_OK;
}

/* The slowest rate is one in 31 years, so that no sum with a clock overflows; the fastest that is
 * still counted is one a nanosecond. */
static gate make_gate(double ratio, double per_second)
{
    static const double SLOWEST_NS = 1e18;
    gate g = {.below = ratio >= 1 ? ALL : (uint64_t)(ratio * 0x1p63)};
    if (per_second > 0 && per_second < 1e9) {
        double interval_ns = ceil(1e9 / per_second);
        g.interval_ns = interval_ns < SLOWEST_NS ? (int64_t)interval_ns : (int64_t)SLOWEST_NS;
        g.saved_ns = g.interval_ns > 1000000000 ? g.interval_ns : 1000000000;
    }
    return g;
}

static sx_str copy_text(sx_str text, char **at)
{
    if (text.len == 0)
        return SX_STR("");
    memcpy(*at, text.data, text.len);
    sx_str copy = sx_str_of(*at, text.len);
    *at += text.len;
    return copy;
}

static sx_status check_sampling(const sx_sampling *s, size_t *text_bytes, sx_error *err)
{
    if (s->rule_count > RULES_MAX)
        return sx_fail(err, SX_EINVAL, "there are %zu sampling rules; at most %d are allowed",
                       s->rule_count, RULES_MAX);
    for (size_t i = 0; i < s->rule_count; i++) {
        const sx_sampling_rule *r = &s->rules[i];
        char what[40];
        snprintf(what, sizeof(what), "sampling rule %zu", i + 1);
        sx_status status = check_gate(r->ratio, r->per_second_max, what, err);
        if (status != SX_OK)
            return status;
        if (r->kind < 0 || r->kind > SX_SPAN_CONSUMER)
            return sx_fail(err, SX_EINVAL,
                           "%s is for spans of kind %d, which there is not; "
                           "write 1 to 5, or 0 for any",
                           what, r->kind);
        *text_bytes += r->name.len + r->key.len + r->value.len;
    }
    return check_gate(s->ratio_set ? s->ratio : 1, s->per_second_max, "sampling", err);
}

sx_status sx_sampler_new(const sx_sampling *sampling, sx_sampler **out, sx_error *err)
{
    size_t text_bytes = 0;
    sx_status status = check_sampling(sampling, &text_bytes, err);
    if (status != SX_OK)
        return status;
    size_t rules_bytes = sampling->rule_count * sizeof(rule);
    sx_sampler *s = sx_calloc(1, sizeof(*s) + rules_bytes + text_bytes);
    if (!s)
        return sx_fail_memory(err, "sampling rules");
    char *at = (char *)s + sizeof(*s) + rules_bytes;
    s->ignore_parent = sampling->ignore_parent;
    s->rest = make_gate(sampling->ratio_set ? sampling->ratio : 1, sampling->per_second_max);
    s->rule_count = sampling->rule_count;
    for (size_t i = 0; i < s->rule_count; i++) {
        const sx_sampling_rule *from = &sampling->rules[i];
        s->rules[i] =
            (rule){.kind = from->kind, .gate = make_gate(from->ratio, from->per_second_max)};
        s->rules[i].name = copy_text(from->name, &at);
        s->rules[i].key = copy_text(from->key, &at);
        s->rules[i].value = copy_text(from->value, &at);
    }
    *out = s;
    return SX_OK;
}

void sx_sampler_free(sx_sampler *s)
{
    sx_free(s);
}

sx_sampler **sx_sampler_older(sx_sampler *s)
{
    return &s->older;
}

static bool gates_equal(const gate *a, const gate *b)
{
    return a->below == b->below && a->interval_ns == b->interval_ns;
}

bool sx_sampler_equal(const sx_sampler *a, const sx_sampler *b)
{
    if (a->ignore_parent != b->ignore_parent || a->rule_count != b->rule_count ||
        !gates_equal(&a->rest, &b->rest))
        return false;
    for (size_t i = 0; i < a->rule_count; i++) {
        const rule *x = &a->rules[i], *y = &b->rules[i];
        if (x->kind != y->kind || !gates_equal(&x->gate, &y->gate) ||
            !sx_str_eq(x->name, y->name) || !sx_str_eq(x->key, y->key) ||
            !sx_str_eq(x->value, y->value))
            return false;
    }
    return true;
}

/* ---- deciding ---- */

/* When a '*' has taken too little, it takes one byte more: the last '*' alone need be tried again,
 * so the work is at most the product of the lengths. */
bool sx_glob_fits(sx_str pattern, sx_str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, taken = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            taken = t;
        } else if (p < pattern.len && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}

/* What a rule's value is held against. */
static sx_str text_of(const sx_field *f, char room[SX_DOUBLE_BYTES])
{
    switch (f->kind) {
    case SX_FIELD_STR:
    case SX_FIELD_JSON:
        return f->str;
    case SX_FIELD_BOOL:
        return f->truth ? SX_STR("true") : SX_STR("false");
    case SX_FIELD_I64:
        return sx_str_of(room, (size_t)snprintf(room, SX_DOUBLE_BYTES, "%lld", (long long)f->i64));
    case SX_FIELD_U64:
        return sx_str_of(
            room, (size_t)snprintf(room, SX_DOUBLE_BYTES, "%llu", (unsigned long long)f->u64));
    case SX_FIELD_DOUBLE:
        return sx_str_of(room, sx_double_format(f->number, SX_DOUBLE_JS, room));
    }
    return SX_STR("");
}

static bool attribute_fits(const rule *r, const sx_span_options *span)
{
    char room[SX_DOUBLE_BYTES];
    for (size_t i = 0; i < span->attribute_count; i++) {
        const sx_field *f = &span->attributes[i];
        if (f->key && sx_str_eq(sx_str_z(f->key), r->key) &&
            (r->value.len == 0 || sx_glob_fits(r->value, text_of(f, room))))
            return true;
    }
    return false;
}

static bool rule_fits(const rule *r, const sx_span_options *span)
{
    int kind = span->kind ? (int)span->kind : SX_SPAN_INTERNAL;
    return (r->kind == 0 || r->kind == kind) &&
           (r->name.len == 0 || sx_glob_fits(r->name, span->name)) &&
           (r->key.len == 0 || attribute_fits(r, span));
}

/* Takes a token if there is one. */
static bool take(gate *g, int64_t now_ns)
{
    int64_t ready = __atomic_load_n(&g->ready_ns, __ATOMIC_RELAXED), next;
    do {
        int64_t from = ready > now_ns ? ready : now_ns;
        next = from + g->interval_ns;
        if (next - now_ns > g->saved_ns)
            return false;
    } while (!__atomic_compare_exchange_n(&g->ready_ns, &ready, next, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

static bool pass(gate *g, const sx_sampler_question *q)
{
    if (g->below < ALL) {
        uint64_t tail;
        memcpy(&tail, q->trace_id + 8, sizeof(tail));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        tail = __builtin_bswap64(tail);
#endif
        if (tail >> 1 >= g->below)
            return false;
    }
    return g->interval_ns == 0 || take(g, sx_clock_mono_ns(q->clock));
}

/* Whether the parent has a decision: B3 may leave it open, or send nothing else. */
static bool parent_decides(const sx_span_context *parent)
{
    if (!parent)
        return false;
    if (parent->flags & SX_TRACE_DECIDED)
        return true;
    return !(parent->flags & SX_TRACE_DEFERRED) && sx_span_context_valid(parent);
}

bool sx_sampler_decide(sx_sampler *s, const sx_sampler_question *q)
{
    if (!s->ignore_parent && parent_decides(q->parent))
        return q->parent->flags & SX_TRACE_SAMPLED;
    for (size_t i = 0; i < s->rule_count; i++)
        if (rule_fits(&s->rules[i], q->span))
            return pass(&s->rules[i].gate, q);
    return pass(&s->rest, q);
}
