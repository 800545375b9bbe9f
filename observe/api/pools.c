/* pools.c - /scrape_pools, /scrape_pools/config, /targets/relabel_steps: jobs as they are configured, and
 * what each rule of one makes of a target's labels. */
#include <stdlib.h>

#include <sextant/json.h>

#include "observe/api/api.h"

enum { LABELS_MAX = 10000 };

static int by_text(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

void api_scrape_pools(api_call *c)
{
    prom_config *config = observe_api_config(c->api);
    uint32_t count = config->scrape_count;
    sx_str *names = sx_arena_alloc(&c->arena, (count + 1) * sizeof *names);
    if (!names) {
        prom_config_unref(config);
        api_fail(c, API_INTERNAL, SX_STR("out of memory"));
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        names[i] = config->scrapes[i].job_name;
    qsort(names, count, sizeof *names, by_text);
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"scrapePools\":["));
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&c->out, ',');
        api_json_text(&c->out, names[i]);
    }
    sx_buf_str(&c->out, SX_STR("]}}"));
    prom_config_unref(config);
}

/* ---- one of them ---- */

/* The job that the parameter names, in `config`; NULL: the answer tells what is wrong. */
static const prom_scrape_config *find_pool(api_call *c, const prom_config *config)
{
    sx_str name = api_form_get(&c->form, "scrapePool");
    for (uint32_t i = 0; i < config->scrape_count; i++)
        if (sx_str_eq(config->scrapes[i].job_name, name))
            return &config->scrapes[i];
    sx_buf quoted;
    sx_buf_init(&quoted, 0);
    tsdb_quote(name, &quoted);
    sx_str words =
        sx_arena_printf(&c->arena, "error retrieving scrape config: scrape pool %.*s not found",
                        SX_ARG(sx_buf_view(&quoted)));
    sx_buf_done(&quoted);
    api_fail(c, API_BAD_DATA, words);
    return NULL;
}

static bool has_pool_parameter(api_call *c)
{
    if (api_form_get(&c->form, "scrapePool").len)
        return true;
    api_fail(c, API_BAD_DATA, SX_STR("no scrapePool parameter provided"));
    return false;
}

void api_scrape_pool_config(api_call *c)
{
    if (!has_pool_parameter(c))
        return;
    prom_config *config = observe_api_config(c->api);
    const prom_scrape_config *pool = find_pool(c, config);
    if (pool) {
        sx_buf text;
        sx_buf_init(&text, 0);
        prom_scrape_print(pool, &text);
        api_success(c);
        sx_buf_str(&c->out, SX_STR(",\"data\":{\"yaml\":"));
        api_json_text(&c->out, sx_buf_view(&text));
        sx_buf_str(&c->out, SX_STR("}}"));
        c->out.failed |= text.failed;
        sx_buf_done(&text);
    }
    prom_config_unref(config);
}

/* ---- what its rules do ---- */

/* {"name":"value",...} into `b`, whose texts lie in the call's arena. */
static bool read_labels(api_call *c, sx_str text, tsdb_labels_builder *b)
{
    sx_error err = {0};
    sx_json_options options = {.arena = &c->arena};
    sx_json json;
    sx_str name, value;
    sx_status status = SX_OK;
    size_t count = 0;
    sx_json_init(&json, text, &options);
    sx_json_enter_object(&json);
    while (status == SX_OK && sx_json_next_key(&json, &name) && sx_json_read_str(&json, &value)) {
        if (count++ == LABELS_MAX)
            status = sx_fail(&err, SX_ELIMIT, "more than %d labels", LABELS_MAX);
        else
            status = tsdb_labels_builder_set(b, name, value, &err);
    }
    if (status == SX_OK)
        status = sx_json_finish(&json, &err);
    if (status == SX_OK)
        return true;
    api_fail(c, status == SX_ENOMEM ? API_INTERNAL : API_BAD_DATA,
             sx_arena_printf(&c->arena, "error parsing labels: %s", err.message));
    return false;
}

/* A rule in Prometheus's JSON: the keys of its YAML. */
static void write_rule(sx_buf *out, const prom_relabel *r)
{
    sx_buf_str(out, SX_STR("{\"rule\":{"));
    for (uint32_t i = 0; i < r->source_count; i++) {
        sx_buf_str(out, i ? SX_STR(",") : SX_STR("\"source_labels\":["));
        api_json_text(out, r->source[i]);
    }
    sx_buf_str(out, r->source_count ? SX_STR("],\"separator\":") : SX_STR("\"separator\":"));
    api_json_text(out, r->separator);
    sx_buf_str(out, SX_STR(",\"regex\":"));
    api_json_text(out, r->regex_text);
    if (r->modulus)
        sx_buf_printf(out, ",\"modulus\":%llu", (unsigned long long)r->modulus);
    if (r->target.len) {
        sx_buf_str(out, SX_STR(",\"target_label\":"));
        api_json_text(out, r->target);
    }
    sx_buf_str(out, SX_STR(",\"replacement\":"));
    api_json_text(out, r->replacement);
    sx_buf_str(out, SX_STR(",\"action\":"));
    api_json_text(out, prom_relabel_action_name(r->action));
    sx_buf_str(out, SX_STR("},\"output\":"));
}

static sx_status write_steps(api_call *c, const prom_scrape_config *pool, tsdb_labels_builder *b,
                             sx_error *err)
{
    bool keep = true;
    sx_status status = SX_OK;
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":{\"steps\":["));
    for (uint32_t i = 0; i < pool->relabel_count && status == SX_OK; i++) {
        if (keep)
            status = prom_relabel_apply(&pool->relabel[i], 1, b, &c->arena, &keep, err);
        if (i)
            sx_buf_byte(&c->out, ',');
        write_rule(&c->out, &pool->relabel[i]);
        api_json_labels(&c->out, keep ? tsdb_labels_builder_take(b) : (tsdb_labels){0});
        sx_buf_str(&c->out, keep ? SX_STR(",\"keep\":true}") : SX_STR(",\"keep\":false}"));
    }
    sx_buf_str(&c->out, SX_STR("]}}"));
    return status;
}

void api_relabel_steps(api_call *c)
{
    sx_error err = {0};
    tsdb_labels_builder b;
    sx_str labels = api_form_get(&c->form, "labels");
    if (!has_pool_parameter(c))
        return;
    if (!labels.len) {
        api_fail(c, API_BAD_DATA, SX_STR("no labels parameter provided"));
        return;
    }
    prom_config *config = observe_api_config(c->api);
    tsdb_labels_builder_init(&b);
    if (read_labels(c, labels, &b)) {
        const prom_scrape_config *pool = find_pool(c, config);
        if (pool && write_steps(c, pool, &b, &err) != SX_OK)
            api_fail(c, API_INTERNAL, sx_str_z(err.message));
    }
    tsdb_labels_builder_done(&b);
    prom_config_unref(config);
}
