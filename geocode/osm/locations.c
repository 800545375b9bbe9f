/* locations.c - see locations.h.
 *
 * A group is a header of 17 bytes and rows of bits: for node i, its id less (first + i), its lon, lat
 * and version less the least ones. All widths are in the header, so that row i is found by a
 * multiplication and an id by bisection in the group. */
#include <sextant/mem.h>

#include "geocode/osm/locations_impl.h"

enum {
    HEADER_BYTES = 17,
    PAD_BYTES = 16, /* behind a chunk's last group: bits are read eight bytes at a time */
    MEMORY_MAX_MB = 2048,
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

void osm_locations_free_fillers(osm_locations *l)
{
    for (uint32_t i = 0; l->fillers && i < l->workers; i++) {
        osm_filler *f = &l->fillers[i];
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
    osm_locations_free_fillers(l);
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

static inline osm_group_header read_header(const char *p)
{
    osm_group_header h;
    _Static_assert(offsetof(osm_group_header, version_bits) + 1 == HEADER_BYTES,
                   "a header has no gaps");
    memcpy(&h, p, HEADER_BYTES);
    return h;
}

static osm_group_header measure(const osm_place *nodes, uint32_t count)
{
    osm_group_header h = {nodes[0].lon, nodes[0].lat, nodes[0].version, (uint8_t)count, 0, 0, 0, 0};
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
sx_status osm_locations_close_chunk(osm_locations *l, osm_filler *f, bool last, sx_error *err)
{
    if (!f->chunk.open || (f->chunk.buf.len < OSM_CHUNK_BYTES && !last))
        return SX_OK;
    static const char ZEROS[PAD_BYTES] = {0};
    sx_buf_bytes(&f->chunk.buf, ZEROS, sizeof(ZEROS));
    return osm_store_end(&l->store, &f->chunk, true, err);
}

/* Writes the group that was filled. */
sx_status osm_locations_end_group(osm_locations *l, osm_filler *f, sx_error *err)
{
    if (!f->filled)
        return SX_OK;
    sx_status status = osm_store_begin(&l->store, &f->chunk, err);
    if (status != SX_OK)
        return status;
    osm_group_header h = measure(f->group, f->filled);
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
        const osm_place *n = &f->group[i];
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
    return osm_locations_close_chunk(l, f, false, err);
}

sx_status osm_locations_put(osm_locations *l, osm_filler *f, const osm_place *n, sx_error *err)
{
    if (f->filled == OSM_GROUP_NODES) {
        sx_status status = osm_locations_end_group(l, f, err);
        if (status != SX_OK)
            return status;
    }
    f->group[f->filled++] = *n;
    return SX_OK;
}

/* ---- Filling ---- */

static inline osm_place node_of(const osm_locations *l, const osm_places *p, size_t i)
{
    return (osm_place){p->ids[i], p->lon_e7[i], p->lat_e7[i],
                       l->versions && p->versions ? p->versions[i] : 0};
}

static sx_status start_run(osm_filler *f, uint32_t worker, uint64_t order, int64_t first,
                           sx_error *err)
{
    if (f->run_count == f->run_cap &&
        !sx_grow(&f->runs, &f->run_cap, f->run_count + 1, sizeof(*f->runs)))
        return sx_fail_memory(err, "places of nodes");
    f->runs[f->run_count++] =
        (osm_place_run){.order = order, .first = first, .worker = worker, .from = f->count};
    return SX_OK;
}

static void end_run(osm_filler *f)
{
    osm_place_run *r = &f->runs[f->run_count - 1];
    r->last = f->last;
    r->count = f->count - r->from;
}

/* A batch whose ids do not rise: sorted here; of nodes that it has twice, one is kept. */
static sx_status add_unsorted(osm_locations *l, osm_filler *f, uint32_t worker, uint64_t order,
                              const osm_places *p, sx_error *err)
{
    if (f->order_cap < p->count && !sx_grow(&f->order, &f->order_cap, p->count, sizeof(*f->order)))
        return sx_fail_memory(err, "sorting nodes");
    for (size_t i = 0; i < p->count; i++)
        f->order[i] = (geo_sort_record){(uint64_t)p->ids[i] ^ UINT64_C(1) << 63, i};
    geo_sort_records(f->order, p->count);
    f->unsorted++;
    osm_place held = node_of(l, p, f->order[0].low);
    sx_status status = start_run(f, worker, order, held.id, err);
    for (size_t i = 1; i < p->count && status == SX_OK; i++) {
        osm_place n = node_of(l, p, f->order[i].low);
        if (n.id != held.id)
            status = osm_locations_put(l, f, &held, err);
        else if (!osm_place_replaces(&n, &held))
            continue;
        held = n;
    }
    if (status == SX_OK)
        status = osm_locations_put(l, f, &held, err);
    return status;
}

static sx_status add_sorted(osm_locations *l, osm_filler *f, uint32_t worker, uint64_t order,
                            const osm_places *p, sx_error *err)
{
    sx_status status = start_run(f, worker, order, p->ids[0], err);
    for (size_t i = 0; i < p->count && status == SX_OK; i++) {
        osm_place n = node_of(l, p, i);
        status = osm_locations_put(l, f, &n, err);
    }
    return status;
}

sx_status osm_locations_add(osm_locations *l, uint32_t worker, uint64_t order,
                            const osm_places *places, sx_error *err)
{
    sx_assert(!l->frozen && worker < l->workers);
    osm_filler *f = &l->fillers[worker];
    bool sorted = true;
    if (!places->count)
        return SX_OK;
    for (size_t i = 1; i < places->count; i++)
        sorted &= places->ids[i - 1] < places->ids[i];
    for (size_t i = 0; i < places->count; i++)
        f->gone |= places->lon_e7[i] == OSM_GONE;
    sx_status status = (sorted ? add_sorted : add_unsorted)(l, f, worker, order, places, err);
    if (status == SX_OK)
        status = osm_locations_end_group(l, f, err);
    if (status == SX_OK)
        end_run(f);
    return status;
}

/* ---- Reading ---- */

static inline unsigned row_bits(const osm_group_header *h)
{
    return (unsigned)h->id_bits + h->lon_bits + h->lat_bits + h->version_bits;
}

static osm_place read_row(const osm_group_header *h, const char *group, int64_t first, uint32_t i)
{
    const uint8_t *rows = (const uint8_t *)group + HEADER_BYTES;
    size_t at = (size_t)row_bits(h) * i;
    osm_place n;
    n.id = (int64_t)((uint64_t)first + i + get_bits(rows, at, h->id_bits));
    at += h->id_bits;
    n.lon = (int32_t)((uint32_t)h->lon + (uint32_t)get_bits(rows, at, h->lon_bits));
    at += h->lon_bits;
    n.lat = (int32_t)((uint32_t)h->lat + (uint32_t)get_bits(rows, at, h->lat_bits));
    at += h->lat_bits;
    n.version = h->version + (uint32_t)get_bits(rows, at, h->version_bits);
    return n;
}

bool osm_place_at(const osm_locations *l, osm_address group, int64_t first, uint32_t i,
                  osm_place *out)
{
    const char *p = osm_store_at(&l->store, group);
    const osm_group_header h = read_header(p);
    if (i >= h.count)
        return false;
    *out = read_row(&h, p, first, i);
    return true;
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

static bool find_in(const osm_locations *l, size_t group, int64_t id, osm_place *out)
{
    const char *p = osm_store_at(&l->store, l->at[group]);
    const osm_group_header h = read_header(p);
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
    osm_place n;
    if (group == l->groups || !find_in(l, group, id, &n))
        return false;
    *lon_e7 = n.lon;
    *lat_e7 = n.lat;
    return true;
}

bool osm_locations_version(const osm_locations *l, int64_t id, uint32_t *version)
{
    size_t group = find_group(l, id);
    osm_place n;
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
        osm_place n;
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
        osm_group_header h = read_header(p);
        if (c->at == h.count) {
            c->group++;
            c->at = 0;
            continue;
        }
        osm_place n = read_row(&h, p, l->firsts[c->group], c->at++);
        c->id = n.id;
        c->lon_e7 = n.lon;
        c->lat_e7 = n.lat;
        c->version = n.version;
        return true;
    }
    return false;
}
