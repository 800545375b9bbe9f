/* locations.c - see locations.h.
 *
 * A group is a header of 17 bytes and rows of bits: for node i, its id less (first + i), its lon, lat
 * and version less the least ones. All widths are in the header, so that row i is found by a
 * multiplication and an id by bisection in the group. */
#include "geocode/osm/locations.h"

#include <inttypes.h>
#include <stdlib.h>

#include <sextant/mem.h>

#include "geocode/index/sorter.h"

enum {
    GROUP_NODES = 64,
    PAD_BYTES = 16, /* behind a chunk's last group: bits are read eight bytes at a time */
    MEMORY_MAX_MB = 2048,
    FILE_SHIFT = 48, /* of an order: the file above, the block below */
};

typedef struct header {
    int32_t lon, lat;
    uint32_t version;
    uint8_t count, id_bits, lon_bits, lat_bits, version_bits;
} header;

enum { HEADER_BYTES = 17 };

/* A node, unpacked. */
typedef struct node {
    int64_t id;
    int32_t lon, lat;
    uint32_t version;
} node;

/* What one call of osm_locations_add() gave: groups of its worker. */
typedef struct run {
    uint64_t order;
    int64_t first, last; /* ids */
    uint32_t worker;
    size_t from, count; /* groups */
} run;

/* One thread's. */
typedef struct filler {
    osm_chunk_writer chunk;
    int64_t *firsts;
    osm_address *at;
    run *runs;
    size_t count, first_cap, at_cap, run_count, run_cap;
    node group[GROUP_NODES]; /* that is being filled */
    uint32_t filled;
    int64_t last;           /* id that was written last */
    geo_sort_record *order; /* of a batch out of order */
    size_t order_cap;
    uint64_t nodes, unsorted;
    bool gone; /* there are deleted ones */
} filler;

struct osm_locations {
    geo_temp temp;
    osm_store store;
    bool versions, frozen;
    uint32_t workers;
    filler *fillers;
    /* Frozen: all groups by their first id. */
    int64_t *firsts;
    osm_address *at;
    size_t groups;
    uint64_t nodes;
};

osm_locations *osm_locations_new(const osm_locations_options *options, sx_error *err)
{
    osm_locations *l = sx_calloc(1, sizeof(*l));
    if (!l) {
        (void)sx_fail_memory(err, "places of nodes");
        return NULL;
    }
    l->versions = options->versions;
    l->workers = osm_threads(options->threads);
    l->fillers = sx_calloc(l->workers, sizeof(*l->fillers));
    bool temp = geo_temp_init(&l->temp, options->folder, 0);
    osm_store_init(&l->store, &l->temp,
                   options->memory_max ? options->memory_max : (size_t)MEMORY_MAX_MB << 20);
    if (!l->fillers || !temp) {
        (void)sx_fail_memory(err, "places of nodes");
        osm_locations_free(l);
        return NULL;
    }
    return l;
}

static void free_fillers(osm_locations *l)
{
    for (uint32_t i = 0; l->fillers && i < l->workers; i++) {
        filler *f = &l->fillers[i];
        osm_chunk_writer_done(&f->chunk);
        sx_free(f->firsts);
        sx_free(f->at);
        sx_free(f->runs);
        sx_free(f->order);
    }
    sx_free(l->fillers);
    l->fillers = NULL;
}

void osm_locations_free(osm_locations *l)
{
    if (!l)
        return;
    free_fillers(l);
    osm_store_done(&l->store);
    geo_temp_done(&l->temp);
    sx_free(l->firsts);
    sx_free(l->at);
    sx_free(l);
}

/* ---- Packing ---- */

static inline unsigned bits_of(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

typedef struct bit_writer {
    uint8_t *to;
    uint64_t held;
    unsigned bits; /* in `held`, below 8 between puts */
} bit_writer;

static inline void put_bits(bit_writer *w, uint64_t value, unsigned bits)
{
    while (bits > 32) { /* so that what is held fits into 64 */
        put_bits(w, value & UINT32_MAX, 32);
        value >>= 32;
        bits -= 32;
    }
    w->held |= value << w->bits;
    w->bits += bits;
    for (; w->bits >= 8; w->bits -= 8, w->held >>= 8)
        *w->to++ = (uint8_t)w->held;
}

/* Up to 64 bits at bit `at`; PAD_BYTES may be read beyond. */
static inline uint64_t get_bits(const uint8_t *from, size_t at, unsigned bits)
{
    uint64_t v;
    unsigned shift = at & 7;
    if (bits == 0)
        return 0;
    memcpy(&v, from + at / 8, sizeof(v));
    v >>= shift;
    if (shift + bits > 64)
        v |= (uint64_t)from[at / 8 + 8] << (64 - shift);
    return bits == 64 ? v : v & ((UINT64_C(1) << bits) - 1);
}

static inline header read_header(const char *p)
{
    header h;
    _Static_assert(offsetof(header, version_bits) + 1 == HEADER_BYTES, "a header has no gaps");
    memcpy(&h, p, HEADER_BYTES);
    return h;
}

static header measure(const node *nodes, uint32_t count)
{
    header h = {nodes[0].lon, nodes[0].lat, nodes[0].version, (uint8_t)count, 0, 0, 0, 0};
    int32_t lon_most = h.lon, lat_most = h.lat;
    uint32_t version_most = h.version;
    for (uint32_t i = 1; i < count; i++) {
        h.lon = nodes[i].lon < h.lon ? nodes[i].lon : h.lon;
        h.lat = nodes[i].lat < h.lat ? nodes[i].lat : h.lat;
        h.version = nodes[i].version < h.version ? nodes[i].version : h.version;
        lon_most = nodes[i].lon > lon_most ? nodes[i].lon : lon_most;
        lat_most = nodes[i].lat > lat_most ? nodes[i].lat : lat_most;
        version_most = nodes[i].version > version_most ? nodes[i].version : version_most;
    }
    /* Distances rise with i, as ids do by at least one. */
    h.id_bits = (uint8_t)bits_of((uint64_t)nodes[count - 1].id - (uint64_t)nodes[0].id -
                                 (uint64_t)(count - 1));
    h.lon_bits = (uint8_t)bits_of((uint32_t)lon_most - (uint32_t)h.lon);
    h.lat_bits = (uint8_t)bits_of((uint32_t)lat_most - (uint32_t)h.lat);
    h.version_bits = (uint8_t)bits_of(version_most - h.version);
    return h;
}

/* Ends a chunk that is full, or is the last: behind it is room to read bits beyond. */
static sx_status close_chunk(osm_locations *l, filler *f, bool last, sx_error *err)
{
    if (!f->chunk.open || (f->chunk.buf.len < OSM_CHUNK_BYTES && !last))
        return SX_OK;
    static const char ZEROS[PAD_BYTES] = {0};
    sx_buf_bytes(&f->chunk.buf, ZEROS, sizeof(ZEROS));
    return osm_store_end(&l->store, &f->chunk, true, err);
}

/* Writes the group that was filled. */
static sx_status end_group(osm_locations *l, filler *f, sx_error *err)
{
    if (!f->filled)
        return SX_OK;
    sx_status status = osm_store_begin(&l->store, &f->chunk, err);
    if (status != SX_OK)
        return status;
    header h = measure(f->group, f->filled);
    unsigned row = (unsigned)h.id_bits + h.lon_bits + h.lat_bits + h.version_bits;
    size_t bytes = HEADER_BYTES + ((size_t)row * f->filled + 7) / 8;
    osm_address at = osm_chunk_here(&f->chunk);
    char *to = sx_buf_reserve(&f->chunk.buf, bytes + PAD_BYTES);
    if (!to ||
        (f->count == f->first_cap &&
         !sx_grow(&f->firsts, &f->first_cap, f->count + 1, sizeof(*f->firsts))) ||
        (f->count == f->at_cap && !sx_grow(&f->at, &f->at_cap, f->count + 1, sizeof(*f->at))))
        return sx_fail_memory(err, "places of nodes");
    memcpy(to, &h, HEADER_BYTES);
    bit_writer w = {.to = (uint8_t *)to + HEADER_BYTES};
    for (uint32_t i = 0; i < f->filled; i++) {
        const node *n = &f->group[i];
        put_bits(&w, (uint64_t)n->id - (uint64_t)f->group[0].id - i, h.id_bits);
        put_bits(&w, (uint32_t)n->lon - (uint32_t)h.lon, h.lon_bits);
        put_bits(&w, (uint32_t)n->lat - (uint32_t)h.lat, h.lat_bits);
        put_bits(&w, n->version - h.version, h.version_bits);
    }
    if (w.bits)
        *w.to++ = (uint8_t)w.held;
    sx_assert((char *)w.to == to + bytes);
    f->chunk.buf.len += bytes;
    f->firsts[f->count] = f->group[0].id;
    f->at[f->count++] = at;
    f->nodes += f->filled;
    f->last = f->group[f->filled - 1].id;
    f->filled = 0;
    return close_chunk(l, f, false, err);
}

static inline sx_status put_node(osm_locations *l, filler *f, const node *n, sx_error *err)
{
    if (f->filled == GROUP_NODES) {
        sx_status status = end_group(l, f, err);
        if (status != SX_OK)
            return status;
    }
    f->group[f->filled++] = *n;
    return SX_OK;
}

/* ---- Filling ---- */

static inline node node_of(const osm_locations *l, const osm_places *p, size_t i)
{
    return (node){p->ids[i], p->lon_e7[i], p->lat_e7[i],
                  l->versions && p->versions ? p->versions[i] : 0};
}

static sx_status start_run(filler *f, uint32_t worker, uint64_t order, int64_t first, sx_error *err)
{
    if (f->run_count == f->run_cap &&
        !sx_grow(&f->runs, &f->run_cap, f->run_count + 1, sizeof(*f->runs)))
        return sx_fail_memory(err, "places of nodes");
    f->runs[f->run_count++] =
        (run){.order = order, .first = first, .worker = worker, .from = f->count};
    return SX_OK;
}

static void end_run(filler *f)
{
    run *r = &f->runs[f->run_count - 1];
    r->last = f->last;
    r->count = f->count - r->from;
}

/* Whether `next`, which comes later in the order, replaces `n` of the same id. */
static inline bool replaces(const node *next, const node *n)
{
    return !next->version || !n->version || next->version >= n->version;
}

/* A batch whose ids do not rise: sorted here; of nodes that it has twice, one is kept. */
static sx_status add_unsorted(osm_locations *l, filler *f, uint32_t worker, uint64_t order,
                              const osm_places *p, sx_error *err)
{
    if (f->order_cap < p->count && !sx_grow(&f->order, &f->order_cap, p->count, sizeof(*f->order)))
        return sx_fail_memory(err, "sorting nodes");
    for (size_t i = 0; i < p->count; i++)
        f->order[i] = (geo_sort_record){(uint64_t)p->ids[i] ^ UINT64_C(1) << 63, i};
    geo_sort_records(f->order, p->count);
    f->unsorted++;
    node held = node_of(l, p, f->order[0].low);
    sx_status status = start_run(f, worker, order, held.id, err);
    for (size_t i = 1; i < p->count && status == SX_OK; i++) {
        node n = node_of(l, p, f->order[i].low);
        if (n.id != held.id)
            status = put_node(l, f, &held, err);
        else if (!replaces(&n, &held))
            continue;
        held = n;
    }
    if (status == SX_OK)
        status = put_node(l, f, &held, err);
    return status;
}

static sx_status add_sorted(osm_locations *l, filler *f, uint32_t worker, uint64_t order,
                            const osm_places *p, sx_error *err)
{
    sx_status status = start_run(f, worker, order, p->ids[0], err);
    for (size_t i = 0; i < p->count && status == SX_OK; i++) {
        node n = node_of(l, p, i);
        status = put_node(l, f, &n, err);
    }
    return status;
}

sx_status osm_locations_add(osm_locations *l, uint32_t worker, uint64_t order,
                            const osm_places *places, sx_error *err)
{
    sx_assert(!l->frozen && worker < l->workers);
    filler *f = &l->fillers[worker];
    bool sorted = true;
    if (!places->count)
        return SX_OK;
    for (size_t i = 1; i < places->count; i++)
        sorted &= places->ids[i - 1] < places->ids[i];
    for (size_t i = 0; i < places->count; i++)
        f->gone |= places->lon_e7[i] == OSM_GONE;
    sx_status status = (sorted ? add_sorted : add_unsorted)(l, f, worker, order, places, err);
    if (status == SX_OK)
        status = end_group(l, f, err);
    if (status == SX_OK)
        end_run(f);
    return status;
}

/* ---- Reading ---- */

static inline unsigned row_bits(const header *h)
{
    return (unsigned)h->id_bits + h->lon_bits + h->lat_bits + h->version_bits;
}

static node read_row(const header *h, const char *group, int64_t first, uint32_t i)
{
    const uint8_t *rows = (const uint8_t *)group + HEADER_BYTES;
    size_t at = (size_t)row_bits(h) * i;
    node n;
    n.id = (int64_t)((uint64_t)first + i + get_bits(rows, at, h->id_bits));
    at += h->id_bits;
    n.lon = (int32_t)((uint32_t)h->lon + (uint32_t)get_bits(rows, at, h->lon_bits));
    at += h->lon_bits;
    n.lat = (int32_t)((uint32_t)h->lat + (uint32_t)get_bits(rows, at, h->lat_bits));
    at += h->lat_bits;
    n.version = h->version + (uint32_t)get_bits(rows, at, h->version_bits);
    return n;
}

/* The last group that does not begin behind `id`; l->groups if all do. */
static size_t find_group(const osm_locations *l, int64_t id)
{
    size_t from = 0, count = l->groups;
    if (!count || l->firsts[0] > id)
        return l->groups;
    while (count > 1) {
        size_t half = count / 2;
        from = l->firsts[from + half] <= id ? from + half : from;
        count -= half;
    }
    return from;
}

static bool find_in(const osm_locations *l, size_t group, int64_t id, node *out)
{
    const char *p = osm_store_at(&l->store, l->at[group]);
    const header h = read_header(p);
    const uint64_t above = (uint64_t)id - (uint64_t)l->firsts[group];
    const uint8_t *rows = (const uint8_t *)p + HEADER_BYTES;
    const unsigned row = row_bits(&h);
    uint32_t from = 0, count = h.count;
    while (count > 1) {
        uint32_t half = count / 2, i = from + half;
        from = get_bits(rows, (size_t)row * i, h.id_bits) + i <= above ? i : from;
        count -= half;
    }
    *out = read_row(&h, p, l->firsts[group], from);
    return out->id == id && out->lon != OSM_GONE;
}

bool osm_locations_find(const osm_locations *l, int64_t id, int32_t *lon_e7, int32_t *lat_e7)
{
    size_t group = find_group(l, id);
    node n;
    if (group == l->groups || !find_in(l, group, id, &n))
        return false;
    *lon_e7 = n.lon;
    *lat_e7 = n.lat;
    return true;
}

bool osm_locations_version(const osm_locations *l, int64_t id, uint32_t *version)
{
    size_t group = find_group(l, id);
    node n;
    if (group == l->groups || !find_in(l, group, id, &n))
        return false;
    *version = n.version;
    return true;
}

size_t osm_locations_find_all(const osm_locations *l, const int64_t *ids, size_t count,
                              int32_t *lon_e7, int32_t *lat_e7)
{
    size_t found = 0, group = l->groups;
    for (size_t i = 0; i < count; i++) {
        int64_t id = ids[i];
        bool same = group < l->groups && l->firsts[group] <= id &&
                    (group + 1 == l->groups || id < l->firsts[group + 1]);
        if (!same)
            group = find_group(l, id);
        node n;
        bool there = group < l->groups && find_in(l, group, id, &n);
        lon_e7[i] = there ? n.lon : OSM_GONE;
        lat_e7[i] = there ? n.lat : OSM_GONE;
        found += there;
    }
    return found;
}

uint64_t osm_locations_count(const osm_locations *l)
{
    return l->nodes;
}

uint64_t osm_locations_bytes(const osm_locations *l)
{
    return osm_store_bytes(&l->store) + l->groups * (sizeof(*l->firsts) + sizeof(*l->at));
}

size_t osm_locations_groups(const osm_locations *l)
{
    return l->groups;
}

void osm_locations_start(osm_locations_cursor *c, const osm_locations *l)
{
    *c = (osm_locations_cursor){.l = l};
}

bool osm_locations_next(osm_locations_cursor *c)
{
    const osm_locations *l = c->l;
    while (c->group < l->groups) {
        const char *p = osm_store_at(&l->store, l->at[c->group]);
        header h = read_header(p);
        if (c->at == h.count) {
            c->group++;
            c->at = 0;
            continue;
        }
        node n = read_row(&h, p, l->firsts[c->group], c->at++);
        c->id = n.id;
        c->lon_e7 = n.lon;
        c->lat_e7 = n.lat;
        c->version = n.version;
        return true;
    }
    return false;
}

/* ---- Freezing ---- */

static int compare_runs(const void *a, const void *b)
{
    const run *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* All runs by their first id. NULL: no memory, or none. */
static run *gather_runs(osm_locations *l, size_t *count)
{
    size_t n = 0;
    for (uint32_t i = 0; i < l->workers; i++)
        *count += l->fillers[i].run_count;
    run *runs = sx_calloc(*count + 1, sizeof(*runs));
    for (uint32_t i = 0; runs && i < l->workers; i++) {
        const filler *f = &l->fillers[i];
        if (f->run_count)
            memcpy(runs + n, f->runs, f->run_count * sizeof(*runs));
        n += f->run_count;
    }
    if (runs)
        qsort(runs, *count, sizeof(*runs), compare_runs);
    return runs;
}

/* Runs that follow one another: their groups are the index. */
static sx_status join(osm_locations *l, const run *runs, size_t run_count, sx_error *err)
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
        const run *r = &runs[i];
        const filler *f = &l->fillers[r->worker];
        memcpy(l->firsts + n, f->firsts + r->from, r->count * sizeof(*l->firsts));
        memcpy(l->at + n, f->at + r->from, r->count * sizeof(*l->at));
        n += r->count;
    }
    l->groups = n;
    return SX_OK;
}

/* A run that is being merged: its groups' nodes one by one. */
typedef struct head {
    node now;
    uint64_t order;
    const filler *f;
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
    while (h->group < h->end) {
        const char *p = osm_store_at(&l->store, h->f->at[h->group]);
        header group = read_header(p);
        if (h->at < group.count) {
            h->now = read_row(&group, p, h->f->firsts[h->group], h->at++);
            return true;
        }
        h->group++;
        h->at = 0;
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
static sx_status bring_in(const osm_locations *l, merge *m, const run *runs, size_t run_count,
                          size_t *next, sx_error *err)
{
    while (*next < run_count && (!m->count || runs[*next].first <= m->heads[0].now.id)) {
        const run *r = &runs[(*next)++];
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
static sx_status merge_runs(osm_locations *l, const run *runs, size_t run_count, filler *out,
                            uint64_t *twice, sx_error *err)
{
    merge m = {0};
    node held = {0};
    uint64_t held_order = 0;
    bool holds = false;
    size_t next = 0;
    sx_status status;
    while ((status = bring_in(l, &m, runs, run_count, &next, err)) == SX_OK && m.count) {
        head *h = &m.heads[0];
        if (holds && held.id == h->now.id) {
            *twice += held_order >> FILE_SHIFT == h->order >> FILE_SHIFT &&
                      (held.lon != h->now.lon || held.lat != h->now.lat);
            if (replaces(&h->now, &held))
                held = h->now;
        } else {
            if (holds && held.lon != OSM_GONE)
                status = put_node(l, out, &held, err);
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
        status = put_node(l, out, &held, err);
    if (status == SX_OK)
        status = end_group(l, out, err);
    if (status == SX_OK)
        status = close_chunk(l, out, true, err);
    sx_free(m.heads);
    return status;
}

static sx_status merge_all(osm_locations *l, const run *runs, size_t run_count, uint64_t *twice,
                           sx_error *err)
{
    filler out = {0};
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
        status = close_chunk(l, &l->fillers[i], true, err);
    }
    if (status == SX_OK)
        status = osm_store_map(&l->store, err);
    if (status != SX_OK)
        return status;
    size_t run_count = 0;
    run *runs = gather_runs(l, &run_count);
    if (!runs)
        return sx_fail_memory(err, "places of nodes");
    for (size_t i = 1; i < run_count; i++) {
        bool meets = runs[i - 1].last >= runs[i].first;
        apart &= !meets;
        unsorted += meets && runs[i - 1].order >> FILE_SHIFT == runs[i].order >> FILE_SHIFT;
    }
    status = apart ? join(l, runs, run_count, err) : merge_all(l, runs, run_count, &twice, err);
    sx_free(runs);
    if (status != SX_OK)
        return status;
    free_fillers(l);
    l->frozen = true;
    for (; report && unsorted; unsorted--)
        osm_report_flaw(report, OSM_FLAW_UNSORTED, 0, "nodes");
    for (; report && twice; twice--)
        osm_report_flaw(report, OSM_FLAW_DUPLICATE, 0, "nodes");
    return SX_OK;
}
