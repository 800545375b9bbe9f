/* series.c - /series, /labels, /label/NAME/values, /metadata. */
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "observe/api/api.h"

enum { API_WARNINGS_MAX = 21 };

/* What the three have in common. */
typedef struct selection {
    int64_t limit, start, end;
    api_matchers matchers;
    tsdb_querier *querier;
} selection;

static void selection_done(selection *s)
{
    if (s->querier)
        s->querier->ops->free(s->querier);
    s->querier = NULL;
    api_matchers_done(&s->matchers);
}

/* limit, start, end, match[]; false: the answer tells what is wrong. `wrapped`: a broken match[] is
 * told as an invalid parameter. */
static bool selection_read(api_call *c, selection *s, bool wrapped)
{
    sx_error err = {0};
    *s = (selection){0};
    if (api_form_limit(&c->form, &s->limit, &err) != SX_OK) {
        api_fail_param(c, "limit", &err);
        return false;
    }
    if (api_form_time(&c->form, "start", API_TIME_MIN_MS, &s->start, &err) != SX_OK) {
        api_fail_param(c, "start", &err);
        return false;
    }
    if (api_form_time(&c->form, "end", API_TIME_MAX_MS, &s->end, &err) != SX_OK) {
        api_fail_param(c, "end", &err);
        return false;
    }
    if (api_matchers_read(&c->form, false, &c->arena, &s->matchers, &err) != SX_OK) {
        if (wrapped)
            api_fail_param(c, "match[]", &err);
        else
            api_fail(c, API_BAD_DATA, sx_str_z(err.message));
        api_matchers_done(&s->matchers);
        return false;
    }
    if (c->api->store->querier(c->api->store, s->start, s->end, &s->querier, &err) != SX_OK) {
        api_fail_store(c, &err);
        api_matchers_done(&s->matchers);
        return false;
    }
    return true;
}

/* What remote ends could not tell, and that there is more than the limit. */
static void write_warnings(const selection *s, bool cut, sx_buf *out)
{
    sx_str words[API_WARNINGS_MAX];
    size_t count = 0, given = 0;
    const sx_str *storage = NULL;
    if (s->querier->ops->warnings)
        storage = s->querier->ops->warnings(s->querier, &given);
    for (; count < given && count + 1 < API_WARNINGS_MAX; count++)
        words[count] = storage[count];
    if (cut)
        words[count++] = SX_STR("results truncated due to limit");
    if (count)
        api_notes_write(words, count, NULL, 0, out);
}

/* ---- label names and values ---- */

static int by_text(const void *a, const void *b)
{
    return sx_str_cmp(*(const sx_str *)a, *(const sx_str *)b);
}

/* One set's names (`name` empty) or values. */
static sx_status ask(tsdb_querier *q, const api_matchers *m, size_t set, sx_str name, size_t limit,
                     sx_arena *arena, sx_str **out, size_t *count, sx_error *err)
{
    size_t matcher_count = 0;
    const tsdb_matcher *matchers = NULL;
    if (set < m->count)
        matchers = api_matchers_set(m, set, &matcher_count);
    if (name.len == 0)
        return q->ops->label_names(q, matchers, matcher_count, limit, arena, out, count, err);
    return q->ops->label_values(q, name, matchers, matcher_count, limit, arena, out, count, err);
}

sx_status api_label_texts(api_call *c, tsdb_querier *q, const api_matchers *m, sx_str name,
                          size_t limit, sx_str **out, size_t *count, sx_error *err)
{
    if (m->count <= 1)
        return ask(q, m, 0, name, limit, &c->arena, out, count, err);
    sx_str *all = NULL;
    size_t total = 0, cap = 0, kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        sx_str *some;
        size_t n;
        sx_status status = ask(q, m, i, name, limit, &c->arena, &some, &n, err);
        if (status != SX_OK)
            return status;
        if (!sx_arena_grow(&c->arena, &all, &cap, total + n + 1, sizeof *all))
            return sx_fail_memory(err, "labels");
        if (n)
            memcpy(all + total, some, n * sizeof *all);
        total += n;
    }
    qsort(all, total, sizeof *all, by_text);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || !sx_str_eq(all[kept - 1], all[i]))
            all[kept++] = all[i];
    *out = all;
    *count = kept;
    return SX_OK;
}

static void answer_labels(api_call *c, sx_str name)
{
    sx_error err = {0};
    selection s;
    sx_str *items;
    size_t count;
    if (!selection_read(c, &s, false))
        return;
    size_t limit = s.limit > 0 ? (size_t)s.limit + 1 : 0; /* one more tells that there are more */
    sx_status status =
        api_label_texts(c, s.querier, &s.matchers, name, limit, &items, &count, &err);
    if (status != SX_OK) {
        api_fail_store(c, &err);
        selection_done(&s);
        return;
    }
    bool cut = s.limit > 0 && count > (uint64_t)s.limit;
    count = cut ? (size_t)s.limit : count;
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            sx_buf_byte(&c->out, ',');
        api_json_text(&c->out, items[i]);
    }
    sx_buf_byte(&c->out, ']');
    write_warnings(&s, cut, &c->out);
    sx_buf_byte(&c->out, '}');
    selection_done(&s);
}

void api_labels(api_call *c)
{
    answer_labels(c, SX_STR(""));
}

void api_label_values(api_call *c)
{
    sx_error err = {0};
    sx_str name = sx_request_param(c->r, "name"), plain;
    if (api_name_unescape(name, &c->arena, &plain, &err) != SX_OK) {
        api_fail(c, API_INTERNAL, sx_str_z(err.message));
        return;
    }
    if (!plain.len || !sx_utf8_valid(plain)) {
        sx_buf quoted;
        sx_buf_init(&quoted, 0);
        tsdb_quote(plain, &quoted);
        sx_str text =
            sx_arena_printf(&c->arena, "invalid label name: %.*s", SX_ARG(sx_buf_view(&quoted)));
        sx_buf_done(&quoted);
        api_fail(c, API_BAD_DATA, text);
        return;
    }
    answer_labels(c, plain);
}

/* ---- series ---- */

typedef struct series_state {
    selection s;
    tsdb_series *items;
    size_t count, next;
    bool cut;
} series_state;

static void series_done(api_call *c)
{
    series_state *state = c->state;
    selection_done(&state->s);
}

static void write_series(api_call *c)
{
    series_state *state = c->state;
    size_t full = c->out.len + API_PIECE_BYTES;
    for (; state->next < state->count && c->out.len < full; state->next++) {
        if (state->next)
            sx_buf_byte(&c->out, ',');
        api_json_labels(&c->out, state->items[state->next].labels);
    }
    c->more = state->next < state->count && !c->out.failed;
    if (c->more)
        return;
    sx_buf_byte(&c->out, ']');
    write_warnings(&state->s, state->cut, &c->out);
    sx_buf_byte(&c->out, '}');
}

static int by_labels(const void *a, const void *b)
{
    return tsdb_labels_compare(((const tsdb_series *)a)->labels, ((const tsdb_series *)b)->labels);
}

/* Series of all sets, each once. */
static sx_status select_series(api_call *c, series_state *state, sx_error *err)
{
    size_t total = 0, cap = 0, kept = 0;
    const selection *s = &state->s;
    bool several = s->matchers.count > 1;
    tsdb_hints hints = {.min_t = s->start,
                        .max_t = s->end,
                        .sorted = several,
                        .series_max = s->limit > 0 && !several ? (size_t)s->limit + 1 : 0,
                        .no_samples = true};
    for (size_t i = 0; i < s->matchers.count; i++) {
        size_t matcher_count;
        tsdb_selection found;
        const tsdb_matcher *matchers = api_matchers_set(&s->matchers, i, &matcher_count);
        sx_status status = s->querier->ops->select(s->querier, &hints, matchers, matcher_count,
                                                   &c->arena, &found, &c->canceled, err);
        if (status != SX_OK)
            return status;
        if (!sx_arena_grow(&c->arena, &state->items, &cap, total + found.count + 1,
                           sizeof *state->items))
            return sx_fail_memory(err, "series");
        if (found.count)
            memcpy(state->items + total, found.items, found.count * sizeof *state->items);
        total += found.count;
    }
    state->count = total;
    if (!several)
        return SX_OK;
    qsort(state->items, total, sizeof *state->items, by_labels);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || !tsdb_labels_equal(state->items[kept - 1].labels, state->items[i].labels))
            state->items[kept++] = state->items[i];
    state->count = kept;
    return SX_OK;
}

void api_series(api_call *c)
{
    sx_error err = {0};
    if (c->form.fault.len) {
        sx_str text =
            sx_arena_printf(&c->arena, "error parsing form values: %.*s", SX_ARG(c->form.fault));
        api_fail(c, API_BAD_DATA, text);
        return;
    }
    bool asked = false;
    for (size_t i = 0; i < c->form.count && !asked; i++)
        asked = sx_str_eq(c->form.items[i].name, SX_STR("match[]"));
    if (!asked) {
        api_fail(c, API_BAD_DATA, SX_STR("no match[] parameter provided"));
        return;
    }
    series_state *state = sx_arena_calloc(&c->arena, 1, sizeof *state);
    if (!state) {
        api_fail(c, API_INTERNAL, SX_STR("out of memory"));
        return;
    }
    if (!selection_read(c, &state->s, true))
        return;
    c->state = state;
    c->done = series_done;
    if (select_series(c, state, &err) != SX_OK) {
        api_fail_store(c, &err);
        return;
    }
    if (state->s.limit > 0 && state->count > (uint64_t)state->s.limit) {
        state->count = (size_t)state->s.limit;
        state->cut = true;
    }
    api_success(c);
    sx_buf_str(&c->out, SX_STR(",\"data\":["));
    c->work = write_series;
    write_series(c);
}
