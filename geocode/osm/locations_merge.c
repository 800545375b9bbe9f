/* locations_merge.c - places of nodes are put in order: sorted runs that follow one another are joined,
 * others merged, so that each node is there once, in its newest version. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/osm/locations_impl.h"

static int compare_runs(const void *a, const void *b)
{
    const osm_place_run *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* All runs by their first id. NULL: no memory, or none. */
static osm_place_run *gather_runs(osm_locations *l, size_t *count)
{
    size_t n = 0;
    for (uint32_t i = 0; i < l->workers; i++)
        *count += l->fillers[i].run_count;
    osm_place_run *runs = sx_calloc(*count + 1, sizeof(*runs));
    for (uint32_t i = 0; runs && i < l->workers; i++) {
        const osm_filler *f = &l->fillers[i];
        if (f->run_count)
            memcpy(runs + n, f->runs, f->run_count * sizeof(*runs));
        n += f->run_count;
    }
    if (runs)
        qsort(runs, *count, sizeof(*runs), compare_runs);
    return runs;
}

/* Runs that follow one another: their groups are the index. */
static sx_status join(osm_locations *l, const osm_place_run *runs, size_t run_count, sx_error *err)
{
    size_t groups = 0, n = 0;
    for (uint32_t i = 0; i < l->workers; i++) {
        groups += l->fillers[i].count;
        l->nodes += l->fillers[i].nodes;
    }
    l->firsts = sx_calloc(groups + 1, sizeof(*l->firsts));
    l->at = sx_calloc(groups + 1, sizeof(*l->at));
    if (!l->firsts || !l->at)
        return sx_fail_memory(err, "places of nodes");
    for (size_t i = 0; i < run_count; i++) {
        const osm_place_run *r = &runs[i];
        const osm_filler *f = &l->fillers[r->worker];
        memcpy(l->firsts + n, f->firsts + r->from, r->count * sizeof(*l->firsts));
        memcpy(l->at + n, f->at + r->from, r->count * sizeof(*l->at));
        n += r->count;
    }
    l->groups = n;
    return SX_OK;
}

/* A run that is being merged: its groups' nodes one by one. */
typedef struct head {
    osm_place now;
    uint64_t order;
    const osm_filler *f;
    size_t group, end;
    uint32_t at;
} head;

typedef struct merge {
    head *heads; /* a heap: the least id first, of equal ones the earliest */
    size_t count, cap;
} merge;

static bool head_before(const head *a, const head *b)
{
    if (a->now.id != b->now.id)
        return a->now.id < b->now.id;
    /* Runs of one block are one worker's: what it wrote later lies behind. */
    return a->order != b->order ? a->order < b->order : a->group < b->group;
}

static bool read_head(const osm_locations *l, head *h)
{
    for (; h->group < h->end; h->group++, h->at = 0)
        if (osm_place_at(l, h->f->at[h->group], h->f->firsts[h->group], h->at, &h->now)) {
            h->at++;
            return true;
        }
    return false;
}

static void sink(merge *m, size_t at)
{
    head own = m->heads[at];
    for (size_t child; (child = 2 * at + 1) < m->count; at = child) {
        if (child + 1 < m->count && head_before(&m->heads[child + 1], &m->heads[child]))
            child++;
        if (!head_before(&m->heads[child], &own))
            break;
        m->heads[at] = m->heads[child];
    }
    m->heads[at] = own;
}

static bool push_head(merge *m, const head *h)
{
    if (m->count == m->cap && !sx_grow(&m->heads, &m->cap, m->count + 1, sizeof(*m->heads)))
        return false;
    size_t at = m->count++;
    for (; at > 0 && head_before(h, &m->heads[(at - 1) / 2]); at = (at - 1) / 2)
        m->heads[at] = m->heads[(at - 1) / 2];
    m->heads[at] = *h;
    return true;
}

/* Brings in the runs that begin at or before the least id there is. */
static sx_status bring_in(const osm_locations *l, merge *m, const osm_place_run *runs,
                          size_t run_count, size_t *next, sx_error *err)
{
    while (*next < run_count && (!m->count || runs[*next].first <= m->heads[0].now.id)) {
        const osm_place_run *r = &runs[(*next)++];
        head h = {.order = r->order,
                  .f = &l->fillers[r->worker],
                  .group = r->from,
                  .end = r->from + r->count};
        if (read_head(l, &h) && !push_head(m, &h))
            return sx_fail_memory(err, "merging nodes");
    }
    return SX_OK;
}

/* Merges all runs into `out`'s groups. */
static sx_status merge_runs(osm_locations *l, const osm_place_run *runs, size_t run_count,
                            osm_filler *out, uint64_t *twice, sx_error *err)
{
    merge m = {0};
    osm_place held = {0};
    uint64_t held_order = 0;
    bool holds = false;
    size_t next = 0;
    sx_status status;
    while ((status = bring_in(l, &m, runs, run_count, &next, err)) == SX_OK && m.count) {
        head *h = &m.heads[0];
        if (holds && held.id == h->now.id) {
            *twice += held_order >> OSM_FILE_SHIFT == h->order >> OSM_FILE_SHIFT &&
                      (held.lon != h->now.lon || held.lat != h->now.lat);
            if (osm_place_replaces(&h->now, &held))
                held = h->now;
        } else {
            if (holds && held.lon != OSM_GONE)
                status = osm_locations_put(l, out, &held, err);
            if (status != SX_OK)
                break;
            held = h->now;
            holds = true;
        }
        held_order = h->order;
        if (!read_head(l, h)) {
            *h = m.heads[--m.count];
            if (!m.count)
                continue;
        }
        sink(&m, 0);
    }
    if (status == SX_OK && holds && held.lon != OSM_GONE)
        status = osm_locations_put(l, out, &held, err);
    if (status == SX_OK)
        status = osm_locations_end_group(l, out, err);
    if (status == SX_OK)
        status = osm_locations_close_chunk(l, out, true, err);
    sx_free(m.heads);
    return status;
}

static sx_status merge_all(osm_locations *l, const osm_place_run *runs, size_t run_count,
                           uint64_t *twice, sx_error *err)
{
    osm_filler out = {0};
    uint32_t old = (uint32_t)l->store.count;
    sx_buf_init(&out.chunk.buf, 0);
    sx_status status = merge_runs(l, runs, run_count, &out, twice, err);
    if (status == SX_OK) {
        for (uint32_t i = 0; i < old; i++)
            osm_store_drop(&l->store, i);
        l->firsts = out.firsts;
        l->at = out.at;
        l->groups = out.count;
        l->nodes = out.nodes;
        out.firsts = NULL;
        out.at = NULL;
        status = osm_store_map(&l->store, err);
    }
    osm_chunk_writer_done(&out.chunk);
    sx_free(out.firsts);
    sx_free(out.at);
    return status;
}

sx_status osm_locations_freeze(osm_locations *l, osm_report *report, sx_error *err)
{
    sx_status status = SX_OK;
    uint64_t unsorted = 0, twice = 0;
    bool apart = true;
    sx_assert(!l->frozen);
    for (uint32_t i = 0; i < l->workers && status == SX_OK; i++) {
        unsorted += l->fillers[i].unsorted;
        apart &= !l->fillers[i].gone;
        status = osm_locations_close_chunk(l, &l->fillers[i], true, err);
    }
    if (status == SX_OK)
        status = osm_store_map(&l->store, err);
    if (status != SX_OK)
        return status;
    size_t run_count = 0;
    osm_place_run *runs = gather_runs(l, &run_count);
    if (!runs)
        return sx_fail_memory(err, "places of nodes");
    for (size_t i = 1; i < run_count; i++) {
        bool meets = runs[i - 1].last >= runs[i].first;
        apart &= !meets;
        unsorted += meets && runs[i - 1].order >> OSM_FILE_SHIFT == runs[i].order >> OSM_FILE_SHIFT;
    }
    status = apart ? join(l, runs, run_count, err) : merge_all(l, runs, run_count, &twice, err);
    sx_free(runs);
    if (status != SX_OK)
        return status;
    osm_locations_free_fillers(l);
    l->frozen = true;
    for (; report && unsorted; unsorted--)
        osm_report_flaw(report, OSM_FLAW_UNSORTED, 0, "nodes");
    for (; report && twice; twice--)
        osm_report_flaw(report, OSM_FLAW_DUPLICATE, 0, "nodes");
    return SX_OK;
}
