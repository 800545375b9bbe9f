/* scrape_meta.c - a target's metadata.
 *
 * Families come in the same order at each scrape, so that the next line is nearly always about the
 * family under the cursor or the one after it. Only a change takes the lock. */
#include <sextant/mem.h>

#include "observe/scrape/scrape_internal.h"

static void free_meta(scrape_meta *m)
{
    sx_free((char *)m->name.data);
    sx_free(m->help);
    sx_free(m->unit);
}

void scrape_meta_done(scrape_target *t)
{
    for (size_t i = 0; i < t->meta_count; i++)
        free_meta(&t->metas[i]);
    sx_free(t->metas);
    sx_map_done(&t->meta_by_name);
    t->metas = NULL;
    t->meta_count = t->meta_cap = 0;
}

void scrape_meta_begin(scrape_target *t)
{
    t->meta_cursor = 0;
    t->meta_scrape++;
}

static scrape_meta *find(scrape_target *t, sx_str name)
{
    for (size_t i = t->meta_cursor; i < t->meta_count && i < t->meta_cursor + 2; i++) {
        if (sx_str_eq(t->metas[i].name, name)) {
            t->meta_cursor = i;
            return &t->metas[i];
        }
    }
    const sx_map_entry *e = sx_map_find(&t->meta_by_name, name);
    if (!e)
        return NULL;
    t->meta_cursor = (size_t)e->u64;
    return &t->metas[e->u64];
}

static char *copy_text(sx_str text)
{
    char *copy = sx_alloc(text.len + 1);
    if (copy && text.len)
        memcpy(copy, text.data, text.len);
    return copy;
}

/* Under the lock. */
static scrape_meta *add(scrape_target *t, sx_str name)
{
    if (!sx_grow(&t->metas, &t->meta_cap, t->meta_count + 1, sizeof *t->metas))
        return NULL;
    char *copy = copy_text(name);
    sx_map_entry *e = copy ? sx_map_put(&t->meta_by_name, sx_str_of(copy, name.len), NULL) : NULL;
    if (!e) {
        sx_free(copy);
        return NULL;
    }
    e->u64 = t->meta_count;
    scrape_meta *m = &t->metas[t->meta_count];
    *m = (scrape_meta){
        .name = sx_str_of(copy, name.len), .type = SX_STR("unknown"), .changed = t->meta_scrape};
    t->meta_cursor = t->meta_count++;
    return m;
}

static bool says(const scrape_meta *m, const prom_entry *e)
{
    switch (e->kind) {
    case PROM_ENTRY_TYPE:
        return sx_str_eq(m->type, e->text);
    case PROM_ENTRY_HELP:
        return sx_str_eq(sx_str_of(m->help, m->help_len), e->text);
    default:
        return sx_str_eq(sx_str_of(m->unit, m->unit_len), e->text);
    }
}

/* Under the lock. */
static bool change(scrape_target *t, scrape_meta *m, const prom_entry *e)
{
    if (e->kind == PROM_ENTRY_TYPE) {
        m->type = e->text;
    } else {
        bool help = e->kind == PROM_ENTRY_HELP;
        char *copy = copy_text(e->text);
        if (!copy)
            return false;
        sx_free(help ? m->help : m->unit);
        *(help ? &m->help : &m->unit) = copy;
        *(help ? &m->help_len : &m->unit_len) = e->text.len;
    }
    m->changed = t->meta_scrape;
    return true;
}

scrape_meta *scrape_meta_take(scrape_target *t, const prom_entry *e)
{
    scrape_meta *m = find(t, e->metric);
    if (!m || !says(m, e)) {
        pthread_mutex_lock(&t->lock);
        if (!m)
            m = add(t, e->metric);
        if (m && !says(m, e) && !change(t, m, e))
            m = NULL;
        pthread_mutex_unlock(&t->lock);
    }
    if (m)
        m->seen = t->meta_scrape;
    return m;
}

void scrape_meta_end(scrape_target *t)
{
    size_t kept = 0;
    while (kept < t->meta_count && t->meta_scrape - t->metas[kept].seen <= SCRAPE_META_KEPT)
        kept++;
    if (kept == t->meta_count)
        return;
    pthread_mutex_lock(&t->lock);
    for (size_t i = kept; i < t->meta_count; i++) {
        scrape_meta *m = &t->metas[i];
        if (t->meta_scrape - m->seen > SCRAPE_META_KEPT) {
            sx_map_remove(&t->meta_by_name, m->name);
            free_meta(m);
            continue;
        }
        sx_map_find(&t->meta_by_name, m->name)->u64 = kept;
        t->metas[kept++] = *m;
    }
    t->meta_count = kept;
    pthread_mutex_unlock(&t->lock);
}

/* --- */

static const struct {
    sx_str type;
    sx_str suffixes[3];
} SUFFIXES[] = {
    {SX_STR_INIT("counter"), {SX_STR_INIT("_total")}},
    {SX_STR_INIT("histogram"),
     {SX_STR_INIT("_bucket"), SX_STR_INIT("_sum"), SX_STR_INIT("_count")}},
    {SX_STR_INIT("gaugehistogram"),
     {SX_STR_INIT("_bucket"), SX_STR_INIT("_gsum"), SX_STR_INIT("_gcount")}},
    {SX_STR_INIT("summary"), {SX_STR_INIT("_sum"), SX_STR_INIT("_count")}},
    {SX_STR_INIT("info"), {SX_STR_INIT("_info")}},
};

bool scrape_meta_covers(const scrape_meta *m, sx_str name)
{
    sx_str family = m->name;
    if (!sx_str_starts(name, family))
        return false;
    if (name.len == family.len)
        return true;
    for (size_t i = 0; i < SX_COUNT_OF(SUFFIXES); i++) {
        if (!sx_str_eq(SUFFIXES[i].type, m->type))
            continue;
        for (size_t k = 0; k < 3 && SUFFIXES[i].suffixes[k].len; k++) {
            if (sx_str_eq(sx_str_from(name, family.len), SUFFIXES[i].suffixes[k]))
                return true;
        }
    }
    return false;
}
