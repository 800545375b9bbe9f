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

/* --- In a snapshot: the number of exemplars, each as its fields, lengths and text; then the same of
 * metadata. Numbers are the machine's own, as in the rest of a snapshot. */

typedef struct saved_exemplar {
    uint64_t ref;
    int64_t t;
    double v;
    uint64_t label_count;
} saved_exemplar;

static size_t text_bytes(const uint32_t *lens, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += lens[i];
    return bytes;
}

void tsdb_side_save(const tsdb_side *s, sx_buf *out)
{
    uint64_t count = s->ring_count;
    sx_buf_bytes(out, &count, sizeof count);
    for (size_t i = 0; i < s->ring_count; i++) {
        const side_exemplar *e =
            &s->ring[(s->ring_next + s->ring_cap - s->ring_count + i) % s->ring_cap];
        saved_exemplar saved = {e->ref, e->t, e->v, e->label_count};
        sx_buf_bytes(out, &saved, sizeof saved);
        sx_buf_bytes(out, e->lens, e->label_count * 2 * sizeof *e->lens);
        sx_buf_bytes(out, e->text, text_bytes(e->lens, e->label_count * 2));
    }
    count = s->metadata_count;
    sx_buf_bytes(out, &count, sizeof count);
    for (size_t i = 0; i < s->metadata_cap; i++) {
        const side_metadata *m = &s->metadata[i];
        if (!m->text)
            continue;
        sx_buf_bytes(out, m->lens, sizeof m->lens);
        sx_buf_bytes(out, m->text, text_bytes(m->lens, 4));
    }
}

static bool take(sx_str *from, void *to, size_t len)
{
    if (from->len < len)
        return false;
    if (len)
        memcpy(to, from->data, len);
    *from = sx_str_from(*from, len);
    return true;
}

/* The text behind its lengths, cut into `count` parts. */
static bool take_parts(sx_str *from, const uint32_t *lens, size_t count, sx_str *parts)
{
    for (size_t i = 0; i < count; i++) {
        if (from->len < lens[i])
            return false;
        parts[i] = sx_str_of(from->data, lens[i]);
        *from = sx_str_from(*from, lens[i]);
    }
    return true;
}

enum { LABELS_MAX = 256 }; /* an exemplar's have 128 characters together */

static sx_status load_exemplar(tsdb_side *s, sx_str *from, sx_error *err)
{
    saved_exemplar saved;
    uint32_t lens[LABELS_MAX * 2];
    sx_str parts[LABELS_MAX * 2];
    tsdb_label items[LABELS_MAX];
    tsdb_refusal why;
    if (!take(from, &saved, sizeof saved) || saved.label_count > LABELS_MAX ||
        !take(from, lens, saved.label_count * 2 * sizeof *lens) ||
        !take_parts(from, lens, saved.label_count * 2, parts))
        return sx_fail(err, SX_ECORRUPT, "an exemplar ends early");
    for (size_t i = 0; i < saved.label_count; i++)
        items[i] = (tsdb_label){parts[2 * i], parts[2 * i + 1]};
    return tsdb_side_exemplar(s, saved.ref, saved.t, saved.v,
                              (tsdb_labels){items, (uint32_t)saved.label_count}, &why, err);
}

sx_status tsdb_side_load(tsdb_side *s, sx_str bytes, sx_error *err)
{
    uint64_t count;
    sx_status status = SX_OK;
    if (!take(&bytes, &count, sizeof count))
        return sx_fail(err, SX_ECORRUPT, "exemplars end early");
    for (; count > 0 && status == SX_OK; count--)
        status = load_exemplar(s, &bytes, err);
    if (status == SX_OK && !take(&bytes, &count, sizeof count))
        return sx_fail(err, SX_ECORRUPT, "metadata end early");
    for (; status == SX_OK && count > 0; count--) {
        uint32_t lens[4];
        sx_str parts[4];
        if (!take(&bytes, lens, sizeof lens) || !take_parts(&bytes, lens, 4, parts))
            return sx_fail(err, SX_ECORRUPT, "metadata end early");
        tsdb_metadata m = {.type = parts[1], .help = parts[2], .unit = parts[3]};
        status = tsdb_side_metadata(s, parts[0], &m, err);
    }
    return status;
}
