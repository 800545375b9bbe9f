/* segment_hot.c - a few groups kept unpacked.
 *
 * To unpack a few rows of a group costs most of a millisecond, as columns are unpacked whole. A search
 * newest first gives traces that lie in the same group or two, so the second time that a group is asked
 * for within a short while it is unpacked with all its rows, which then serve by microseconds. Random
 * look-ups by id hardly ever come back to a group and pay nothing. A kept group has a reference of its
 * segment, as its texts may be views of the file. */
#include <pthread.h>

#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

enum {
    KEPT = 4,   /* about 4 MB each */
    ASKED = 16, /* groups remembered that were asked for once */
    KEPT_BYTES_MAX = 16 << 20
};

struct tr_hot_group {
    uint32_t refs; /* the cache's own one, too */
    tr_segment *segment;
    uint64_t group, used;
    tr_decoded rows;
};

struct tr_hot {
    pthread_mutex_t lock;
    tr_hot_group *kept[KEPT];
    struct {
        const tr_segment *segment; /* compared only */
        uint64_t group;
    } asked[ASKED];
    unsigned asked_at;
    uint64_t uses;
};

tr_hot *tr_hot_new(void)
{
    tr_hot *h = sx_calloc(1, sizeof *h);
    if (h)
        pthread_mutex_init(&h->lock, NULL);
    return h;
}

static void group_free(tr_hot_group *g)
{
    sx_arena_done(&g->rows.arena);
    tr_segment_unref(g->segment);
    sx_free(g);
}

/* With the lock held; gives what is to be freed without it. */
static tr_hot_group *unref(tr_hot_group *g)
{
    return g && --g->refs == 0 ? g : NULL;
}

void tr_hot_free(tr_hot *h)
{
    if (!h)
        return;
    for (unsigned i = 0; i < KEPT; i++)
        if (unref(h->kept[i]))
            group_free(h->kept[i]);
    pthread_mutex_destroy(&h->lock);
    sx_free(h);
}

/* Kept, or asked for a short while ago (*again); notes that it was asked for. */
static tr_hot_group *look_up(tr_hot *h, const tr_segment *s, uint64_t group, bool *again)
{
    tr_hot_group *found = NULL;
    pthread_mutex_lock(&h->lock);
    for (unsigned i = 0; i < KEPT && !found; i++)
        if (h->kept[i] && h->kept[i]->segment == s && h->kept[i]->group == group)
            found = h->kept[i];
    if (found) {
        found->refs++;
        found->used = ++h->uses;
    }
    for (unsigned i = 0; i < ASKED && !*again; i++)
        *again = h->asked[i].segment == s && h->asked[i].group == group;
    if (!*again) {
        h->asked[h->asked_at].segment = s;
        h->asked[h->asked_at].group = group;
        h->asked_at = (h->asked_at + 1) % ASKED;
    }
    pthread_mutex_unlock(&h->lock);
    return found;
}

static tr_hot_group *unpack_all(const tr_segment *s, uint64_t group)
{
    tr_hot_group *g = sx_calloc(1, sizeof *g);
    tr_unpacker unpacker = {0};
    if (!g)
        return NULL;
    g->refs = 1;
    g->segment = tr_segment_ref((tr_segment *)(uintptr_t)s); /* counted, else untouched */
    g->group = group;
    sx_arena_init(&g->rows.arena, TR_ARENA_CHUNK, 0);
    sx_status status =
        tr_group_decode(s, group, 0, s->groups[group].rows, TR_WANT_ALL, &unpacker, &g->rows, NULL);
    tr_unpacker_done(&unpacker);
    if (status == SX_OK && g->rows.arena.used_bytes <= KEPT_BYTES_MAX)
        return g;
    group_free(g); /* damaged: the reader comes to the same and tells it */
    return NULL;
}

tr_hot_group *tr_hot_take(tr_hot *h, const tr_segment *s, uint64_t group)
{
    bool again = false;
    if (!h)
        return NULL;
    tr_hot_group *g = look_up(h, s, group, &again);
    if (g || !again)
        return g;
    g = unpack_all(s, group);
    if (!g)
        return NULL;
    pthread_mutex_lock(&h->lock);
    unsigned oldest = 0;
    for (unsigned i = 1; i < KEPT && h->kept[oldest]; i++)
        if (!h->kept[i] || h->kept[i]->used < h->kept[oldest]->used)
            oldest = i;
    tr_hot_group *gone = unref(h->kept[oldest]);
    g->used = ++h->uses;
    if (s->dropped) { /* nothing would take it out again */
        h->kept[oldest] = NULL;
    } else {
        g->refs++;
        h->kept[oldest] = g;
    }
    pthread_mutex_unlock(&h->lock);
    if (gone)
        group_free(gone);
    return g;
}

const tr_decoded *tr_hot_rows(const tr_hot_group *g)
{
    return &g->rows;
}

void tr_hot_release(tr_hot *h, tr_hot_group *g)
{
    pthread_mutex_lock(&h->lock);
    g = unref(g);
    pthread_mutex_unlock(&h->lock);
    if (g)
        group_free(g);
}

void tr_hot_forget(tr_hot *h, const tr_segment *s)
{
    tr_hot_group *gone[KEPT] = {0};
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    for (unsigned i = 0; i < KEPT; i++)
        if (h->kept[i] && h->kept[i]->segment == s) {
            gone[i] = unref(h->kept[i]);
            h->kept[i] = NULL;
        }
    for (unsigned i = 0; i < ASKED; i++)
        if (h->asked[i].segment == s)
            h->asked[i].segment = NULL;
    pthread_mutex_unlock(&h->lock);
    for (unsigned i = 0; i < KEPT; i++)
        if (gone[i])
            group_free(gone[i]);
}
