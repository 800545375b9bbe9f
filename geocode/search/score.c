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
    uint32_t first = from ? from : 1, same = p->same, log = p->log_count;
    for (uint32_t i = first; i < p->label_len; i++) {
        unsigned code = pair_code(p, p->label + i - 1);
        uint8_t met = p->left[code] != 0;
        p->left[code] -= met;
        p->log[log] = (uint16_t)code; /* kept only if it was met: no branch to mispredict */
        log += met;
        same += met;
    }
    p->label_count += p->label_len - first;
    p->same = same;
    p->log_count = log;
}

/* The similarity of the label as it stands. */
static double compare(const geo_pairs *p, sx_str query, bool autocomplete)
{
    sx_str label = sx_str_of(p->label, p->label_len);
    if (p->same == p->query_count) { /* otherwise it cannot contain the query */
        if (sx_str_eq(label, query))
            return 1;
        if (autocomplete && sx_str_starts(label, query))
            return 0.9;
        if (autocomplete && sx_str_find(label, query) < label.len)
            return 0.7;
    }
    uint32_t all = p->query_count + p->label_count - p->same;
    double alike = all ? (double)p->same / all : 0;
    return autocomplete ? alike * 0.9 : alike;
}

/* Name, then what a street's labels add to it. */
static double street_labels(geo_searcher *s, bool autocomplete)
{
    geo_pairs *p = &s->pairs;
    const geo_label_parts *l = &s->parts;
    place name = here(p);
    double best = compare(p, s->query, autocomplete);
    for (uint32_t c = 0; c < l->city_count; c++) {
        step(p, l->cities[c]);
        best = fmax(best, compare(p, s->query, autocomplete));
        step_back(p, name);
    }
    for (uint32_t i = 0; i < l->postcode_count; i++) {
        step(p, l->postcodes[i]);
        best = fmax(best, compare(p, s->query, autocomplete));
        place postcode = here(p);
        for (uint32_t c = 0; c < l->city_count; c++) {
            step(p, l->cities[c]);
            best = fmax(best, compare(p, s->query, autocomplete));
            step_back(p, postcode);
        }
        step_back(p, name);
    }
    return best;
}

/* A municipality's: its name, alone, before and behind a postcode. */
static double municipality_labels(geo_searcher *s, sx_str name, bool autocomplete)
{
    geo_pairs *p = &s->pairs;
    const geo_label_parts *l = &s->parts;
    place start = here(p);
    step(p, name);
    place alone = here(p);
    double best = compare(p, s->query, autocomplete);
    for (uint32_t i = 0; i < l->postcode_count; i++) {
        step(p, l->postcodes[i]);
        best = fmax(best, compare(p, s->query, autocomplete));
        step_back(p, alone);
    }
    step_back(p, start);
    for (uint32_t i = 0; i < l->postcode_count; i++) {
        step(p, l->postcodes[i]);
        step(p, name);
        best = fmax(best, compare(p, s->query, autocomplete));
        step_back(p, start);
    }
    return best;
}

double geo_similarity(geo_searcher *s, const geo_disk_doc *doc, sx_str number, bool autocomplete)
{
    double best = 0;
    for (uint32_t n = 0; n < s->parts.name_count; n++) {
        if (doc->type == GEO_TYPE_MUNICIPALITY) {
            best = fmax(best, municipality_labels(s, s->parts.names[n], autocomplete));
            continue;
        }
        place start = here(&s->pairs);
        step(&s->pairs, number);
        step(&s->pairs, s->parts.names[n]);
        best = fmax(best, street_labels(s, autocomplete));
        step_back(&s->pairs, start);
    }
    return best;
}
