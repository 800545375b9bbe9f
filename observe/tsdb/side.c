/* side.c - exemplars and metadata of the head; see side.h. */
#include "observe/tsdb/side.h"

#include <stdlib.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

sx_status tsdb_side_init(tsdb_side *s, size_t exemplars_max, sx_error *err)
{
    *s = (tsdb_side){.ring_cap = exemplars_max};
    pthread_mutex_init(&s->lock, NULL);
    s->ring = sx_calloc(exemplars_max, sizeof *s->ring);
    return s->ring ? SX_OK : sx_fail_memory(err, "exemplars");
}

void tsdb_side_done(tsdb_side *s)
{
    for (size_t i = 0; s->ring && i < s->ring_cap; i++)
        sx_free(s->ring[i].lens);
    for (size_t i = 0; i < s->metadata_cap; i++)
        sx_free(s->metadata[i].text);
    sx_free(s->ring);
    sx_free(s->metadata);
    pthread_mutex_destroy(&s->lock);
}

static bool copy_exemplar(side_exemplar *e, tsdb_labels labels)
{
    size_t bytes = labels.count * 2 * sizeof(uint32_t);
    for (uint32_t i = 0; i < labels.count; i++)
        bytes += labels.items[i].name.len + labels.items[i].value.len;
    e->lens = sx_alloc(bytes);
    if (!e->lens)
        return false;
    e->text = (char *)(e->lens + labels.count * 2);
    e->label_count = labels.count;
    char *to = e->text;
    for (uint32_t i = 0; i < labels.count * 2; i++) {
        sx_str part = i % 2 ? labels.items[i / 2].value : labels.items[i / 2].name;
        e->lens[i] = (uint32_t)part.len;
        memcpy(to, part.data, part.len);
        to += part.len;
    }
    return true;
}

sx_status tsdb_side_exemplar(tsdb_side *s, tsdb_ref ref, int64_t t, double v, tsdb_labels labels,
                             tsdb_refusal *why, sx_error *err)
{
    enum { LOOK_BACK = 64 };
    side_exemplar e = {.ref = ref, .t = t, .v = v};
    *why = TSDB_TAKEN;
    if (!copy_exemplar(&e, labels))
        return sx_fail_memory(err, "exemplar");
    pthread_mutex_lock(&s->lock);
    /* A series' own newest exemplar is near the ring's newest end, if it repeats it at all. */
    for (size_t i = 1; i <= LOOK_BACK && i <= s->ring_count; i++) {
        const side_exemplar *old = &s->ring[(s->ring_next + s->ring_cap - i) % s->ring_cap];
        if (old->ref != ref)
            continue;
        bool same = old->t == t && memcmp(&old->v, &v, sizeof v) == 0;
        if (same || old->t > t) {
            pthread_mutex_unlock(&s->lock);
            sx_free(e.lens);
            *why = same ? TSDB_TAKEN : TSDB_EXEMPLAR_REFUSED;
            return SX_OK;
        }
        break;
    }
    sx_free(s->ring[s->ring_next].lens);
    s->ring[s->ring_next] = e;
    s->ring_next = (s->ring_next + 1) % s->ring_cap;
    if (s->ring_count < s->ring_cap)
        s->ring_count++;
    pthread_mutex_unlock(&s->lock);
    return SX_OK;
}

static sx_str part_of(const side_metadata *m, unsigned part)
{
    size_t from = 0;
    for (unsigned i = 0; i < part; i++)
        from += m->lens[i];
    return sx_str_of(m->text + from, m->lens[part]);
}

static size_t slot_of(const side_metadata *slots, size_t cap, sx_str metric)
{
    size_t i = sx_hash(metric, 0) & (cap - 1);
    while (slots[i].text && !sx_str_eq(part_of(&slots[i], 0), metric))
        i = (i + 1) & (cap - 1);
    return i;
}

static bool grow_metadata(tsdb_side *s)
{
    if ((s->metadata_count + 1) * 4 <= s->metadata_cap * 3)
        return true;
    size_t cap = s->metadata_cap ? s->metadata_cap * 2 : 64;
    side_metadata *slots = sx_calloc(cap, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < s->metadata_cap; i++)
        if (s->metadata[i].text)
            slots[slot_of(slots, cap, part_of(&s->metadata[i], 0))] = s->metadata[i];
    sx_free(s->metadata);
    s->metadata = slots;
    s->metadata_cap = cap;
    return true;
}

sx_status tsdb_side_metadata(tsdb_side *s, sx_str metric, const tsdb_metadata *m, sx_error *err)
{
    const sx_str parts[4] = {metric, m->type, m->help, m->unit};
    side_metadata entry = {0};
    size_t bytes = 1;
    for (unsigned i = 0; i < 4; i++)
        bytes += parts[i].len;
    entry.text = sx_alloc(bytes);
    if (!entry.text)
        return sx_fail_memory(err, "metadata");
    char *to = entry.text;
    for (unsigned i = 0; i < 4; i++) {
        entry.lens[i] = (uint32_t)parts[i].len;
        if (parts[i].len)
            memcpy(to, parts[i].data, parts[i].len);
        to += parts[i].len;
    }
    pthread_mutex_lock(&s->lock);
    if (!grow_metadata(s)) {
        pthread_mutex_unlock(&s->lock);
        sx_free(entry.text);
        return sx_fail_memory(err, "metadata");
    }
    size_t i = slot_of(s->metadata, s->metadata_cap, metric);
    s->metadata_count += !s->metadata[i].text;
    sx_free(s->metadata[i].text);
    s->metadata[i] = entry;
    pthread_mutex_unlock(&s->lock);
    return SX_OK;
}
