/* segment_hot.c - groups kept unpacked, as many as some megabytes hold.
 *
 * To unpack a few rows of a group costs most of a millisecond, as columns are unpacked whole. A search
 * newest first gives traces that lie in the same group or two, so the second time that a group is asked
 * for within a short while it is unpacked with all its rows, which then serve by microseconds. Random
 * look-ups by id hardly ever come back to a group and pay nothing. A kept group has a reference of its
 * segment, as its texts may be views of the file. */
#include <pthread.h>

#include <sextant/mem.h>

#include "base/mem_account.h"
#include "observe/traces/segment_impl.h"

enum {
    KEPT = 32,                /* groups at most, and ... */
    KEPT_BYTES = 32 << 20,    /* ... bytes of all of them: most take 6 MB, one chunk */
    ONE_BYTES_MAX = 64 << 20, /* a greater one is kept alone, if not greater than this */
    ASKED = 64                /* groups remembered that were asked for once */
};

struct tr_hot_group {
    uint32_t refs; /* the cache's own one, too */
    tr_segment *segment;
    uint64_t group, used;
    tr_decoded rows;
};

struct tr_hot {
    pthread_mutex_t lock;
    tr_hot_group *kept[KEPT]; /* the first `count` */
    unsigned count;
    size_t bytes; /* of those kept */
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
    for (unsigned i = 0; i < h->count; i++)
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
    for (unsigned i = 0; i < h->count && !found; i++)
        if (h->kept[i]->segment == s && h->kept[i]->group == group)
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
    if (status == SX_OK && g->rows.arena.used_bytes <= ONE_BYTES_MAX)
        return g;
    group_free(g); /* damaged: the reader comes to the same and tells it */
    return NULL;
}

/* Takes a kept group out; the lock is held. Gives it if it is to be freed. */
static tr_hot_group *take_out(tr_hot *h, unsigned i)
{
    tr_hot_group *g = h->kept[i];
    h->bytes -= g->rows.arena.used_bytes;
    h->kept[i] = h->kept[--h->count];
    return unref(g);
}

/* Keeps the group, or gives the one that another thread kept first; those used longest ago make room for
 * it and are put into `gone`. With a reference for the caller. The lock is held. */
static tr_hot_group *keep(tr_hot *h, tr_hot_group *g, tr_hot_group *gone[KEPT],
                          unsigned *gone_count)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->kept[i]->segment == g->segment && h->kept[i]->group == g->group) {
            h->kept[i]->refs++;
            return h->kept[i];
        }
    while (h->count == KEPT || (h->count && h->bytes + g->rows.arena.used_bytes > KEPT_BYTES)) {
        unsigned oldest = 0;
        for (unsigned i = 1; i < h->count; i++)
            if (h->kept[i]->used < h->kept[oldest]->used)
                oldest = i;
        tr_hot_group *out = take_out(h, oldest);
        if (out)
            gone[(*gone_count)++] = out;
    }
    g->refs++;
    g->used = ++h->uses;
    h->bytes += g->rows.arena.used_bytes;
    h->kept[h->count++] = g;
    return g;
}

/* Groups that are kept are on nobody's account: they are bounded together, and serve others. */
static void free_kept(tr_hot_group *const *gone, unsigned count)
{
    sx_mem_account *account = sx_mem_account_enter(NULL);
    for (unsigned i = 0; i < count; i++)
        group_free(gone[i]);
    sx_mem_account_enter(account);
}

tr_hot_group *tr_hot_take(tr_hot *h, const tr_segment *s, uint64_t group)
{
    tr_hot_group *gone[KEPT], *kept = NULL;
    unsigned gone_count = 0;
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
    if (!s->dropped) /* else nothing would take it out again */
        kept = keep(h, g, gone, &gone_count);
    pthread_mutex_unlock(&h->lock);
    free_kept(gone, gone_count);
    sx_mem_account *account = sx_mem_account_current();
    if (kept != g)
        group_free(g);
    else if (account)
        sx_mem_account_adjust(account, -(int64_t)(g->rows.arena.used_bytes + sizeof *g));
    return kept;
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
        free_kept(&g, 1);
}

void tr_hot_forget(tr_hot *h, const tr_segment *s)
{
    tr_hot_group *gone[KEPT];
    unsigned gone_count = 0;
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    for (unsigned i = h->count; i-- > 0;) {
        tr_hot_group *out = h->kept[i]->segment == s ? take_out(h, i) : NULL;
        if (out)
            gone[gone_count++] = out;
    }
    for (unsigned i = 0; i < ASKED; i++)
        if (h->asked[i].segment == s)
            h->asked[i].segment = NULL;
    pthread_mutex_unlock(&h->lock);
    free_kept(gone, gone_count);
}
