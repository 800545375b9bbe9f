/* explain_write.c - see explain_write.h. */
#include "geocode/api/explain_write.h"

static void put_str(sx_json_writer *w, sx_str key, sx_str text)
{
    sx_json_key(w, key);
    sx_json_str(w, text);
}

static void put_double(sx_json_writer *w, sx_str key, double value)
{
    sx_json_key(w, key);
    sx_json_double(w, value);
}

static void put_number(sx_json_writer *w, sx_str key, int64_t value)
{
    sx_json_key(w, key);
    sx_json_i64(w, value);
}

static void write_words(sx_json_writer *w, const geo_explanation *x)
{
    sx_json_key(w, SX_STR("tokens"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < x->word_count; i++) {
        const geo_explain_word *word = &x->words[i];
        sx_json_begin_object(w);
        put_str(w, SX_STR("text"), word->text);
        put_str(w, SX_STR("became"), word->became);
        put_str(w, SX_STR("means"), sx_str_z(word->means));
        if (word->met.len)
            put_str(w, SX_STR("met"), word->met);
        if (word->edits)
            put_number(w, SX_STR("edits"), word->edits);
        put_number(w, SX_STR("documents"), word->documents);
        put_double(w, SX_STR("share"), word->share);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

static void write_score(sx_json_writer *w, const geo_explanation *x)
{
    sx_json_key(w, SX_STR("score"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < x->part_count; i++) {
        sx_json_begin_object(w);
        put_str(w, SX_STR("part"), sx_str_z(x->parts[i].name));
        put_double(w, SX_STR("value"), x->parts[i].value);
        put_double(w, SX_STR("weight"), x->parts[i].weight);
        put_double(w, SX_STR("points"), x->parts[i].points);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
}

sx_status geo_explain_write_result(sx_json_writer *w, const geo_index *ix, const geo_explaining *e,
                                   const geo_result *r, sx_error *err)
{
    geo_explanation x;
    sx_status status = SX_OK;
    if (e->query)
        status = geo_explain_result(ix, e->searcher, e->query, r, &x, err);
    else
        geo_explain_reverse(r, &x);
    if (status != SX_OK)
        return status;
    sx_json_key(w, SX_STR("explain"));
    sx_json_begin_object(w);
    if (e->query) {
        put_str(w, SX_STR("folded"), x.folded);
        put_str(w, SX_STR("cleaned"), x.cleaned);
        write_words(w, &x);
        put_str(w, SX_STR("label"), sx_str_of(x.label, x.label_len));
        sx_json_key(w, SX_STR("compared"));
        sx_json_str(w, x.by_words ? SX_STR("words") : SX_STR("letters"));
    }
    write_score(w, &x);
    sx_json_end_object(w);
    return SX_OK;
}

void geo_explain_write_search(sx_json_writer *w, const geo_explaining *e)
{
    static const sx_str PHASES[GEO_PHASES] = {
        [GEO_PHASE_NORMALISE] = SX_STR_INIT("normalise"),
        [GEO_PHASE_CANDIDATES] = SX_STR_INIT("candidates"),
        [GEO_PHASE_SCORE] = SX_STR_INIT("score"),
        [GEO_PHASE_BETTER] = SX_STR_INIT("better"),
    };
    const geo_trace *t = e->trace;
    if (!e->query)
        return;
    sx_json_key(w, SX_STR("explain"));
    sx_json_begin_object(w);
    sx_json_key(w, SX_STR("steps"));
    sx_json_begin_array(w);
    for (uint32_t i = 0; i < t->count; i++) {
        sx_json_begin_object(w);
        put_str(w, SX_STR("step"), sx_str_z(t->entries[i].step));
        put_number(w, SX_STR("candidates"), t->entries[i].candidates);
        put_double(w, SX_STR("us"), (double)t->entries[i].took_ns / 1000);
        sx_json_end_object(w);
    }
    sx_json_end_array(w);
    sx_json_key(w, SX_STR("us"));
    sx_json_begin_object(w);
    for (unsigned i = 0; i < GEO_PHASES; i++) {
        if (t->phases_ns[i])
            put_double(w, PHASES[i], (double)t->phases_ns[i] / 1000);
    }
    sx_json_end_object(w);
    sx_json_key(w, SX_STR("better"));
    sx_json_bool(w, t->better_ran);
    sx_json_end_object(w);
}
