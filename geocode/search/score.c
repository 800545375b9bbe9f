/* score.c - how alike a label and the query are: shared pairs of neighbouring letters.
 *
 * The query's pairs are counted in a table once. A label is walked part by part ("34 avenue de l
 * opera", then " 75002", then " paris"); each pair met is taken from the table, and put back when
 * the walk steps back, so the four labels of a street cost little more than the longest.
 *
 * HOT: 50 to 100 ns a label. */
#include <math.h>

#include "geocode/search/searcher.h"

/* Letters as 6 bits: space, 10 digits, 26 letters, and 27 more for everything else. */
void geo_pairs_init(geo_pairs *p)
{
    for (unsigned c = 0; c < 256; c++)
        p->codes[c] = (uint8_t)(37 + c % 27);
    p->codes[' '] = 0;
    for (unsigned i = 0; i < 10; i++)
        p->codes['0' + i] = (uint8_t)(1 + i);
    for (unsigned i = 0; i < 26; i++)
        p->codes['a' + i] = (uint8_t)(11 + i);
}

static unsigned pair_code(const geo_pairs *p, const char *at)
{
    return (unsigned)p->codes[(unsigned char)at[0]] << 6 | p->codes[(unsigned char)at[1]];
}

void geo_pairs_begin(geo_pairs *p, sx_str query)
{
    p->query_count = query.len > 1 ? (uint32_t)query.len - 1 : 0;
    for (size_t i = 1; i < query.len; i++) {
        uint8_t *left = &p->left[pair_code(p, query.data + i - 1)];
        if (*left < UINT8_MAX)
            ++*left;
    }
    p->same = p->label_count = p->log_count = p->label_len = 0;
}

void geo_pairs_end(geo_pairs *p, sx_str query)
{
    for (size_t i = 1; i < query.len; i++)
        p->left[pair_code(p, query.data + i - 1)] = 0;
}

/* Where a walk stood, to step back to. */
typedef struct place {
    uint32_t same, label_count, log_count, label_len;
} place;

static place here(const geo_pairs *p)
{
    return (place){p->same, p->label_count, p->log_count, p->label_len};
}

static void step_back(geo_pairs *p, place to)
{
    while (p->log_count > to.log_count)
        p->left[p->log[--p->log_count]]++;
    p->same = to.same;
    p->label_count = to.label_count;
    p->label_len = to.label_len;
}

/* Appends a word to the label, behind a space unless it is the first. */
static void step(geo_pairs *p, sx_str part)
{
    if (part.len == 0 || part.len + 1 > sizeof(p->label) - p->label_len)
        return;
    uint32_t from = p->label_len;
    if (from)
        p->label[p->label_len++] = ' ';
    memcpy(p->label + p->label_len, part.data, part.len);
    p->label_len += (uint32_t)part.len;
    uint32_t first = from ? from : 1;
    uint16_t *log = p->log + p->log_count;
    unsigned before = p->codes[(unsigned char)p->label[first - 1]];
    for (const char *at = p->label + first, *end = p->label + p->label_len; at < end; at++) {
        unsigned next = p->codes[(unsigned char)*at], code = before << 6 | next;
        uint8_t left = p->left[code], met = left != 0;
        p->left[code] = (uint8_t)(left - met);
        *log = (uint16_t)code; /* kept only if it was met: no branch to mispredict */
        log += met;
        before = next;
    }
    uint32_t logged = (uint32_t)(log - p->log);
    p->label_count += p->label_len - first;
    p->same += logged - p->log_count;
    p->log_count = logged;
}

/* Labels that are the query, begin with it or hold it: whatever pairs say, these decide when the query
 * may be unfinished. So that they win, they are greater than any share of pairs until the end. */
static const double IS_QUERY = 4, BEGINS_SO = 3, HOLDS_IT = 2;

/* The similarity of the label as it stands. */
static double compare(const geo_pairs *p, sx_str query, bool autocomplete)
{
    sx_str label = sx_str_of(p->label, p->label_len);
    if (p->same == p->query_count) { /* otherwise it cannot contain the query */
        if (sx_str_eq(label, query))
            return autocomplete ? IS_QUERY : 1;
        if (autocomplete && sx_str_starts(label, query))
            return BEGINS_SO;
        if (autocomplete && sx_str_find(label, query) < label.len)
            return HOLDS_IT;
    }
    uint32_t all = p->query_count + p->label_count - p->same;
    double alike = all ? (double)p->same / all : 0;
    return autocomplete ? alike * 0.9 : alike;
}

/* What Addok gives for it. */
static double final_of(double best)
{
    if (best < HOLDS_IT)
        return best;
    return best == IS_QUERY ? 1 : best == BEGINS_SO ? 0.9 : 0.7;
}

static const double NEARLY = 0.9; /* Addok's MATCH_THRESHOLD */

/* What a street's labels for one name score. Each is compared once, on one walk that shares what they
 * begin with; Addok's order is only looked at afterwards. */
typedef struct labels {
    double name, postcode;                                        /* "name", "name postcode" */
    double city[GEO_LABEL_PARTS_MAX], whole[GEO_LABEL_PARTS_MAX]; /* "name [postcode] city" */
} labels;

/* A part that may be missing: its label is the one without it. */
static void compare_labels(geo_searcher *s, bool autocomplete, sx_str number, sx_str name,
                           labels *out)
{
    geo_pairs *p = &s->pairs;
    const geo_label_parts *l = &s->parts;
    place start = here(p);
    step(p, number);
    step(p, name);
    place named = here(p);
    out->name = compare(p, s->query, autocomplete);
    for (uint32_t i = 0; i < l->city_count; i++) {
        step(p, l->cities[i]);
        out->city[i] = compare(p, s->query, autocomplete);
        step_back(p, named);
    }
    if (l->postcode_count)
        step(p, l->postcodes[0]);
    place coded = here(p);
    out->postcode = compare(p, s->query, autocomplete);
    for (uint32_t i = 0; i < l->city_count; i++) {
        step(p, l->cities[i]);
        out->whole[i] = compare(p, s->query, autocomplete);
        step_back(p, coded);
    }
    step_back(p, start);
}

/* The labels in Addok's order. Without autocompletion the first one that is nearly the query ends the
 * search, even if a later one were more alike. */
typedef struct contest {
    double best;
    bool autocomplete, ended;
} contest;

static void judge(contest *c, double alike)
{
    if (c->ended)
        return;
    if (alike > c->best)
        c->best = alike;
    c->ended = !c->autocomplete && alike >= NEARLY;
}

/* Whole, without city, without postcode, the name alone; each with the house number (if there is
 * one) and then without it; for one city after the other. */
static void judge_street(geo_searcher *s, contest *c, sx_str number, sx_str name)
{
    labels plain, numbered;
    compare_labels(s, c->autocomplete, sx_str_of("", 0), name, &plain);
    const labels *forms[2] = {&plain, &plain};
    if (number.len) {
        compare_labels(s, c->autocomplete, number, name, &numbered);
        forms[0] = &numbered;
    }
    uint32_t cities = s->parts.city_count;
    for (uint32_t i = 0; (i < cities || i == 0) && !c->ended; i++) {
        for (unsigned form = 0; form < 2; form++)
            judge(c, cities ? forms[form]->whole[i] : forms[form]->postcode);
        for (unsigned form = 0; form < 2; form++)
            judge(c, forms[form]->postcode);
        for (unsigned form = 0; form < 2; form++)
            judge(c, cities ? forms[form]->city[i] : forms[form]->name);
        for (unsigned form = 0; form < 2; form++)
            judge(c, forms[form]->name);
    }
}

/* A municipality's: its name, alone, behind and before a postcode. */
static void judge_municipality(geo_searcher *s, contest *c, sx_str name)
{
    geo_pairs *p = &s->pairs;
    place start = here(p);
    step(p, name);
    judge(c, compare(p, s->query, c->autocomplete));
    if (s->parts.postcode_count) {
        double behind, before;
        step(p, s->parts.postcodes[0]);
        before = compare(p, s->query, c->autocomplete);
        step_back(p, start);
        step(p, s->parts.postcodes[0]);
        step(p, name);
        behind = compare(p, s->query, c->autocomplete);
        judge(c, behind);
        judge(c, before);
    }
    step_back(p, start);
}

double geo_similarity(geo_searcher *s, const geo_disk_doc *doc, sx_str number, bool autocomplete)
{
    contest c = {.autocomplete = autocomplete};
    for (uint32_t n = 0; n < s->parts.name_count && !c.ended; n++) {
        if (doc->type == GEO_TYPE_MUNICIPALITY)
            judge_municipality(s, &c, s->parts.names[n]);
        else
            judge_street(s, &c, number, s->parts.names[n]);
    }
    return final_of(c.best);
}
