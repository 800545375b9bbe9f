/* search.c - /search/metric_names, /search/label_names, /search/label_values: names for those who type.
 *
 * The answer is a JSON object a line: batches {"results":[...]}, the first of which always comes, and at
 * the end {"status":"success","has_more":...}. What is wrong is told before, as everywhere else.
 * Source: Prometheus, docs/querying/api.md, "Search endpoints". */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/api/api.h"
#include "observe/api/search_score.h"

enum { LIMIT_USUAL = 100, BATCH_USUAL = 100, HOUR_MS = 3600000, LOOK_EVERY = 256 };

typedef struct found {
    sx_str text;
    double score;
} found;

typedef struct search_state {
    int64_t start, end, limit, batch;
    api_matchers matchers;
    sx_str terms[API_SEARCH_TERMS_MAX];
    size_t term_count;
    api_search_options options;
    bool by_score, falling, with_score, with_metadata;
    const char *key; /* of a result: "name" or "value" */
    tsdb_querier *querier;
    tsdb_metadata_of *metadata; /* by metric */
    size_t metadata_count;
    found *items;
    size_t count, next;
    bool has_more;
} search_state;

static void search_done(api_call *c)
{
    search_state *s = c->state;
    if (s->querier)
        s->querier->ops->free(s->querier);
    api_matchers_done(&s->matchers);
    sx_free(s->items);
}

/* ---- parameters ---- */

/* `before`, the value in quotes, `behind`; always false. */
static bool refuse_value(api_call *c, const char *before, sx_str value, const char *behind)
{
    sx_buf quoted;
    sx_buf_init(&quoted, 0);
    tsdb_quote(value, &quoted);
    api_fail(c, API_BAD_DATA,
             sx_arena_printf(&c->arena, "%s%.*s%s", before, SX_ARG(sx_buf_view(&quoted)), behind));
    sx_buf_done(&quoted);
    return false;
}

static bool read_times(api_call *c, search_state *s)
{
    sx_error err = {0};
    int64_t now = sx_clock_ms(c->api->clock);
    if (api_form_time(&c->form, "start", now - HOUR_MS, &s->start, &err) != SX_OK ||
        api_form_time(&c->form, "end", now, &s->end, &err) != SX_OK) {
        api_fail(c, API_BAD_DATA, sx_str_z(err.message));
        return false;
    }
    if (s->end >= s->start)
        return true;
    api_fail(c, API_BAD_DATA, SX_STR("end timestamp must not be before start timestamp"));
    return false;
}

static bool read_terms(api_call *c, search_state *s)
{
    sx_error err = {0};
    sx_str *terms;
    size_t count;
    if (api_matchers_read(&c->form, false, &c->arena, &s->matchers, &err) != SX_OK ||
        api_form_all(&c->form, "search[]", &c->arena, &terms, &count, &err) != SX_OK) {
        api_fail(c, err.status == SX_ENOMEM ? API_INTERNAL : API_BAD_DATA, sx_str_z(err.message));
        return false;
    }
    if (count > API_SEARCH_TERMS_MAX) {
        api_fail(c, API_BAD_DATA,
                 sx_arena_printf(&c->arena, "too many search[] terms: got %zu, maximum is %d",
                                 count, API_SEARCH_TERMS_MAX));
        return false;
    }
    for (size_t i = 0; i < count; i++)
        s->terms[s->term_count++] = terms[i];
    return true;
}

static bool read_measure(api_call *c, search_state *s)
{
    sx_error err = {0};
    int64_t percent = 0;
    sx_str text = api_form_get(&c->form, "fuzz_threshold");
    if (text.len &&
        (api_int_read(text, "Atoi", 64, &percent, &err) != SX_OK || percent < 0 || percent > 100))
        return refuse_value(c, "invalid fuzz_threshold ", text, ": must be 0-100");
    s->options.threshold = (double)percent / 100.0;
    text = api_form_get(&c->form, "fuzz_alg");
    s->options.jaro_winkler = sx_str_eq(text, SX_STR("jarowinkler"));
    if (text.len && !s->options.jaro_winkler && !sx_str_eq(text, SX_STR("subsequence")))
        return refuse_value(c, "unsupported fuzz_alg ", text,
                            ": must be one of [subsequence jarowinkler]");
    return true;
}

static bool read_truth(api_call *c, const char *name, bool *value)
{
    sx_str text = api_form_get(&c->form, name);
    if (!text.len || api_bool_read(text, value))
        return true;
    sx_str before = sx_arena_printf(&c->arena, "invalid %s ", name);
    return refuse_value(c, before.data ? before.data : "", text, ": must be boolean");
}

static bool read_order(api_call *c, search_state *s)
{
    sx_str by = api_form_get(&c->form, "sort_by"), way = api_form_get(&c->form, "sort_dir");
    const char *fault = NULL;
    s->by_score = sx_str_eq(by, SX_STR("score"));
    s->falling = sx_str_eq(way, SX_STR("dsc")) && sx_str_eq(by, SX_STR("alpha"));
    if (way.len && !by.len)
        fault = "sort_dir is only valid when sort_by is set";
    else if (way.len && s->by_score)
        fault = "sort_dir is not supported for sort_by=score";
    else if (way.len && !sx_str_eq(way, SX_STR("asc")) && !sx_str_eq(way, SX_STR("dsc")))
        return refuse_value(c, "invalid sort_dir ", way, ": must be \"asc\" or \"dsc\"");
    else if (s->by_score && !s->term_count)
        fault = "sort_by=score requires search[] to be set";
    if (fault)
        api_fail(c, API_BAD_DATA, sx_str_z(fault));
    return !fault;
}

static bool read_sizes(api_call *c, search_state *s)
{
    sx_error err = {0};
    int64_t most = c->api->flags->search_limit_max;
    s->limit = most > 0 && most < LIMIT_USUAL ? most : LIMIT_USUAL;
    s->batch = BATCH_USUAL;
    sx_str text = api_form_get(&c->form, "limit");
    if (text.len && (api_int_read(text, "Atoi", 64, &s->limit, &err) != SX_OK || s->limit <= 0))
        return refuse_value(c, "invalid limit ", text, ": must be a positive integer");
    if (most > 0 && s->limit > most) {
        api_fail(c, API_BAD_DATA,
                 sx_arena_printf(&c->arena,
                                 "limit %lld exceeds the configured maximum (%lld, see "
                                 "--web.search.max-limit)",
                                 (long long)s->limit, (long long)most));
        return false;
    }
    text = api_form_get(&c->form, "batch_size");
    if (text.len && (api_int_read(text, "Atoi", 64, &s->batch, &err) != SX_OK || s->batch <= 0))
        return refuse_value(c, "invalid batch_size ", text, ": must be a positive integer");
    return true;
}

/* In the order in which Prometheus looks at them; false: the answer tells what is wrong. */
static bool read_parameters(api_call *c, search_state *s, const char *endpoint)
{
    bool keep_case = true;
    if (c->form.fault.len) {
        api_fail(
            c, API_BAD_DATA,
            sx_arena_printf(&c->arena, "error parsing form values: %.*s", SX_ARG(c->form.fault)));
        return false;
    }
    if (!read_times(c, s) || !read_terms(c, s) || !read_measure(c, s) ||
        !read_truth(c, "case_sensitive", &keep_case) ||
        !read_truth(c, "include_score", &s->with_score) || !read_order(c, s) || !read_sizes(c, s))
        return false;
    s->options.fold_case = !keep_case;
    sx_str by = api_form_get(&c->form, "sort_by");
    if (!by.len || s->by_score || sx_str_eq(by, SX_STR("alpha")))
        return true;
    sx_str behind = sx_arena_printf(&c->arena, " for %s: must be \"alpha\" or \"score\"", endpoint);
    return refuse_value(c, "invalid sort_by ", by, behind.data ? behind.data : "");
}

/* ---- what is found ---- */

static int by_score(const void *a, const void *b)
{
    const found *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return sx_str_cmp(x->text, y->text);
}

/* Of `texts`, which are sorted, what passes, one more than the limit at most. */
static sx_status pick(api_call *c, search_state *s, const sx_str *texts, size_t count,
                      sx_error *err)
{
    api_search search;
    size_t cap = 0, most = (uint64_t)s->limit < SIZE_MAX ? (size_t)s->limit + 1 : SIZE_MAX;
    sx_status status = api_search_init(&search, &s->options, s->terms, s->term_count, err);
    for (size_t i = 0; i < count && status == SX_OK; i++) {
        sx_str text = texts[s->falling ? count - 1 - i : i];
        double score;
        if (i % LOOK_EVERY == 0 && atomic_load(&c->canceled))
            break;
        if (!api_search_score(&search, text, &score))
            continue;
        if (s->count == cap) {
            cap = cap ? cap * 2 : 256;
            found *more = sx_realloc(s->items, cap * sizeof *more);
            if (!more) {
                status = sx_fail_memory(err, "what was found");
                break;
            }
            s->items = more;
        }
        s->items[s->count++] = (found){text, score};
        if (!s->by_score && s->count == most)
            break;
    }
    if (status == SX_OK && search.folded.failed)
        status = sx_fail_memory(err, "a search");
    api_search_done(&search);
    if (s->by_score && s->count)
        qsort(s->items, s->count, sizeof *s->items, by_score);
    s->has_more = s->count > (uint64_t)s->limit;
    s->count = s->has_more ? (size_t)s->limit : s->count;
    return status;
}

static int by_metric(const void *key, const void *item)
{
    return sx_str_cmp(*(const sx_str *)key, ((const tsdb_metadata_of *)item)->metric);
}

static void write_field(sx_buf *out, const char *key, sx_str value)
{
    if (!value.len)
        return;
    sx_buf_printf(out, ",\"%s\":", key);
    api_json_text(out, value);
}

static void write_found(sx_buf *out, const search_state *s, const found *f)
{
    sx_buf_printf(out, "{\"%s\":", s->key);
    api_json_text(out, f->text);
    if (s->with_score) {
        sx_buf_str(out, SX_STR(",\"score\":"));
        api_json_number(out, f->score);
    }
    const tsdb_metadata_of *m =
        s->metadata_count ? bsearch(&f->text, s->metadata, s->metadata_count, sizeof *m, by_metric)
                          : NULL;
    if (m) {
        write_field(out, "type", m->metadata.type);
        write_field(out, "help", m->metadata.help);
        write_field(out, "unit", m->metadata.unit);
    }
    sx_buf_byte(out, '}');
}

static void write_batches(api_call *c)
{
    search_state *s = c->state;
    size_t full = c->out.len + API_PIECE_BYTES;
    do {
        sx_buf_str(&c->out, SX_STR("{\"results\":["));
        for (int64_t i = 0; i < s->batch && s->next < s->count; i++) {
            if (i)
                sx_buf_byte(&c->out, ',');
            write_found(&c->out, s, &s->items[s->next++]);
        }
        sx_buf_str(&c->out, SX_STR("]}\n"));
    } while (s->next < s->count && c->out.len < full);
    c->more = s->next < s->count && !c->out.failed;
    if (!c->more)
        sx_buf_printf(&c->out, "{\"status\":\"success\",\"has_more\":%s}\n",
                      s->has_more ? "true" : "false");
}

/* ---- the three ---- */

/* Reads the parameters and finds a querier; NULL: the answer tells what is wrong. */
static search_state *begin(api_call *c, const char *endpoint)
{
    sx_error err = {0};
    if (!(c->api->flags->feature_bits & OBSERVE_FEATURE_SEARCH)) {
        api_fail(c, API_UNAVAILABLE, SX_STR("search API disabled"));
        return NULL;
    }
    search_state *s = sx_arena_calloc(&c->arena, 1, sizeof *s);
    if (!s) {
        api_fail(c, API_INTERNAL, SX_STR("out of memory"));
        return NULL;
    }
    c->state = s;
    c->done = search_done;
    s->key = "name";
    if (!read_parameters(c, s, endpoint))
        return NULL;
    if (c->api->store->querier(c->api->store, s->start, s->end, &s->querier, &err) == SX_OK)
        return s;
    api_fail_store(c, &err);
    return NULL;
}

static void search(api_call *c, search_state *s, sx_str name)
{
    sx_error err = {0};
    sx_str *texts;
    size_t count;
    sx_status status = api_label_texts(c, s->querier, &s->matchers, name, 0, &texts, &count, &err);
    if (status == SX_OK)
        status = pick(c, s, texts, count, &err);
    if (status == SX_OK && s->with_metadata && s->count)
        status = api_metadata_gather(c, SX_STR(""), &s->metadata, &s->metadata_count, &err);
    if (status != SX_OK) {
        api_fail_store(c, &err);
        return;
    }
    c->status = 200;
    c->content_type = SX_STR("application/x-ndjson; charset=utf-8");
    c->work = write_batches;
    write_batches(c);
}

void api_search_metric_names(api_call *c)
{
    search_state *s = begin(c, "metric_names");
    if (s && read_truth(c, "include_metadata", &s->with_metadata))
        search(c, s, SX_STR("__name__"));
}

void api_search_label_names(api_call *c)
{
    search_state *s = begin(c, "label_names");
    if (s)
        search(c, s, SX_STR(""));
}

void api_search_label_values(api_call *c)
{
    search_state *s = begin(c, "label_values");
    sx_str label = api_form_get(&c->form, "label");
    if (!s)
        return;
    s->key = "value";
    if (label.len)
        search(c, s, label);
    else
        api_fail(c, API_BAD_DATA, SX_STR("missing required parameter \"label\""));
}
