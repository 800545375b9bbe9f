/* live.c - see live.h.
 *
 * Two locks. `looking` is held for a whole look, which may take seconds; `lock` only while the
 * newest snapshot or the list of the retired is read or changed. A snapshot's first count is the
 * geo_live's own: it is given up when the snapshot is closed, by a look. */
#include "geocode/api/live.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include <sextant/clock.h>
#include <sextant/mem.h>

#include "geocode/nominatim/document.h"

/* Addok names the filters of an answer in the order of its configuration; the Base Adresse Nationale's
 * is this one. */
static const char *const USUAL_ORDER[] = {"type", "citycode", "postcode"};
_Static_assert(SX_COUNT_OF(USUAL_ORDER) <= GEO_SNAPSHOT_FILTERS, "room for each filter");

/* What tells one file from another, all zero for none. */
typedef struct identity {
    uint64_t device, inode, bytes;
    int64_t changed_ns;
} identity;

struct geo_live {
    const char *path;
    pthread_mutex_t looking;
    identity served, refused, seen; /* of the file in use, the last refused, the last look's */
    unsigned missed;                /* looks in a row that found no file, up to 3 */
    pthread_mutex_t lock;
    geo_snapshot *now; /* written under `lock`, read by an atomic load, too */
    geo_snapshot *retired;
    sx_error refusal;       /* why the file at `path` does not serve; SX_OK: it does */
    int64_t loaded_wall_ms; /* atomic */
    sx_logger *log;         /* NULL: nobody listens */
    sx_counter *loaded_count, *refused_count;
};

/* ---- snapshots ---- */

static bool index_has_filter(const geo_index *index, const char *name)
{
    sx_str key;
    for (uint32_t i = 0; (key = geo_index_filter_key(index, i)).len; i++) {
        if (sx_str_eq(key, sx_str_z(name)))
            return true;
    }
    return false;
}

static void close_snapshot(geo_snapshot *s)
{
    nom_words_close(s->words);
    geo_index_close(s->index);
    sx_free(s);
}

static sx_status open_places(geo_snapshot *s, sx_error *err)
{
    sx_str places = geo_index_places(s->index);
    s->nominatim.documents = s->index;
    s->other_sources = nom_documents_any(s->index);
    if (places.len == 0)
        return SX_OK;
    s->nominatim.places = &s->places;
    sx_status status = plc_open(&s->places, places.data, places.len, err);
    if (status != SX_OK || s->places.s[PLC_S_WORDS].count == 0)
        return status;
    s->words = nom_words_open(&s->places, err);
    return s->words ? SX_OK : err->status;
}

static sx_status open_snapshot(const char *path, geo_snapshot **out, sx_error *err)
{
    geo_snapshot *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "an open index");
    sx_status status = geo_index_open(path, &s->index, err);
    if (status != SX_OK) {
        sx_free(s);
        return status;
    }
    status = open_places(s, err);
    if (status != SX_OK) {
        close_snapshot(s);
        return status;
    }
    for (size_t i = 0, count = 0; i < SX_COUNT_OF(USUAL_ORDER); i++) {
        if (index_has_filter(s->index, USUAL_ORDER[i]))
            s->filters[count++] = USUAL_ORDER[i];
    }
    geo_stat stat;
    geo_index_stat(s->index, &stat);
    s->generation = stat.generation;
    s->refs = 1;
    *out = s;
    return SX_OK;
}

geo_snapshot *geo_snapshot_ref(geo_snapshot *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void geo_snapshot_unref(geo_snapshot *s)
{
    uint32_t before = __atomic_fetch_sub(&s->refs, 1, __ATOMIC_RELEASE);
    sx_assert(before > 1); /* the last is the geo_live's */
}

geo_snapshot *geo_live_follow(geo_live *l, geo_snapshot *mine)
{
    /* `mine` is held: no other snapshot can lie at its address. */
    if (sx_likely(mine && __atomic_load_n(&l->now, __ATOMIC_RELAXED) == mine))
        return mine;
    pthread_mutex_lock(&l->lock);
    geo_snapshot *now = geo_snapshot_ref(l->now);
    pthread_mutex_unlock(&l->lock);
    if (mine)
        geo_snapshot_unref(mine);
    return now;
}

/* Unmaps the retired that nobody holds: nobody can take hold of one anew. */
static void close_unheld(geo_live *l)
{
    geo_snapshot *unheld = NULL;
    pthread_mutex_lock(&l->lock);
    for (geo_snapshot **at = &l->retired; *at;) {
        geo_snapshot *s = *at;
        if (__atomic_load_n(&s->refs, __ATOMIC_ACQUIRE) > 1) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        s->next = unheld;
        unheld = s;
    }
    pthread_mutex_unlock(&l->lock);
    while (unheld) {
        geo_snapshot *next = unheld->next;
        close_snapshot(unheld);
        unheld = next;
    }
}

/* ---- the file ---- */

static sx_status identify(const char *path, identity *out, sx_error *err)
{
    struct stat st;
    *out = (identity){0};
    if (stat(path, &st) != 0)
        return sx_fail_os(err, errno, "index '%s'", path);
    *out = (identity){(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
                      (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
    return SX_OK;
}

static bool same(const identity *a, const identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->changed_ns == b->changed_ns;
}

/* Reads the whole file through a mapping of its own, so that the pages of the one that will serve are
 * only those that are asked for. */
static sx_status read_through(const char *path, uint64_t *generation, sx_error *err)
{
    geo_index *index;
    geo_stat stat;
    sx_status status = geo_index_open(path, &index, err);
    if (status != SX_OK)
        return status;
    status = geo_index_verify(index, err);
    if (status != SX_OK)
        sx_error_prefix(err, status, "index '%s'", path);
    geo_index_stat(index, &stat);
    *generation = stat.generation;
    geo_index_close(index);
    return status;
}

/* Opens the file as it was identified. SX_AGAIN: it changed meanwhile. */
static sx_status open_checked(geo_live *l, const identity *file, geo_snapshot **out, sx_error *err)
{
    uint64_t generation = 0;
    identity after;
    sx_status status = read_through(l->path, &generation, err);
    if (status == SX_OK)
        status = open_snapshot(l->path, out, err);
    if (status == SX_OK && (identify(l->path, &after, NULL) != SX_OK || !same(file, &after) ||
                            (*out)->generation != generation)) {
        close_snapshot(*out);
        status = sx_fail(err, SX_AGAIN, "index '%s' was replaced while it was read", l->path);
    }
    return status;
}

static void publish(geo_live *l, geo_snapshot *fresh)
{
    pthread_mutex_lock(&l->lock);
    l->now->next = l->retired;
    l->retired = l->now;
    __atomic_store_n(&l->now, fresh, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&l->lock);
    __atomic_store_n(&l->loaded_wall_ms, sx_clock_ms(sx_clock_system()), __ATOMIC_RELAXED);
}

/* ---- looking ---- */

static void tell_loaded(const geo_live *l)
{
    geo_stat stat;
    geo_index_stat(l->now->index, &stat);
    if (l->loaded_count)
        sx_counter_add(l->loaded_count, 1);
    if (l->log)
        SX_LOG_INFO(l->log, NULL, "a new index serves", sx_field_z("index", l->path),
                    sx_field_u64("documents", stat.documents),
                    sx_field_u64("generation", stat.generation));
}

static sx_status refuse(geo_live *l, const identity *file, sx_status status, const sx_error *err)
{
    l->refused = *file;
    pthread_mutex_lock(&l->lock);
    l->refusal = *err;
    pthread_mutex_unlock(&l->lock);
    if (l->refused_count)
        sx_counter_add(l->refused_count, 1);
    if (l->log)
        SX_LOG_ERROR(l->log, NULL, "the new index was refused; the old one serves on",
                     sx_field_error(err));
    return status;
}

static void forgive(geo_live *l)
{
    l->refused = (identity){0};
    pthread_mutex_lock(&l->lock);
    l->refusal = (sx_error){0};
    pthread_mutex_unlock(&l->lock);
}

static sx_status take_up(geo_live *l, const identity *file, geo_look how, sx_error *err)
{
    enum { TRIES = 5 };
    geo_snapshot *fresh;
    identity current = *file;
    sx_status status = open_checked(l, &current, &fresh, err);
    /* Who asks now gets the file that is there now, however fast it is replaced. */
    for (int i = 1; status == SX_AGAIN && how == GEO_LOOK_NOW && i < TRIES; i++) {
        status = identify(l->path, &current, err);
        if (status == SX_OK)
            status = open_checked(l, &current, &fresh, err);
    }
    if (status == SX_AGAIN && how == GEO_LOOK_SETTLED)
        return SX_OK; /* the next look will find it settled */
    if (status != SX_OK)
        return refuse(l, &current, status, err);
    l->served = current;
    forgive(l);
    publish(l, fresh);
    tell_loaded(l);
    return SX_OK;
}

/* The file is not there. Told once, if it stays away for two looks: it may be on its way. */
static sx_status miss(geo_live *l, geo_look how, sx_status status, const sx_error *err)
{
    l->seen = (identity){0};
    l->missed += l->missed < 3;
    if (how == GEO_LOOK_NOW || l->missed == 2)
        return refuse(l, &l->seen, status, err);
    return SX_OK;
}

static sx_status look(geo_live *l, geo_look how, sx_error *err)
{
    identity file;
    sx_status status = identify(l->path, &file, err);
    if (status != SX_OK)
        return miss(l, how, status, err);
    bool settled = same(&file, &l->seen);
    l->seen = file;
    l->missed = 0;
    if (same(&file, &l->served)) {
        forgive(l); /* put back as it was */
        return SX_OK;
    }
    if (how == GEO_LOOK_SETTLED && (!settled || same(&file, &l->refused)))
        return SX_OK;
    return take_up(l, &file, how, err);
}

sx_status geo_live_look(geo_live *l, geo_look how, sx_error *err)
{
    sx_error own = {0};
    pthread_mutex_lock(&l->looking);
    sx_status status = look(l, how, err ? err : &own);
    close_unheld(l);
    pthread_mutex_unlock(&l->looking);
    return status;
}

bool geo_live_has_retired(geo_live *l)
{
    pthread_mutex_lock(&l->lock);
    bool any = l->retired != NULL;
    pthread_mutex_unlock(&l->lock);
    return any;
}

void geo_live_sweep(geo_live *l)
{
    close_unheld(l);
}

sx_status geo_live_check(geo_live *l, sx_error *err)
{
    pthread_mutex_lock(&l->lock);
    sx_status status = l->refusal.status;
    if (status != SX_OK)
        *err = l->refusal;
    pthread_mutex_unlock(&l->lock);
    return status;
}

/* ---- reporting ---- */

static void stat_now(geo_live *l, geo_stat *out)
{
    geo_snapshot *s = geo_live_follow(l, NULL);
    geo_index_stat(s->index, out);
    geo_snapshot_unref(s);
}

static void collect_documents(sx_collect *into, void *ctx)
{
    geo_stat stat;
    stat_now(ctx, &stat);
    sx_collect_value(into, NULL, 0, (double)stat.documents);
}

static void collect_bytes(sx_collect *into, void *ctx)
{
    geo_stat stat;
    stat_now(ctx, &stat);
    sx_collect_value(into, NULL, 0, (double)stat.file_bytes);
}

static void collect_loaded(sx_collect *into, void *ctx)
{
    const geo_live *l = ctx;
    sx_collect_value(into, NULL, 0,
                     (double)__atomic_load_n(&l->loaded_wall_ms, __ATOMIC_RELAXED) * 1e-3);
}

sx_status geo_live_report(geo_live *l, sx_metrics *metrics, sx_logger *log, sx_error *err)
{
    static const char *const LABELS[] = {"outcome"};
    static const sx_str LOADED = SX_STR_INIT("loaded"), REFUSED = SX_STR_INIT("refused");
    const sx_metric_options options[] = {
        {.kind = SX_METRIC_GAUGE,
         .name = "geocode_index_documents",
         .help = "Documents in the index being served.",
         .collect = collect_documents,
         .collect_ctx = l},
        {.kind = SX_METRIC_GAUGE,
         .name = "geocode_index_file_bytes",
         .help = "Size of the index being served.",
         .collect = collect_bytes,
         .collect_ctx = l},
        {.kind = SX_METRIC_GAUGE,
         .name = "geocode_index_loaded_timestamp_seconds",
         .help = "When the index being served was taken up.",
         .collect = collect_loaded,
         .collect_ctx = l},
        {.kind = SX_METRIC_COUNTER,
         .name = "geocode_index_reloads_total",
         .help = "New index files that were taken up (loaded) or turned down (refused).",
         .labels = LABELS,
         .label_count = 1},
    };
    sx_metric *metric = NULL;
    sx_status status = SX_OK;
    for (size_t i = 0; i < SX_COUNT_OF(options) && status == SX_OK; i++)
        status = sx_metric_new(metrics, &options[i], &metric, err);
    if (status != SX_OK)
        return status;
    l->loaded_count = sx_metric_counter(metric, &LOADED, 1);
    l->refused_count = sx_metric_counter(metric, &REFUSED, 1);
    l->log = log;
    return SX_OK;
}

void geo_live_mute(geo_live *l)
{
    l->loaded_count = l->refused_count = NULL;
    l->log = NULL;
}

/* ---- life ---- */

sx_status geo_live_new(const char *path, geo_live **out, sx_error *err)
{
    geo_live *l = sx_calloc(1, sizeof(*l));
    if (!l)
        return sx_fail_memory(err, "the index being served");
    l->path = path;
    /* Before it is opened: a file that is put there in between is another one, and taken up later. */
    (void)identify(path, &l->served, NULL);
    sx_status status = open_snapshot(path, &l->now, err);
    if (status != SX_OK) {
        sx_free(l);
        return status;
    }
    l->seen = l->served;
    l->loaded_wall_ms = sx_clock_ms(sx_clock_system());
    pthread_mutex_init(&l->looking, NULL);
    pthread_mutex_init(&l->lock, NULL);
    *out = l;
    return SX_OK;
}

void geo_live_free(geo_live *l)
{
    if (!l)
        return;
    close_unheld(l);
    sx_assert(!l->retired && l->now->refs == 1);
    close_snapshot(l->now);
    pthread_mutex_destroy(&l->looking);
    pthread_mutex_destroy(&l->lock);
    sx_free(l);
}
