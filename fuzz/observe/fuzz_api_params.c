/* fuzz_api_params.c - the parameters of a request, whatever their bytes: what is read holds what
 * params.h promises, and what is refused has a message.
 *
 * The input is an address's query and, behind the first newline, a posted form. */
#include <math.h>
#include <string.h>

#include <sextant/utf8.h>

#include "observe/api/params.h"
#include "observe/api/search_score.h"

static void check_err(sx_status status, const sx_error *err)
{
    sx_assert(status == SX_OK || err->message[0] != '\0');
}

/* A time is the same after its milliseconds were written and read again. */
static void check_time(sx_str text)
{
    sx_error err = {0};
    api_time t;
    sx_status status = api_time_read(text, &t, &err);
    check_err(status, &err);
    if (status != SX_OK)
        return;
    sx_assert(t.ns >= 0 && t.ns < 1000000000);
    sx_assert(api_time_minus(t, t) == 0);
    int64_t ms = api_time_ms(t);
    if (t.s > -100000000000 && t.s < 100000000000)
        sx_assert(ms == t.s * 1000 + t.ns / 1000000);
}

static void check_numbers(sx_str text)
{
    sx_error err = {0};
    int64_t value;
    double number;
    bool truth;
    sx_status status = api_int_read(text, "Atoi", 64, &value, &err);
    check_err(status, &err);
    if (status == SX_OK)
        sx_assert(api_float_read(text, &number)); /* each whole number is a number */
    check_err(api_duration_read(text, &value, &err), &err);
    if (api_bool_read(text, &truth))
        sx_assert(text.len <= 5);
}

static void check_name(sx_str text, sx_arena *arena)
{
    sx_error err = {0};
    sx_str plain;
    if (api_name_unescape(text, arena, &plain, &err) == SX_OK) {
        sx_assert(plain.len <= text.len);
        if (!sx_str_starts(text, SX_STR("U__")))
            sx_assert(sx_str_eq(plain, text));
    }
}

/* Scores are from 0 to 1, and a value that is the term has 1. */
static void check_score(sx_str term, sx_str value)
{
    for (unsigned bits = 0; bits < 4; bits++) {
        api_search s;
        double score;
        const api_search_options options = {
            .jaro_winkler = bits & 1, .fold_case = bits & 2, .threshold = 0.3};
        term = sx_str_first(term, 64);
        if (api_search_init(&s, &options, &term, 1, NULL) == SX_OK) {
            if (api_search_score(&s, sx_str_first(value, 256), &score))
                sx_assert(score >= 0 && score <= 1);
            sx_assert(api_search_score(&s, term, &score) && score == 1);
        }
        api_search_done(&s);
    }
}

static void check_form(const api_form *form, sx_arena *arena)
{
    sx_error err = {0};
    int64_t value;
    for (size_t i = 0; i < form->count; i++) {
        const api_param *p = &form->items[i];
        check_time(p->value);
        check_numbers(p->value);
        check_name(p->name, arena);
        check_score(p->name, p->value);
    }
    check_err(api_form_limit(form, &value, &err), &err);
    check_err(api_form_time(form, "start", 7, &value, &err), &err);
    api_matchers m;
    sx_status status = api_matchers_read(form, false, arena, &m, &err);
    check_err(status, &err);
    for (size_t i = 0; status == SX_OK && i < m.count; i++) {
        size_t count;
        const tsdb_matcher *matchers = api_matchers_set(&m, i, &count);
        bool refuses = false;
        for (size_t k = 0; k < count; k++)
            refuses |= !tsdb_matcher_matches(&matchers[k], SX_STR(""));
        sx_assert(refuses);
    }
    api_matchers_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sx_header FORM[] = {
        {SX_STR_INIT("content-type"), SX_STR_INIT("application/x-www-form-urlencoded")}};
    sx_error err = {0};
    sx_arena arena;
    api_form form;
    sx_request r = {0};
    if (size > 1 << 16)
        return 0;
    sx_str_cut(sx_str_of((const char *)data, size), '\n', &r.query, &r.body);
    r.method = r.body.len ? SX_POST : SX_GET;
    r.headers = FORM;
    r.header_count = 1;
    sx_arena_init(&arena, 0, 0);
    sx_status status = api_form_read(&r, &arena, &form, &err);
    check_err(status, &err);
    if (status == SX_OK)
        check_form(&form, &arena);
    sx_arena_done(&arena);
    return 0;
}
