/* targets.c - /targets, /targets/metadata, /metadata: what is scraped. */
#include <stdlib.h>
#include <string.h>

#include "observe/api/api.h"
#include "observe/scrape/scrape.h"

static bool read_number(api_call *c, const char *name, int64_t *out)
{
    sx_error err = {0};
    sx_str text = api_form_get(&c->form, name);
    *out = -1;
    if (!text.len || api_int_read(text, "Atoi", 64, out, &err) == SX_OK)
        return true;
    api_fail(c, API_BAD_DATA, sx_arena_printf(&c->arena, "%s must be a number", name));
    return false;
}

/* ---- /targets ---- */

/* HOST and PORT of the host part of an address; IPv6 hosts lose their brackets. */
static void split_host(sx_str text, sx_str *host, sx_str *port)
{
    size_t colon = text.len;
    while (colon && text.data[colon - 1] != ':' && text.data[colon - 1] != ']')
        colon--;
    bool has_port = colon && text.data[colon - 1] == ':';
    *host = has_port ? sx_str_first(text, colon - 1) : text;
    *port = has_port ? sx_str_from(text, colon) : SX_STR("");
    if (host->len > 1 && host->data[0] == '[')
        *host = sx_str_first(sx_str_from(*host, 1), host->len - 2);
}

/* A target on this machine, as it is reached from outside: ourselves by the external address, others
 * by its host name. */
static void write_global_url(const observe_api *a, sx_str url, sx_buf *out)
{
    static const sx_str LOCAL[] = {SX_STR_INIT("127.0.0.1"), SX_STR_INIT("localhost"),
                                   SX_STR_INIT("::1")};
    size_t from = sx_str_find(url, SX_STR("://"));
    sx_str rest = sx_str_from(url, from + 3), host, port, own_host, own_port, outer, ignored;
    sx_str authority = sx_str_first(rest, sx_str_find_byte(rest, '/'));
    sx_str path = sx_str_from(rest, authority.len);
    split_host(authority, &host, &port);
    bool local = false;
    for (size_t i = 0; i < SX_COUNT_OF(LOCAL) && !local; i++)
        local = sx_str_eq(host, LOCAL[i]);
    if (!local || from == url.len) {
        sx_buf_str(out, url);
        return;
    }
    const char *address = sx_service_address(a->service, "http");
    split_host(sx_str_z(address), &own_host, &own_port);
    if (sx_str_eq(port, own_port)) {
        sx_buf_str(out, a->external_url);
        sx_buf_str(out, path);
        return;
    }
    sx_str external = sx_str_from(a->external_url, sx_str_find(a->external_url, SX_STR("://")) + 3);
    split_host(sx_str_first(external, sx_str_find_byte(external, '/')), &outer, &ignored);
    sx_buf_str(out, sx_str_first(url, from + 3));
    sx_buf_str(out, outer);
    if (port.len) {
        sx_buf_byte(out, ':');
        sx_buf_str(out, port);
    }
    sx_buf_str(out, path);
}

static void write_target(api_call *c, const prom_target_info *t, sx_buf *scratch)
{
    static const char *const HEALTH[] = {
        [PROM_HEALTH_UNKNOWN] = "unknown", [PROM_HEALTH_UP] = "up", [PROM_HEALTH_DOWN] = "down"};
    sx_buf *out = &c->out;
    char interval[64], timeout[64];
    promql_print_duration(t->interval_ms, interval);
    promql_print_duration(t->timeout_ms, timeout);
    sx_buf_str(out, SX_STR("{\"discoveredLabels\":"));
    api_json_labels(out, t->discovered);
    sx_buf_str(out, SX_STR(",\"labels\":"));
    api_json_labels(out, t->labels);
    sx_buf_str(out, SX_STR(",\"scrapePool\":"));
    api_json_text(out, t->pool);
    sx_buf_str(out, SX_STR(",\"scrapeUrl\":"));
    api_json_text(out, t->scrape_url);
    sx_buf_str(out, SX_STR(",\"globalUrl\":"));
    sx_buf_clear(scratch);
    write_global_url(c->api, t->scrape_url, scratch);
    api_json_text(out, sx_buf_view(scratch));
    sx_buf_str(out, SX_STR(",\"lastError\":"));
    api_json_text(out, t->last_error);
    sx_buf_str(out, SX_STR(",\"lastScrape\":"));
    api_json_date(out, t->last_scrape_ms);
    sx_buf_str(out, SX_STR(",\"lastScrapeDuration\":"));
    api_json_number(out, t->last_duration_s);
    sx_buf_printf(out, ",\"health\":\"%s\",\"scrapeInterval\":\"%s\",\"scrapeTimeout\":\"%s\"}",
                  HEALTH[t->health], interval, timeout);
}

static void write_dropped(sx_buf *out, const prom_targets *t)
{
    for (size_t i = 0; i < t->dropped_count; i++) {
        sx_buf_str(out, i ? SX_STR(",{\"discoveredLabels\":") : SX_STR("{\"discoveredLabels\":"));
        api_json_labels(out, t->dropped[i].discovered);
        sx_buf_str(out, SX_STR(",\"scrapePool\":"));
        api_json_text(out, t->dropped[i].pool);
        sx_buf_byte(out, '}');
    }
}

static void write_dropped_totals(sx_buf *out, const prom_targets *t)
{
    for (size_t i = 0; i < t->pool_count; i++) {
        sx_buf_str(out, i ? SX_STR(",") : SX_STR(""));
        api_json_text(out, t->dropped_totals[i].pool);
        sx_buf_printf(out, ":%llu", (unsigned long long)t->dropped_totals[i].count);
    }
}

void api_targets(api_call *c)
{
    sx_error err = {0};
    prom_targets t;
    sx_str pool = api_form_address(&c->form, "scrapePool");
    sx_str state = api_form_address(&c->form, "state");
    bool any = !state.len || sx_str_ieq(state, SX_STR("any"));
    bool active = any || sx_str_ieq(state, SX_STR("active"));
    bool dropped = any || sx_str_ieq(state, SX_STR("dropped"));
    if (prom_scraper_targets(c->api->scraper, pool, &c->arena, &t, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    sx_buf scratch;
    sx_buf_init(&scratch, 0);
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"activeTargets\":["));
    for (size_t i = 0; active && i < t.active_count; i++) {
        if (i)
            sx_buf_byte(&c->out, ',');
        write_target(c, &t.active[i], &scratch);
    }
    sx_buf_str(&c->out, SX_STR("],\"droppedTargets\":["));
    if (dropped)
        write_dropped(&c->out, &t);
    sx_buf_str(&c->out, dropped ? SX_STR("],\"droppedTargetCounts\":{")
                                : SX_STR("],\"droppedTargetCounts\":null"));
    if (dropped) {
        write_dropped_totals(&c->out, &t);
        sx_buf_byte(&c->out, '}');
    }
    sx_buf_str(&c->out, SX_STR("}}"));
    sx_buf_done(&scratch);
}

/* ---- metadata of targets ---- */

static void write_type(sx_buf *out, sx_str type)
{
    sx_buf_str(out, SX_STR("\"type\":"));
    api_json_text(out, type.len ? type : SX_STR("unknown"));
}

static void write_target_metadata(sx_buf *out, const prom_target_metadata *m, bool named)
{
    sx_buf_str(out, SX_STR("{\"target\":"));
    api_json_labels(out, m->target);
    if (named) {
        sx_buf_str(out, SX_STR(",\"metric\":"));
        api_json_text(out, m->metric);
    }
    sx_buf_byte(out, ',');
    write_type(out, m->metadata.type);
    sx_buf_str(out, SX_STR(",\"help\":"));
    api_json_text(out, m->metadata.help);
    sx_buf_str(out, SX_STR(",\"unit\":"));
    api_json_text(out, m->metadata.unit);
    sx_buf_byte(out, '}');
}

/* The limit is looked at between targets, as Prometheus does: the last one may pass it. */
static void write_matching(api_call *c, const promql_parsed *match, int64_t limit,
                           const prom_target_metadata *items, size_t count)
{
    sx_str metric = api_form_get(&c->form, "metric");
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        bool same = i && tsdb_labels_equal(items[i].target, items[i - 1].target);
        if (!same && limit >= 0 && written >= (uint64_t)limit)
            break;
        if (match && !tsdb_matchers_match(match->expr->selector.matchers,
                                          match->expr->selector.matcher_count, items[i].target))
            continue;
        if (written++)
            sx_buf_byte(&c->out, ',');
        write_target_metadata(&c->out, &items[i], metric.len == 0);
    }
}

void api_target_metadata(api_call *c)
{
    sx_error err = {0};
    int64_t limit;
    promql_parsed match;
    prom_target_metadata *items;
    size_t count;
    sx_str text = api_form_get(&c->form, "match_target");
    if (!read_number(c, "limit", &limit))
        return;
    if (text.len && promql_parse_selector(text, &c->arena, &match, &err) != SX_OK) {
        api_fail_param(c, "match_target", &err);
        return;
    }
    if (prom_scraper_metadata(c->api->scraper, api_form_get(&c->form, "metric"), &c->arena, &items,
                              &count, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
    } else {
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":["));
        write_matching(c, text.len ? &match : NULL, limit, items, count);
        sx_buf_str(&c->out, SX_STR("]}"));
    }
    if (text.len)
        promql_parsed_done(&match);
}

/* ---- /metadata ---- */

static int by_metadata(const void *a, const void *b)
{
    const tsdb_metadata_of *x = a, *y = b;
    int order = sx_str_cmp(x->metric, y->metric);
    order = order ? order : sx_str_cmp(x->metadata.type, y->metadata.type);
    order = order ? order : sx_str_cmp(x->metadata.help, y->metadata.help);
    return order ? order : sx_str_cmp(x->metadata.unit, y->metadata.unit);
}

static int by_metric(const void *key, const void *item)
{
    return sx_str_cmp(*(const sx_str *)key, ((const tsdb_metadata_of *)item)->metric);
}

/* Whether targets told of a metric (`known`, sorted): under its name, or that of its family. */
static bool is_told(sx_str metric, const tsdb_metadata_of *known, size_t count)
{
    static const char *const SUFFIXES[] = {"",     "_total",   "_bucket", "_count",
                                           "_sum", "_created", "_info"};
    for (size_t i = 0; i < SX_COUNT_OF(SUFFIXES) && count; i++) {
        sx_str family = metric, suffix = sx_str_z(SUFFIXES[i]);
        if (!sx_str_ends(metric, suffix))
            continue;
        family.len -= suffix.len;
        if (bsearch(&family, known, count, sizeof *known, by_metric))
            return true;
    }
    return false;
}

/* What is written to us is kept by series: parts of a histogram or summary are told as their family. */
static sx_str family_of(const tsdb_metadata_of *m)
{
    static const char *const SUFFIXES[] = {"_bucket", "_count", "_sum"};
    bool parts = sx_str_eq(m->metadata.type, SX_STR("histogram")) ||
                 sx_str_eq(m->metadata.type, SX_STR("gaugehistogram")) ||
                 sx_str_eq(m->metadata.type, SX_STR("summary"));
    for (size_t i = 0; parts && i < SX_COUNT_OF(SUFFIXES); i++)
        if (sx_str_ends(m->metric, sx_str_z(SUFFIXES[i])))
            return sx_str_first(m->metric, m->metric.len - strlen(SUFFIXES[i]));
    return m->metric;
}

sx_status api_metadata_gather(api_call *c, sx_str metric, tsdb_metadata_of **out, size_t *out_count,
                              sx_error *err)
{
    prom_target_metadata *scraped;
    tsdb_metadata_of *stored;
    size_t scraped_count, stored_count, kept = 0;
    sx_status status =
        prom_scraper_metadata(c->api->scraper, metric, &c->arena, &scraped, &scraped_count, err);
    if (status == SX_OK)
        status = tsdb_metadata_read(c->api->db, metric, 0, &c->arena, &stored, &stored_count, err);
    if (status != SX_OK)
        return status;
    tsdb_metadata_of *all =
        sx_arena_alloc(&c->arena, (scraped_count + stored_count + 1) * sizeof *all);
    if (!all)
        return sx_fail_memory(err, "metadata");
    for (size_t i = 0; i < scraped_count; i++)
        all[i] = (tsdb_metadata_of){scraped[i].metric, scraped[i].metadata};
    qsort(all, scraped_count, sizeof *all, by_metadata);
    size_t count = scraped_count;
    for (size_t i = 0; i < stored_count; i++)
        if (!is_told(stored[i].metric, all, scraped_count))
            all[count++] = (tsdb_metadata_of){family_of(&stored[i]), stored[i].metadata};
    qsort(all, count, sizeof *all, by_metadata);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || by_metadata(&all[kept - 1], &all[i]) != 0)
            all[kept++] = all[i];
    *out = all;
    *out_count = kept;
    return SX_OK;
}

static void write_metadata(sx_buf *out, const tsdb_metadata *m)
{
    sx_buf_byte(out, '{');
    write_type(out, m->type);
    sx_buf_str(out, SX_STR(",\"unit\":"));
    api_json_text(out, m->unit);
    sx_buf_str(out, SX_STR(",\"help\":"));
    api_json_text(out, m->help);
    sx_buf_byte(out, '}');
}

void api_metadata(api_call *c)
{
    sx_error err = {0};
    int64_t limit, each;
    tsdb_metadata_of *items = NULL;
    size_t count = 0, metrics = 0, of_metric = 0;
    if (!read_number(c, "limit", &limit) || !read_number(c, "limit_per_metric", &each))
        return;
    if (api_metadata_gather(c, api_form_get(&c->form, "metric"), &items, &count, &err) != SX_OK) {
        api_fail_store(c, &err);
        return;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{"));
    for (size_t i = 0; i < count; i++) {
        bool same = i && sx_str_eq(items[i].metric, items[i - 1].metric);
        if (!same && limit >= 0 && metrics == (uint64_t)limit)
            break;
        of_metric = same ? of_metric + 1 : 0;
        if (each > 0 && of_metric >= (uint64_t)each)
            continue;
        if (!same) {
            sx_buf_str(&c->out, metrics++ ? SX_STR("],") : SX_STR(""));
            api_json_text(&c->out, items[i].metric);
        }
        sx_buf_str(&c->out, same ? SX_STR(",") : SX_STR(":["));
        write_metadata(&c->out, &items[i].metadata);
    }
    sx_buf_str(&c->out, metrics ? SX_STR("]}}") : SX_STR("}}"));
}
