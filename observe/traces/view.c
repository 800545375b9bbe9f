/* view.c - what a question sees: the memtables and segments of one moment, changed as a whole. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

tr_piece *tr_piece_new(tr_store *s, tr_segment *segment, uint64_t number, uint32_t shard,
                       bool reduced)
{
    tr_piece *p = sx_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    const tr_segment_info *about = tr_segment_about(segment);
    tr_segment_share(segment, s->hot);
    atomic_init(&p->refs, 1);
    p->number = number;
    p->shard = shard;
    p->reduced = reduced;
    p->level = about->level;
    p->sequence = about->sequence;
    p->min_ns = about->min_ns;
    p->max_ns = about->max_ns;
    p->bytes = about->bytes;
    p->rows = about->rows;
    p->errors = about->errors;
    p->segment = segment;
    return p;
}

tr_piece *tr_piece_ref(tr_piece *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void tr_piece_unref(tr_piece *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    tr_segment_unref(p->segment);
    tr_resolved_free(p->resolved);
    sx_free(p);
}

tr_view *tr_view_take(tr_store *s)
{
    pthread_mutex_lock(&s->lock);
    tr_view *v = s->view;
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&s->lock);
    return v;
}

void tr_view_unref(tr_view *v)
{
    if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < v->table_count; i++)
        tr_memtable_unref(v->tables[i]);
    for (size_t i = 0; i < v->piece_count; i++)
        tr_piece_unref(v->pieces[i]);
    sx_free(v->tables);
    sx_free(v->pieces);
    sx_free(v);
}

static int newest_first(const void *a, const void *b)
{
    const tr_piece *x = *(tr_piece *const *)a, *y = *(tr_piece *const *)b;
    if (x->max_ns != y->max_ns)
        return x->max_ns > y->max_ns ? -1 : 1;
    return x->number > y->number ? -1 : x->number < y->number;
}

static bool is_in(const tr_piece *p, tr_piece *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == p)
            return true;
    return false;
}

static size_t count_sets(const tr_store *s)
{
    size_t sets = 0;
    for (const tr_set *set = s->sets; set; set = set->next)
        sets++;
    return sets;
}

/* Sets are added by turning over alone, which stops at TR_SETS_MAX; pieces come by flushing sets alone,
 * a shard's each: so what is counted here bounds what there can be when the view is put in its place. */
tr_view *tr_view_prepare(tr_store *s, size_t come_count, sx_error *err)
{
    pthread_mutex_lock(&s->lock);
    size_t sets = count_sets(s), pieces = s->view ? s->view->piece_count : 0;
    pthread_mutex_unlock(&s->lock);
    sets = sets < TR_SETS_MAX ? TR_SETS_MAX : sets;
    tr_view *v = sx_calloc(1, sizeof *v);
    if (!v) {
        sx_fail_memory(err, "view of the traces");
        return NULL;
    }
    atomic_init(&v->refs, 1);
    v->tables = sx_calloc((sets + 1) * s->shards, sizeof(tr_memtable *));
    v->pieces = sx_calloc(pieces + come_count + sets * s->shards, sizeof(tr_piece *));
    if (v->tables && v->pieces)
        return v;
    tr_view_unref(v);
    sx_fail_memory(err, "view of the traces");
    return NULL;
}

/* The tables of all sets but `done`, newest set first. */
static void fill_tables(const tr_store *s, const tr_set *done, tr_view *v)
{
    size_t sets = 0, at = 0;
    for (const tr_set *set = s->sets; set; set = set->next)
        sets += set != done;
    for (const tr_set *set = s->sets; set; set = set->next) {
        if (set == done)
            continue;
        size_t turn = sets - ++at;
        for (uint32_t k = 0; k < s->shards; k++)
            v->tables[turn * s->shards + k] = tr_memtable_ref(set->tables[k]);
    }
    v->table_count = sets * s->shards;
}

tr_view *tr_view_put(tr_store *s, tr_view *v, tr_piece *const *gone, size_t gone_count,
                     tr_piece *const *come, size_t come_count, tr_set *done)
{
    tr_view *old = s->view;
    for (size_t i = 0; old && i < old->piece_count; i++)
        if (!is_in(old->pieces[i], gone, gone_count))
            v->pieces[v->piece_count++] = tr_piece_ref(old->pieces[i]);
    for (size_t i = 0; i < come_count; i++)
        v->pieces[v->piece_count++] = tr_piece_ref(come[i]);
    qsort(v->pieces, v->piece_count, sizeof(tr_piece *), newest_first);
    fill_tables(s, done, v);
    s->view = v;
    if (done) { /* it is the oldest */
        sx_assert(s->sets == done);
        s->sets = done->next;
        s->flushed++;
    }
    return old;
}

sx_status tr_view_change(tr_store *s, tr_piece *const *gone, size_t gone_count,
                         tr_piece *const *come, size_t come_count, tr_set *done, sx_error *err)
{
    tr_view *v = tr_view_prepare(s, come_count, err);
    if (!v)
        return SX_ENOMEM;
    pthread_mutex_lock(&s->lock);
    tr_view *old = tr_view_put(s, v, gone, gone_count, come, come_count, done);
    pthread_mutex_unlock(&s->lock);
    tr_view_unref(old);
    return SX_OK;
}

size_t tr_store_sets(tr_store *s)
{
    pthread_mutex_lock(&s->lock);
    size_t sets = count_sets(s);
    pthread_mutex_unlock(&s->lock);
    return sets;
}
