/* explain.c - see explain.h. */
#include "geocode/search/explain.h"

#include <math.h>

#include <sextant/clock.h>

#include "geocode/search/better.h"
#include "geocode/search/languages.h"
#include "geocode/search/searcher.h"

static const char *const STEP_NAMES[GEO_STEPS] = {
    [GEO_STEP_COMMON] = "common words alone",
    [GEO_STEP_MEANINGFUL] = "all meaningful words",
    [GEO_STEP_COMPLETE] = "last word completed",
    [GEO_STEP_FUZZY] = "one letter away",
    [GEO_STEP_RELATIONS] = "words that go together",
    [GEO_STEP_FEWER] = "words left out",
    [GEO_STEP_BETTER] = "better: any of the words",
    [GEO_STEP_BETTER_TYPOS] = "better: two letters away",
    [GEO_STEP_INTERPOLATE] = "better: between house numbers",
};

static int64_t now_ns(void)
{
    return sx_clock_mono_ns(sx_clock_system());
}

void geo_trace_step(geo_trace *trace, geo_step step, uint32_t candidates)
{
    int64_t now = now_ns();
    if (trace->count < GEO_TRACE_STEPS_MAX)
        trace->entries[trace->count++] =
            (geo_trace_entry){STEP_NAMES[step], candidates, now - trace->step_began_ns};
    trace->better_ran = trace->better_ran || step == GEO_STEP_BETTER;
    trace->step_began_ns = now;
}

static void end_phase(geo_trace *trace, int64_t now)
{
    if (trace->phase_began_ns)
        trace->phases_ns[trace->phase] += now - trace->phase_began_ns;
    trace->phase_began_ns = 0;
}

void geo_trace_phase(geo_trace *trace, geo_phase phase)
{
    int64_t now = now_ns();
    end_phase(trace, now);
    trace->phase = phase;
    trace->phase_began_ns = trace->step_began_ns = now;
}

void geo_trace_end(geo_trace *trace)
{
    end_phase(trace, now_ns());
}

/* ---- which label ---- */

/* The labels of a document, one after the other, the plainest way. */
typedef struct contest {
    const geo_searcher *s;
    bool autocomplete, ended;
    double best, rank; /* rank: a label that begins with the query beats any share of pairs */
    geo_explanation *out;
} contest;

static double pairs_in_common(const geo_searcher *s, sx_str label, sx_str query)
{
    uint8_t left[GEO_PAIR_CODES] = {0};
    uint32_t same = 0;
    for (size_t i = 1; i < query.len; i++)
        left[s->pairs.codes[(uint8_t)query.data[i - 1]] << 6 |
             s->pairs.codes[(uint8_t)query.data[i]]]++;
    for (size_t i = 1; i < label.len; i++) {
        uint8_t *one = &left[s->pairs.codes[(uint8_t)label.data[i - 1]] << 6 |
                             s->pairs.codes[(uint8_t)label.data[i]]];
        same += *one > 0;
        *one -= *one > 0;
    }
    size_t all = (query.len ? query.len - 1 : 0) + (label.len ? label.len - 1 : 0) - same;
    return all ? (double)same / (double)all : 0;
}

static void judge(contest *c, sx_str number, sx_str a, sx_str b, sx_str d)
{
    const sx_str parts[] = {number, a, b, d};
    char text[GEO_LABEL_BYTES_MAX];
    size_t len = 0;
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++) {
        if (parts[i].len == 0 || parts[i].len + 1 > sizeof(text) - len)
            continue;
        if (len)
            text[len++] = ' ';
        memcpy(text + len, parts[i].data, parts[i].len);
        len += parts[i].len;
    }
    sx_str label = sx_str_of(text, len), query = c->s->query;
    double alike = pairs_in_common(c->s, label, query) * (c->autocomplete ? 0.9 : 1), rank = alike;
    if (sx_str_eq(label, query)) {
        alike = 1;
        rank = c->autocomplete ? 4 : 1;
    } else if (c->autocomplete && sx_str_starts(label, query)) {
        alike = 0.9;
        rank = 3;
    } else if (c->autocomplete && sx_str_find(label, query) < label.len) {
        alike = 0.7;
        rank = 2;
    }
    if (c->ended || rank <= c->rank)
        return;
    c->rank = rank;
    c->best = alike;
    c->ended = !c->autocomplete && alike >= 0.9;
    memcpy(c->out->label, text, len);
    c->out->label_len = len;
}

static void judge_street(contest *c, sx_str number, sx_str name)
{
    const geo_label_parts *l = &c->s->parts;
    const sx_str none = {"", 0}, numbers[] = {number, none};
    sx_str code = l->postcode_count ? l->postcodes[0] : none;
    for (uint32_t i = 0; i < l->city_count || i == 0; i++) {
        sx_str city = l->city_count ? l->cities[i] : none;
        for (unsigned form = 0; form < 8; form++)
            judge(c, numbers[form % 2], name, form < 4 ? code : none,
                  form < 2 || (form >= 4 && form < 6) ? city : none);
    }
}

/* Compares all labels of the document whose parts are in s->parts. */
static double best_label(const geo_searcher *s, const geo_disk_doc *doc, sx_str number,
                         bool autocomplete, geo_explanation *out)
{
    contest c = {.s = s, .autocomplete = autocomplete, .rank = -1, .out = out};
    const sx_str none = {"", 0};
    for (uint32_t n = 0; n < s->parts.name_count && !c.ended; n++) {
        sx_str name = s->parts.names[n];
        if (doc->type != GEO_TYPE_MUNICIPALITY) {
            judge_street(&c, number, name);
            continue;
        }
        judge(&c, none, name, none, none);
        if (s->parts.postcode_count) {
            judge(&c, none, s->parts.postcodes[0], name, none);
            judge(&c, none, name, s->parts.postcodes[0], none);
        }
    }
    return c.best;
}

/* ---- words ---- */

static const char *const MEANS[GEO_FIT_KINDS] = {
    [GEO_FIT_NONE] = "none",
    [GEO_FIT_EXACT] = "exact",
    [GEO_FIT_SYNONYM] = "synonym",
    [GEO_FIT_SOUND] = "sound",
    [GEO_FIT_PREFIX] = "prefix",
    [GEO_FIT_TYPO] = "typing error",
    [GEO_FIT_JOINED] = "run together",
    [GEO_FIT_SPLIT] = "torn apart",
    [GEO_FIT_POSTCODE] = "other postcode",
    [GEO_FIT_NUMBER] = "house number",
    [GEO_FIT_BETWEEN] = "between house numbers",
    [GEO_FIT_CONTEXT] = "department or region",
};

/* Copies a text that would not live long enough. */
static sx_str keep(geo_explanation *out, size_t *used, sx_str text)
{
    if (text.len > sizeof(out->room) - *used)
        return sx_str_of("", 0);
    char *at = out->room + *used;
    if (text.len)
        memcpy(at, text.data, text.len);
    *used += text.len;
    return sx_str_of(at, text.len);
}

static void take_words(const geo_index *ix, const geo_asked *asked, const geo_fit *fit,
                       geo_explanation *out)
{
    size_t used = 0;
    if (asked->number_text.len)
        out->words[out->word_count++] =
            (geo_explain_word){.text = keep(out, &used, asked->number_text),
                               .became = keep(out, &used, asked->number_text),
                               .met = keep(out, &used, fit->number.met),
                               .means = MEANS[fit->number.kind],
                               .share = fit->number.share};
    for (uint32_t i = 0; i < asked->reading->count; i++) {
        const geo_read_word *w = &asked->reading->words[i];
        uint32_t term = geo_word_find(ix, w->sound);
        out->words[out->word_count++] =
            (geo_explain_word){.text = keep(out, &used, w->raw.len ? w->raw : w->text),
                               .became = keep(out, &used, w->sound),
                               .met = keep(out, &used, fit->words[i].met),
                               .means = MEANS[fit->words[i].kind],
                               .edits = fit->words[i].edits,
                               .documents = term < ix->term_count ? ix->terms[term].count : 0,
                               .share = fit->words[i].share};
    }
}

/* ---- the score ---- */

static void add_part(geo_explanation *out, const char *name, double value, double weight,
                     double whole)
{
    out->parts[out->part_count++] =
        (geo_explain_part){name, value, weight / whole, value * weight / whole};
    out->score += value * weight / whole;
}

static void add_up(const geo_index *ix, const geo_query *q, const geo_result *r,
                   geo_explanation *out)
{
    double whole = q->has_point ? 1.2 : 1.1;
    out->part_count = 0;
    out->score = 0;
    if (out->by_words) {
        add_part(out, "words", out->agreement, GEO_AGREEMENT_SHARE, whole);
        add_part(out, "letters", out->letters, 1 - GEO_AGREEMENT_SHARE, whole);
    } else {
        add_part(out, "similarity", out->letters, 1, whole);
    }
    add_part(out, "importance", ix->docs[r->doc].importance, 0.1, whole);
    if (q->has_point) {
        /* A house number put between others has moved after it was rated. */
        double distance_m = r->made_len && !out->by_words
                                ? geo_distance_m(q->lat, q->lon, ix->docs[r->doc].lat_e7 / 1e7,
                                                 ix->docs[r->doc].lon_e7 / 1e7)
                                : r->distance_m;
        add_part(out, "nearness", geo_search_nearness(distance_m), 0.1, whole);
    }
}

/* The number that stands before the label of `r`. */
static sx_str number_of(const geo_searcher *s, const geo_asked *asked, const geo_fit *fit,
                        const geo_result *r)
{
    if (r->made_len)
        return sx_str_of(r->made, r->made_len);
    if (r->number == GEO_NO_NUMBER)
        return sx_str_of("", 0);
    if (s->has_number)
        return s->number_text;
    return fit->number_word >= 0 ? asked->reading->words[fit->number_word].raw : sx_str_of("", 0);
}

/* Explains the result as if the query was read in `language`: true if that gives its score. */
static bool explain_in(const geo_index *ix, geo_searcher *s, const geo_query *q,
                       const geo_result *r, unsigned language, geo_explanation *out)
{
    geo_reading reading, label;
    geo_asked asked;
    geo_fit fit;
    const geo_disk_doc *doc = &ix->docs[r->doc];
    memset(out, 0, offsetof(geo_explanation, room));
    geo_search_read(ix, s, q, language);
    out->folded = s->query;
    out->cleaned = s->cleaned_query;
    if (!geo_doc_label_parts(ix, r->doc, &s->parts)) {
        s->corrupt = true;
        return true;
    }
    geo_better_ask(s, q, &reading, &asked);
    /* Addok has found it in its own way: what may be said of the words is said. */
    geo_asked fuzzy = asked;
    fuzzy.better |= GEO_BETTER_TYPOS | GEO_BETTER_WORD_ORDER;
    geo_fit_doc(ix, &fuzzy, r->doc, &s->parts, &label, &fit);
    out->letters =
        best_label(s, doc, r->made_len ? sx_str_of("", 0) : number_of(s, &asked, &fit, r),
                   q->autocomplete, out);
    add_up(ix, q, r, out);
    bool plain = fabs(out->score - r->score) < 1e-9;
    if (!plain && q->better) {
        geo_fit_doc(ix, &asked, r->doc, &s->parts, &label, &fit);
        out->by_words = true;
        out->agreement = fit.agreement;
        out->letters = best_label(s, doc, number_of(s, &asked, &fit, r), false, out);
        add_up(ix, q, r, out);
    }
    take_words(ix, &asked, &fit, out);
    return fabs(out->score - r->score) < 1e-9;
}

sx_status geo_explain_result(const geo_index *ix, geo_searcher *s, const geo_query *q,
                             const geo_result *r, geo_explanation *out, sx_error *err)
{
    unsigned languages[GEO_LANGUAGES];
    size_t count = geo_index_languages(ix, languages);
    sx_assert(r->doc < ix->doc_count);
    s->corrupt = false;
    for (size_t i = 0; i < count; i++) {
        if (explain_in(ix, s, q, r, languages[i], out))
            break;
    }
    return s->corrupt ? sx_fail(err, SX_ECORRUPT, "the labels of document %u are damaged", r->doc)
                      : SX_OK;
}

void geo_explain_reverse(const geo_result *r, geo_explanation *out)
{
    memset(out, 0, offsetof(geo_explanation, room));
    add_part(out, "nearness", r->score, 1, 1);
}
