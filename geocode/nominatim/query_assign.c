/* query_assign.c - all ways in which the words of a query can play their parts.
 *
 * A walk over the query's tokens builds sequences of typed stretches. What may follow what depends on the
 * direction in which an address is read: a house number before the street, a country at the end (left to
 * right, 1), the other way round (-1), or not known yet (0). A whole sequence gives assignments: which
 * stretch of names is the name, and where it may be cut into name and address. The rules and their
 * penalties are those of Nominatim 5.3.3. */
#include "geocode/nominatim/query.h"

enum { FORWARD = 1, BACKWARD = -1, IMPOSSIBLE = 9, ADDRESS_WORDS_MAX = 50 };

typedef struct stretch {
    uint8_t kind, start, end;
} stretch;

typedef struct sequence {
    double penalty;
    int direction;
    uint32_t count;
    stretch items[NOM_NODES_MAX];
} sequence;

typedef struct walk {
    nom_ask *q;
    nom_assignment_each *each;
    void *context;
    sequence **todo;
    size_t todo_count, todo_cap;
    sequence *spare; /* used up, to be used again */
    uint32_t steps, found;
    bool stopped;
} walk;

static bool has(const sequence *s, nom_token_kind kind)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].kind == kind)
            return true;
    return false;
}

static int after_number(const sequence *s)
{
    bool late = has(s, NOM_T_POSTCODE) || has(s, NOM_T_COUNTRY);
    if (s->direction == FORWARD) {
        bool qualified = s->count == 1 && s->items[0].kind == NOM_T_QUALIFIER;
        return qualified || s->count > 2 || late ? IMPOSSIBLE : FORWARD;
    }
    return s->direction == BACKWARD || late ? BACKWARD : s->direction;
}

static int after_postcode(const sequence *s)
{
    bool before = has(s, NOM_T_NUMBER) || has(s, NOM_T_QUALIFIER);
    if (s->direction == BACKWARD)
        return before ? IMPOSSIBLE : BACKWARD;
    if (s->direction == FORWARD)
        return has(s, NOM_T_COUNTRY) ? IMPOSSIBLE : FORWARD;
    return before ? FORWARD : s->direction;
}

static int after_qualifier(const sequence *s)
{
    const stretch *i = s->items;
    if (s->direction == FORWARD) {
        bool one = s->count == 1 && (i[0].kind == NOM_T_PARTIAL || i[0].kind == NOM_T_NEAR);
        bool two = s->count == 2 && i[0].kind == NOM_T_NEAR && i[1].kind == NOM_T_PARTIAL;
        return one || two ? FORWARD : IMPOSSIBLE;
    }
    if (s->direction == BACKWARD)
        return BACKWARD;
    uint32_t count = s->count - (i[0].kind == NOM_T_NEAR);
    if (count == 0)
        return FORWARD;
    if (count == 1 && i[0].kind == NOM_T_NUMBER)
        return IMPOSSIBLE;
    return count > 1 || has(s, NOM_T_POSTCODE) || has(s, NOM_T_COUNTRY) ? BACKWARD : 0;
}

/* The direction after a token of this kind; IMPOSSIBLE: it cannot follow. */
static int direction_after(const sequence *s, nom_token_kind kind)
{
    if (kind == NOM_T_WORD)
        return IMPOSSIBLE;
    if (s->count == 0)
        return kind == NOM_T_COUNTRY                             ? BACKWARD
               : kind == NOM_T_NUMBER || kind == NOM_T_QUALIFIER ? FORWARD
                                                                 : s->direction;
    if (kind == NOM_T_PARTIAL) {
        for (uint32_t i = 0; i + 1 < s->count && s->direction == BACKWARD; i++)
            if (s->items[i].kind == NOM_T_QUALIFIER)
                return IMPOSSIBLE;
        return s->direction;
    }
    if (has(s, kind))
        return IMPOSSIBLE;
    switch (kind) {
    case NOM_T_NUMBER:
        return after_number(s);
    case NOM_T_POSTCODE:
        return after_postcode(s);
    case NOM_T_COUNTRY:
        return s->direction == BACKWARD ? IMPOSSIBLE : FORWARD;
    case NOM_T_QUALIFIER:
        return after_qualifier(s);
    default:
        return s->direction;
    }
}

/* More than one stretch of names before (or behind) the house number. */
static bool adapt(sequence *s, uint32_t names, int direction)
{
    if (names < 2)
        return true;
    if (s->direction == 0)
        s->direction = direction;
    else if (names == 2)
        s->penalty += 0.8;
    else
        return false;
    return true;
}

/* Whether a whole sequence makes sense; its direction and penalty may change. */
static bool recheck(sequence *s)
{
    uint32_t number = 0, before = 0, behind = 0;
    while (number < s->count && s->items[number].kind != NOM_T_NUMBER)
        before += s->items[number++].kind == NOM_T_PARTIAL;
    if (number == s->count)
        return true;
    for (uint32_t i = number + 1; i < s->count; i++)
        behind += s->items[i].kind == NOM_T_PARTIAL;
    if (s->direction != BACKWARD && !adapt(s, before, BACKWARD))
        return false;
    if (s->direction != FORWARD && !adapt(s, behind, FORWARD))
        return false;
    if (has(s, NOM_T_NEAR))
        s->penalty += 1.0;
    return true;
}

/* --- Assignments of a sequence. */

static void give(walk *w, const nom_assignment *a)
{
    if (w->stopped)
        return;
    w->stopped = ++w->found > NOM_ASSIGNMENTS_MAX || !w->each(w->context, a);
}

static nom_assignment base_of(const sequence *s)
{
    nom_assignment a = {.penalty = 0};
    for (uint32_t i = 0; i < s->count; i++) {
        nom_range r = {s->items[i].start, s->items[i].end};
        switch (s->items[i].kind) {
        case NOM_T_PARTIAL:
            a.address[a.address_count++] = r;
            break;
        case NOM_T_NUMBER:
            a.number = r;
            break;
        case NOM_T_POSTCODE:
            a.postcode = r;
            break;
        case NOM_T_COUNTRY:
            a.country = r;
            break;
        case NOM_T_NEAR:
            a.near = r;
            break;
        default:
            a.qualifier = r;
        }
    }
    return a;
}

static nom_assignment without_first(const nom_assignment *base)
{
    nom_assignment a = *base;
    a.address_count--;
    memmove(a.address, base->address + 1, a.address_count * sizeof(nom_range));
    return a;
}

static void keep_least(double *least, double penalty)
{
    if (penalty < *least)
        *least = penalty;
}

static void forward(walk *w, const sequence *s, const nom_assignment *base, double *least)
{
    nom_range first = base->address[0];
    const nom_ask *q = w->q;
    if (nom_is_range(base->postcode) && base->postcode.end <= first.start)
        return; /* the postcode comes behind the name */
    double penalty = s->penalty;
    if (!nom_is_range(base->country) && s->direction == FORWARD && q->direction > 0)
        penalty += q->direction;
    nom_assignment a = without_first(base);
    a.name = first;
    a.penalty = penalty;
    keep_least(least, a.penalty);
    give(w, &a);
    if ((nom_is_range(base->number) && first.end < base->number.start) ||
        (nom_is_range(base->qualifier) && base->qualifier.start >= first.end) ||
        q->nodes[first.start].kind != NOM_ANY)
        return;
    if ((nom_is_range(base->number) && base->number.start >= first.end) || q->part_count > 1)
        penalty += 0.25;
    if (s->direction == 0 && q->direction > 0)
        penalty += q->direction;
    for (uint8_t i = (uint8_t)(first.start + 1); i < first.end; i++) {
        a = *base;
        a.name = (nom_range){first.start, i};
        a.address[0] = (nom_range){i, first.end};
        a.penalty = penalty + nom_break_penalty(&q->nodes[i]);
        keep_least(least, a.penalty);
        give(w, &a);
    }
}

static void backward(walk *w, const sequence *s, const nom_assignment *base, double *least)
{
    nom_range last = base->address[base->address_count - 1];
    const nom_ask *q = w->q;
    if (nom_is_range(base->postcode) && base->postcode.start >= last.end)
        return; /* the postcode comes before the name */
    double penalty = s->penalty;
    nom_assignment a = *base;
    if (!nom_is_range(base->country) && s->direction == BACKWARD && q->direction < 0)
        penalty -= q->direction;
    if (s->direction == BACKWARD || base->address_count > 1 || nom_is_range(base->postcode)) {
        a.address_count--;
        a.name = last;
        a.penalty = penalty;
        keep_least(least, a.penalty);
        give(w, &a);
    }
    if ((nom_is_range(base->number) && last.start > base->number.end) ||
        (nom_is_range(base->qualifier) && base->qualifier.end <= last.start) ||
        q->nodes[last.start].kind != NOM_ANY)
        return;
    if (nom_is_range(base->number) && base->number.end <= last.start)
        penalty += 0.4;
    if (q->part_count > 1)
        penalty += 0.25;
    if (s->direction == 0 && q->direction < 0)
        penalty -= q->direction;
    for (uint8_t i = (uint8_t)(last.start + 1); i < last.end; i++) {
        a = *base;
        a.address[a.address_count - 1] = (nom_range){last.start, i};
        a.name = (nom_range){i, last.end};
        a.penalty = penalty + nom_break_penalty(&q->nodes[i]);
        keep_least(least, a.penalty);
        give(w, &a);
    }
}

static void with_postcode(walk *w, const sequence *s, const nom_assignment *base)
{
    uint32_t all = w->q->node_count - 1;
    if (!(base->postcode.start == 0 && s->direction != BACKWARD) &&
        !(base->postcode.end == all && s->direction != FORWARD))
        return;
    nom_assignment a = *base;
    a.penalty = s->penalty + (base->postcode.start == 0 ? 0 : 0.1) +
                0.1 * (base->address_count > 1 ? base->address_count - 1 : 0);
    give(w, &a);
}

static void give_all(walk *w, sequence *s)
{
    nom_assignment base = base_of(s);
    uint32_t words = 0;
    for (uint32_t i = 0; i < base.address_count; i++)
        words += (uint32_t)(base.address[i].end - base.address[i].start);
    if (words > ADDRESS_WORDS_MAX)
        return;
    if (base.address_count == 0) {
        base.penalty = s->penalty;
        if (!nom_is_range(base.number) &&
            (nom_is_range(base.postcode) || nom_is_range(base.country) || nom_is_range(base.near)))
            give(w, &base);
        return;
    }
    if (nom_is_range(base.postcode)) {
        with_postcode(w, s, &base);
        if (base.postcode.start == 0)
            s->penalty += 0.1;
    }
    double least = s->penalty + 2.0;
    if (s->direction != BACKWARD)
        forward(w, s, &base, &least);
    if (s->direction != FORWARD)
        backward(w, s, &base, &least);
    if (nom_is_range(base.number) && !nom_is_range(base.qualifier)) {
        base.penalty = least + 0.1;
        give(w, &base);
    }
}

/* --- The walk. */

static sequence *copy_of(walk *w, const sequence *s)
{
    sequence *made = w->spare ? w->spare : sx_arena_alloc(w->q->arena, sizeof(*made));
    w->spare = NULL;
    if (!made) {
        w->q->failed = true;
        return NULL;
    }
    made->penalty = s->penalty;
    made->direction = s->direction;
    made->count = s->count;
    memcpy(made->items, s->items, s->count * sizeof(stretch));
    return made;
}

/* The sequence with one more token: a stretch of its own, or more of the last one. */
static void advance(walk *w, const sequence *s, nom_token_kind kind, uint32_t end, bool apart,
                    double break_penalty)
{
    int direction = direction_after(s, kind);
    if (direction == IMPOSSIBLE || w->stopped)
        return;
    sequence *next = copy_of(w, s);
    if (!next)
        return;
    next->direction = direction;
    if (!apart && next->count && next->items[next->count - 1].kind == kind) {
        next->items[next->count - 1].end = (uint8_t)end;
    } else {
        uint8_t start = next->count ? next->items[next->count - 1].end : 0;
        next->items[next->count++] = (stretch){(uint8_t)kind, start, (uint8_t)end};
        next->penalty += next->count > 1 ? break_penalty : 0;
    }
    uint8_t last = next->items[next->count - 1].kind;
    if (end + 1 == w->q->node_count) {
        if (recheck(next))
            give_all(w, next);
        w->spare = next;
    } else if (next->count > 1 && (last == NOM_T_COUNTRY || last == NOM_T_NEAR)) {
        w->spare = next; /* nothing can follow */
    } else if (sx_arena_grow(w->q->arena, &w->todo, &w->todo_cap, w->todo_count + 1,
                             sizeof(sequence *))) {
        w->todo[w->todo_count++] = next;
    } else {
        w->q->failed = true;
    }
}

void nom_ask_assign(nom_ask *q, nom_assignment_each *each, void *context)
{
    walk w = {.q = q, .each = each, .context = context};
    sequence start = {.direction = q->nodes[0].kind == NOM_ANY ? 0 : FORWARD};
    const sequence *s = &start;
    for (;;) {
        uint32_t at = s->count ? s->items[s->count - 1].end : 0;
        const nom_node *node = &q->nodes[at];
        double cost = nom_break_penalty(node);
        for (const nom_qlist *list = node->lists; list; list = list->next)
            advance(&w, s, (nom_token_kind)list->kind, list->end, true, cost);
        if (node->partial)
            advance(&w, s, NOM_T_PARTIAL, at + 1, node->ends == ',', cost);
        if (w.todo_count == 0 || w.stopped || q->failed || ++w.steps > NOM_STATES_MAX)
            return;
        s = w.todo[--w.todo_count];
    }
}
