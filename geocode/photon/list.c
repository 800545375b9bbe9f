/* list.c - places of the wanted categories, where a question has no words: the most important and, if
 * it names a place to look from, nearest ones. */
#include <math.h>

#include "geocode/photon/find.h"

enum { LISTED_MAX = 1 << 20 }; /* places looked at; beyond, the least important are left out */

/* --- The best so far. */

static bool is_worse(const nom_hit *a, const nom_hit *b)
{
    if (a->ranking != b->ranking)
        return a->ranking > b->ranking;
    return a->source != b->source ? a->source > b->source : a->id > b->id;
}

static void sink(nom_hit *items, uint32_t count, uint32_t at)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_worse(&items[child + 1], &items[child]))
            child++;
        if (!is_worse(&items[child], &items[at]))
            return;
        nom_hit hit = items[at];
        items[at] = items[child];
        items[child] = hit;
        at = child;
    }
}

sx_status photon_best_init(photon_best *b, sx_arena *arena, uint32_t cap, sx_error *err)
{
    *b = (photon_best){.items = sx_arena_calloc(arena, cap, sizeof(*b->items)), .cap = cap};
    return b->items ? SX_OK : sx_fail_memory(err, "the places found");
}

void photon_best_offer(photon_best *b, const nom_hit *hit)
{
    if (b->count == b->cap) {
        if (!is_worse(&b->items[0], hit))
            return;
        b->items[0] = *hit;
        sink(b->items, b->count, 0);
        return;
    }
    uint32_t at = b->count++;
    for (; at > 0 && is_worse(hit, &b->items[(at - 1) / 2]); at = (at - 1) / 2)
        b->items[at] = b->items[(at - 1) / 2];
    b->items[at] = *hit;
}

double photon_best_most(const photon_best *b)
{
    return b->count == b->cap ? b->items[0].ranking : INFINITY;
}

void photon_best_take(photon_best *b, nom_hits *out)
{
    *out = (nom_hits){b->items, b->count, b->cap};
    for (uint32_t left = b->count; left > 1;) {
        nom_hit worst = b->items[0];
        b->items[0] = b->items[--left];
        b->items[left] = worst;
        sink(b->items, left, 0);
    }
}

/* --- The categories. */

static void list_category(const photon_asked *a, const plc_disk_category *c, uint32_t *looked,
                          photon_best *best)
{
    const plc_index *ix = a->index->places;
    const plc_bytes *ids = &ix->s[PLC_S_CATEGORY_PLACES];
    const uint32_t *id = (const uint32_t *)(const void *)ids->data;
    if (c->first > ids->count || c->count > ids->count - c->first)
        return; /* damaged */
    for (uint32_t i = 0; i < c->count && *looked < LISTED_MAX; i++, (*looked)++) {
        const plc_disk_place *p = plc_place(ix, id[c->first + i]);
        if (!p || !photon_record_wanted(ix, &a->query->wanted, p))
            continue;
        nom_hit hit = photon_place_hit(id[c->first + i], p);
        hit.ranking = -photon_bias(a->query, hit.at, hit.importance);
        photon_best_offer(best, &hit);
    }
}

sx_status photon_list(const photon_asked *a, nom_hits *out, sx_error *err)
{
    const plc_index *ix = a->index->places;
    photon_best best;
    uint32_t looked = 0;
    sx_status status = photon_best_init(&best, a->arena, 2 * a->query->limit, err);
    const plc_bytes *s = ix ? &ix->s[PLC_S_CATEGORIES] : NULL;
    for (uint64_t i = 0; status == SX_OK && s && i < s->count; i++) {
        const plc_disk_category *c = (const plc_disk_category *)(const void *)s->data + i;
        if (photon_tag_wanted(&a->query->wanted, plc_string(ix, c->class_name),
                              plc_string(ix, c->type)))
            list_category(a, c, &looked, &best);
    }
    if (status == SX_OK)
        photon_best_take(&best, out);
    return status;
}
