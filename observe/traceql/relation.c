/* relation.c - how spans of a trace stand to each other, in time that grows with the trace and not with
 * the product of the two sides. */
#include "observe/traceql/eval.h"

static void children(const tq_trace *t, const uint8_t *l, uint8_t *out)
{
    for (uint32_t i = 0; i < t->count; i++)
        out[i] = t->parent[i] != TQ_NONE && l[t->parent[i]];
}

static void parents(const tq_trace *t, const uint8_t *l, uint8_t *out)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (l[i] && t->parent[i] != TQ_NONE)
            out[t->parent[i]] = 1;
}

static void descendants(const tq_trace *t, const uint8_t *l, uint8_t *out)
{
    for (uint32_t k = 0; k < t->ordered; k++) {
        uint32_t i = t->order[k], p = t->parent[i];
        out[i] = p != TQ_NONE && (l[p] || out[p]);
    }
}

static void ancestors(const tq_trace *t, const uint8_t *l, uint8_t *out)
{
    for (uint32_t k = t->ordered; k-- > 0;) {
        uint32_t i = t->order[k], p = t->parent[i];
        if (p != TQ_NONE && (l[i] || out[i]))
            out[p] = 1;
    }
}

/* Spans with another one of `l` in their family. */
static bool siblings(sx_arena *arena, const tq_trace *t, const uint8_t *l, uint8_t *out)
{
    uint32_t *members = sx_arena_calloc(arena, t->families + 1, sizeof *members);
    if (!members)
        return false;
    for (uint32_t i = 0; i < t->count; i++)
        members[t->family[i]] += l[i] != 0;
    for (uint32_t i = 0; i < t->count; i++)
        out[i] = members[t->family[i]] > (l[i] != 0);
    return true;
}

bool tq_relate(sx_arena *arena, tq_op op, const tq_trace *t, const uint8_t *l, const uint8_t *r,
               uint8_t *out)
{
    memset(out, 0, t->count);
    switch ((tq_op)(TQ_CHILD + (op - TQ_CHILD) % 5)) {
    case TQ_CHILD:
        children(t, l, out);
        break;
    case TQ_PARENT_OF:
        parents(t, l, out);
        break;
    case TQ_DESCENDANT:
        descendants(t, l, out);
        break;
    case TQ_ANCESTOR:
        ancestors(t, l, out);
        break;
    default:
        if (!siblings(arena, t, l, out))
            return false;
    }
    for (uint32_t i = 0; i < t->count; i++)
        out[i] = out[i] && r[i];
    return true;
}
