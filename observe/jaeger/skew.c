/* skew.c - clocks that differ: spans on another host than their parent's are moved to lie within it.
 *
 * A child that lasted longer than its parent is moved only so far that it does not begin before it;
 * any other that sticks out is put in the middle, as if the way there took as long as the way back.
 * Its descendants on the same host move along. Depth is the client's: no recursion here.
 * Behaviour of Jaeger 2.20. */
#include "codec/go_text.h"
#include "observe/jaeger/adjust.h"

typedef struct tree {
    uint32_t *first_child, *sibling;
    sx_str *hosts;
    uint32_t *stack; /* spans whose children wait */
    int64_t *delta;  /* of each span's host */
} tree;

/* What tells one machine from another: host.id, the (first) host.ip, host.name. */
static sx_str host_of(adjust *a, const span_resource *r)
{
    const span_value *v = span_attrs_find(r->attrs, SX_STR("host.id"));
    if (v)
        return v->type == SPAN_STR ? span_value_str(v) : sx_str_of(NULL, 0);
    v = span_attrs_find(r->attrs, SX_STR("host.ip"));
    if (v && v->type == SPAN_LIST && v->len) {
        sx_buf text;
        sx_buf_init(&text, 0);
        span_value_text(&v->items[0], &text);
        sx_str ip = sx_arena_copy(a->arena, sx_buf_view(&text));
        a->failed |= text.failed || !ip.data;
        sx_buf_done(&text);
        return ip;
    }
    if (v && v->type == SPAN_STR)
        return span_value_str(v);
    v = span_attrs_find(r->attrs, SX_STR("host.name"));
    return v && v->type == SPAN_STR ? span_value_str(v) : sx_str_of(NULL, 0);
}

static bool plant(adjust *a, tree *t)
{
    size_t n = a->count + 1;
    t->first_child = sx_arena_alloc(a->arena, n * sizeof *t->first_child);
    t->sibling = sx_arena_alloc(a->arena, n * sizeof *t->sibling);
    t->stack = sx_arena_alloc(a->arena, n * sizeof *t->stack);
    t->delta = sx_arena_calloc(a->arena, n, sizeof *t->delta);
    t->hosts = sx_arena_alloc(a->arena, n * sizeof *t->hosts);
    if (!t->first_child || !t->sibling || !t->stack || !t->delta || !t->hosts) {
        a->failed = true;
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        bool same = i && a->spans[i].resource == a->spans[i - 1].resource;
        t->hosts[i] = same ? t->hosts[i - 1] : host_of(a, a->spans[i].resource);
        t->first_child[i] = t->sibling[i] = ADJUST_NONE;
    }
    return true;
}

static int64_t minus(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

static int64_t skew_of(const span *child, const span *parent)
{
    int64_t parent_ns = minus(parent->end_ns, parent->start_ns);
    int64_t child_ns = minus(child->end_ns, child->start_ns);
    if (child_ns > parent_ns)
        return child->start_ns < parent->start_ns ? minus(parent->start_ns, child->start_ns) : 0;
    if (child->start_ns >= parent->start_ns && child->end_ns <= parent->end_ns)
        return 0;
    uint64_t latency = ((uint64_t)parent_ns - (uint64_t)child_ns) / 2;
    return minus(parent->start_ns + latency, child->start_ns);
}

static void warn_skew(adjust *a, size_t i, const char *before, int64_t delta, const char *middle,
                      uint64_t max_ns)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_str(&text, sx_str_z(before));
    if (max_ns) {
        go_duration_write((int64_t)max_ns, &text);
        sx_buf_str(&text, sx_str_z(middle));
    }
    go_duration_write(delta, &text);
    adjust_warn(a, i,
                text.failed ? sx_str_of(NULL, 0) : sx_arena_copy(a->arena, sx_buf_view(&text)));
    sx_buf_done(&text);
}

static void shift(adjust *a, size_t i, int64_t delta, uint64_t max_ns)
{
    span *s = &a->spans[i];
    uint64_t far = delta < 0 ? 0 - (uint64_t)delta : (uint64_t)delta;
    if (delta == 0)
        return;
    if (max_ns == 0) {
        warn_skew(a, i, "clock skew adjustment disabled; not applying calculated delta of ", delta,
                  "", 0);
        return;
    }
    if (far > max_ns) {
        warn_skew(a, i, "max clock skew adjustment delta of ", delta,
                  " exceeded; not applying calculated delta of ",
                  max_ns > INT64_MAX ? INT64_MAX : max_ns);
        return;
    }
    s->start_ns += (uint64_t)delta;
    s->end_ns += (uint64_t)delta;
    warn_skew(a, i, "This span's timestamps were adjusted by ", delta, "", 0);
    if (s->event_count == 0)
        return;
    span_event *events = sx_arena_alloc(a->arena, s->event_count * sizeof *events);
    if (!events) {
        a->failed = true;
        return;
    }
    memcpy(events, s->events, s->event_count * sizeof *events);
    for (uint32_t e = 0; e < s->event_count; e++)
        events[e].time_ns += (uint64_t)delta;
    s->events = events;
}

/* Everything below a root, parents before their children. */
static void walk(adjust *a, tree *t, uint32_t root, uint64_t max_ns)
{
    size_t depth = 0;
    t->stack[depth++] = root;
    while (depth) {
        uint32_t at = t->stack[--depth];
        for (uint32_t c = t->first_child[at]; c != ADJUST_NONE; c = t->sibling[c]) {
            bool other = t->hosts[c].len == 0 || !sx_str_eq(t->hosts[c], t->hosts[at]);
            t->delta[c] = other ? skew_of(&a->spans[c], &a->spans[at]) : t->delta[at];
            shift(a, c, t->delta[c], max_ns);
            t->stack[depth++] = c;
        }
    }
}

void adjust_skew(adjust *a, uint64_t max_ns)
{
    tree t = {0};
    if (!plant(a, &t))
        return;
    for (size_t i = 0; i < a->count; i++) {
        const span *s = &a->spans[i];
        if (adjust_find(a, s->id) != i) {
            adjust_warn(a, i, SX_STR("duplicate span IDs; skipping clock skew adjustment"));
            continue;
        }
        if (adjust_no_id(s->parent))
            continue;
        uint32_t parent = adjust_find(a, s->parent);
        if (parent == ADJUST_NONE) {
            const uint8_t *p = s->parent;
            adjust_warn(a, i,
                        sx_arena_printf(a->arena,
                                        "parent span ID=%02x%02x%02x%02x%02x%02x%02x%02x is not in "
                                        "the trace; skipping clock skew adjustment",
                                        p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]));
            continue;
        }
        t.sibling[i] = t.first_child[parent];
        t.first_child[parent] = (uint32_t)i;
    }
    for (uint32_t i = 0; i < a->count && !a->failed; i++)
        if (adjust_find(a, a->spans[i].id) == i &&
            (adjust_no_id(a->spans[i].parent) || adjust_find(a, a->spans[i].parent) == ADJUST_NONE))
            walk(a, &t, i, max_ns);
}
