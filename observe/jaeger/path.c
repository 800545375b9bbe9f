/* path.c - critical path and comparison. See path.h. Depth is the client's: no recursion here. */
#include "observe/jaeger/path.h"

#include <stdlib.h>

#include <sextant/hash.h>

#include "observe/jaeger/adjust.h"

/* Children of each span stand together, those that end last first. */
typedef struct child {
    uint32_t parent, index; /* parent ADJUST_NONE: a root */
    uint64_t end_ns;
} child;

typedef struct tree {
    adjust a; /* for its index of ids */
    child *children;
    uint32_t *first; /* of each span in children; count + 1 of them */
    size_t root;     /* where roots begin in children */
} tree;

static int by_parent(const void *a, const void *b)
{
    const child *x = a, *y = b;
    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    if (x->end_ns != y->end_ns)
        return x->end_ns > y->end_ns ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Cuts each cycle: who is met again on the way up from a span becomes a root. */
static void cut_cycles(uint32_t *parents, uint32_t *mark, size_t count)
{
    for (uint32_t i = 0; i < count; i++)
        mark[i] = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = i;
        while (at != ADJUST_NONE && mark[at] == 0) {
            mark[at] = i + 1;
            at = parents[at];
        }
        if (at != ADJUST_NONE && mark[at] == i + 1)
            parents[at] = ADJUST_NONE;
    }
}

static sx_status plant(tree *t, const span_batch *trace, sx_arena *arena, sx_error *err)
{
    size_t n = trace->count;
    *t = (tree){.a = {.arena = arena, .count = n}};
    t->a.spans = sx_arena_alloc(arena, (n + 1) * sizeof *t->a.spans);
    t->children = sx_arena_alloc(arena, (n + 1) * sizeof *t->children);
    t->first = sx_arena_calloc(arena, n + 2, sizeof *t->first);
    uint32_t *parents = sx_arena_alloc(arena, (n + 1) * sizeof *parents);
    uint32_t *mark = sx_arena_alloc(arena, (n + 1) * sizeof *mark);
    if (!t->a.spans || !t->children || !t->first || !parents || !mark)
        return sx_fail_memory(err, "the tree of a trace");
    for (size_t i = 0; i < n; i++)
        t->a.spans[i] = *trace->spans[i];
    adjust_index(&t->a);
    if (t->a.failed)
        return sx_fail_memory(err, "the tree of a trace");
    for (size_t i = 0; i < n; i++)
        parents[i] = adjust_no_id(t->a.spans[i].parent) ? ADJUST_NONE
                                                        : adjust_find(&t->a, t->a.spans[i].parent);
    cut_cycles(parents, mark, n);
    for (uint32_t i = 0; i < n; i++)
        t->children[i] = (child){parents[i], i, t->a.spans[i].end_ns};
    qsort(t->children, n, sizeof *t->children, by_parent);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        t->first[i] = (uint32_t)at;
        while (at < n && t->children[at].parent == i)
            at++;
    }
    t->first[n] = (uint32_t)at;
    t->root = at;
    return SX_OK;
}

/* --- Critical path. */

/* A span under way: what is left of it ends at `to`. */
typedef struct step {
    uint32_t span, next, last; /* children from next to last - 1 are to be looked at */
    uint64_t from, to;
} step;

typedef struct sections {
    jaeger_section *items; /* the last first */
    size_t count, cap;
} sections;

static bool add_section(sections *x, sx_arena *arena, const span *s, uint64_t from, uint64_t to)
{
    if (to <= from)
        return true;
    if (!sx_arena_grow(arena, &x->items, &x->cap, x->count + 1, sizeof *x->items))
        return false;
    x->items[x->count++] = (jaeger_section){s, from, to};
    return true;
}

static step step_into(const tree *t, uint32_t i, uint64_t from, uint64_t to)
{
    return (step){i, t->first[i], t->first[i + 1], from, to};
}

/* The next child that ended by `to` and lies within the span, if any; *from, *end are its part. */
static bool next_child(const tree *t, step *at, uint32_t *index, uint64_t *from, uint64_t *end)
{
    uint64_t bound = t->a.spans[at->span].end_ns;
    while (at->next < at->last) {
        const span *s = &t->a.spans[t->children[at->next].index];
        uint64_t stop = s->end_ns < bound ? s->end_ns : bound;
        *index = t->children[at->next++].index;
        *from = s->start_ns > at->from ? s->start_ns : at->from;
        *end = stop;
        if (stop <= at->to && stop > *from)
            return true;
    }
    return false;
}

sx_status jaeger_critical_path(const span_batch *trace, sx_arena *arena, jaeger_section **out,
                               size_t *count, sx_error *err)
{
    tree t;
    sections found = {0};
    *count = 0;
    *out = NULL;
    sx_status status = plant(&t, trace, arena, err);
    step *stack =
        status == SX_OK ? sx_arena_alloc(arena, (trace->count + 1) * sizeof *stack) : NULL;
    if (status != SX_OK || !stack)
        return sx_fail_memory(err, "a critical path");
    uint32_t root = ADJUST_NONE;
    uint64_t longest = 0;
    for (size_t i = t.root; i < trace->count; i++) {
        const span *s = &t.a.spans[t.children[i].index];
        uint64_t ns = s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
        if (root == ADJUST_NONE || ns > longest) {
            root = t.children[i].index;
            longest = ns;
        }
    }
    if (root == ADJUST_NONE)
        return SX_OK;
    size_t depth = 0;
    stack[depth++] = step_into(&t, root, t.a.spans[root].start_ns, t.a.spans[root].end_ns);
    bool fits = true;
    while (depth && fits) {
        step *at = &stack[depth - 1];
        uint32_t index;
        uint64_t from, end;
        if (!next_child(&t, at, &index, &from, &end)) {
            fits = add_section(&found, arena, trace->spans[at->span], at->from, at->to);
            depth--;
            continue;
        }
        fits = add_section(&found, arena, trace->spans[at->span], end, at->to);
        at->to = from;
        stack[depth++] = step_into(&t, index, from, end);
    }
    if (!fits)
        return sx_fail_memory(err, "a critical path");
    for (size_t i = 0; i < found.count / 2; i++) {
        jaeger_section swap = found.items[i];
        found.items[i] = found.items[found.count - 1 - i];
        found.items[found.count - 1 - i] = swap;
    }
    *out = found.items;
    *count = found.count;
    return SX_OK;
}

/* --- Comparison. */

typedef struct places {
    jaeger_place *items;
    size_t count, cap;
    uint32_t *slots; /* open addressing: index + 1 */
    size_t mask;
    sx_arena *arena;
} places;

static uint64_t hash_place(uint32_t parent, sx_str service, sx_str operation)
{
    return sx_hash(operation, sx_hash(service, parent));
}

static bool make_room(places *p)
{
    if (p->slots && p->count * 2 <= p->mask)
        return true;
    size_t size = p->slots ? (p->mask + 1) * 2 : 64;
    p->slots = sx_arena_calloc(p->arena, size, sizeof *p->slots);
    if (!p->slots)
        return false;
    p->mask = size - 1;
    for (size_t i = 0; i < p->count; i++) {
        const jaeger_place *x = &p->items[i];
        size_t at = (size_t)hash_place(x->parent, x->service, x->operation) & p->mask;
        while (p->slots[at])
            at = (at + 1) & p->mask;
        p->slots[at] = (uint32_t)i + 1;
    }
    return true;
}

/* The place below `parent`; ADJUST_NONE without memory. */
static uint32_t place_of(places *p, uint32_t parent, sx_str service, sx_str operation)
{
    if (!make_room(p))
        return ADJUST_NONE;
    size_t at = (size_t)hash_place(parent, service, operation) & p->mask;
    for (; p->slots[at]; at = (at + 1) & p->mask) {
        const jaeger_place *x = &p->items[p->slots[at] - 1];
        if (x->parent == parent && sx_str_eq(x->service, service) &&
            sx_str_eq(x->operation, operation))
            return p->slots[at] - 1;
    }
    if (!sx_arena_grow(p->arena, &p->items, &p->cap, p->count + 1, sizeof *p->items))
        return ADJUST_NONE;
    p->items[p->count] =
        (jaeger_place){.parent = parent,
                       .depth = parent == ADJUST_NONE ? 0 : p->items[parent].depth + 1,
                       .service = service,
                       .operation = operation};
    p->slots[at] = (uint32_t)p->count + 1;
    return (uint32_t)p->count++;
}

static bool add_span(places *p, uint32_t parent, const span *s, int side, uint32_t *place)
{
    *place = place_of(p, parent, jaeger_service_name(s->resource), jaeger_operation_name(s));
    if (*place == ADJUST_NONE)
        return false;
    jaeger_place *x = &p->items[*place];
    x->count[side]++;
    x->errors[side] += s->status == SPAN_ERROR;
    x->duration_ns[side] += s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
    return true;
}

static sx_status add_trace(places *p, const span_batch *trace, int side, sx_error *err)
{
    tree t;
    sx_status status = plant(&t, trace, p->arena, err);
    if (status != SX_OK)
        return status;
    uint32_t *stack = sx_arena_alloc(p->arena, (trace->count + 1) * sizeof *stack);
    uint32_t *place = sx_arena_alloc(p->arena, (trace->count + 1) * sizeof *place);
    bool fits = stack && place;
    size_t depth = 0;
    for (size_t i = trace->count; fits && i-- > t.root;) {
        uint32_t root = t.children[i].index;
        fits = add_span(p, ADJUST_NONE, &t.a.spans[root], side, &place[root]);
        stack[depth++] = root;
    }
    while (depth && fits) {
        uint32_t at = stack[--depth];
        for (uint32_t c = t.first[at]; c < t.first[at + 1] && fits; c++) {
            uint32_t below = t.children[c].index;
            fits = add_span(p, place[at], &t.a.spans[below], side, &place[below]);
            stack[depth++] = below;
        }
    }
    return fits ? SX_OK : sx_fail_memory(err, "comparing traces");
}

sx_status jaeger_compare(const span_batch *a, const span_batch *b, sx_arena *arena,
                         jaeger_place **out, size_t *count, sx_error *err)
{
    places p = {.arena = arena};
    *count = 0;
    *out = NULL;
    sx_status status = add_trace(&p, a, 0, err);
    if (status == SX_OK)
        status = add_trace(&p, b, 1, err);
    *out = p.items;
    *count = p.count;
    return status;
}
