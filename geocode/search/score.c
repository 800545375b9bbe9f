/* score.c - how alike a label and the query are: shared pairs of neighbouring letters.
 *
 * The query's pairs are counted in a table once. A label is walked part by part ("34 avenue de l
 * opera", then " 75002", then " paris"); each pair met is taken from the table, and put back when
 * the walk steps back, so the four labels of a street cost little more than the longest.
 *
 * HOT: 50 to 100 ns a label. */
#include <math.h>

#include "geocode/search/searcher.h"

static unsigned pair_code(const geo_pairs *p, const char *at)
{
    return (unsigned)p->codes[(unsigned char)at[0]] << 6 | p->codes[(unsigned char)at[1]];
}

static void add_plane(geo_pairs *p, unsigned bit)
{
    uint64_t mask = UINT64_C(1) << (bit % 64);
    uint32_t plane = 0;
    while (plane < p->plane_count && (p->planes[plane][bit / 64] & mask))
        plane++;
    if (plane == GEO_PAIR_PLANES) {
        p->always++;
        return;
    }
    if (plane == p->plane_count) {
        memset(p->planes[plane], 0, sizeof(p->planes[plane]));
        p->plane_count++;
    }
    p->planes[plane][bit / 64] |= mask;
}

/* Puts the query's pairs into planes, but for those that its house number has at a label's beginning:
 * a document may have the number, and its sign does not tell. */
void geo_pairs_sign(geo_pairs *p, sx_str query, sx_str number)
{
    char first[16];
    uint16_t codes[sizeof(first)];
    uint32_t count = 0;
    p->always = p->plane_count = 0;
    if (number.len >= sizeof(first)) {
        p->always = p->query_count;
        return;
    }
    if (number.len) {
        memcpy(first, number.data, number.len);
        first[number.len] = ' ';
    }
    for (; count < number.len; count++)
        codes[count] = (uint16_t)pair_code(p, first + count);
    for (size_t i = 1; i < query.len; i++) {
        unsigned code = pair_code(p, query.data + i - 1);
        uint32_t at = 0;
        while (at < count && codes[at] != code)
            at++;
        if (at == count) {
            add_plane(p, geo_sign_bit(code));
            continue;
        }
        codes[at] = codes[--count];
        p->always++;
    }
}

void geo_pairs_begin(geo_pairs *p, sx_str query)
{
    p->query_number++;
    p->query_count = query.len > 1 ? (uint32_t)query.len - 1 : 0;
    for (size_t i = 1; i < query.len; i++) {
        uint8_t *left = &p->left[pair_code(p, query.data + i - 1)];
        if (*left < UINT8_MAX)
            ++*left;
    }
    p->same = p->label_count = p->log_count = p->label_len = 0;
    p->label = p->room;
    p->number_pairs = 0;
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

/* HOT. Takes the pairs that end at letter `first` of the label and behind. */
static void take_pairs(geo_pairs *p, uint32_t first)
{
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

/* Appends a word to the label, behind a space unless it is the first. */
static void step(geo_pairs *p, sx_str part)
{
    if (part.len == 0 || part.len + 1 > GEO_LABEL_BYTES_MAX - p->label_len)
        return;
    uint32_t from = p->label_len;
    if (from)
        p->label[p->label_len++] = ' ';
    memcpy(p->label + p->label_len, part.data, part.len);
    p->label_len += (uint32_t)part.len;
    take_pairs(p, from ? from : 1);
}

/* Labels that are the query, begin with it or hold it: whatever pairs say, these decide when the query
 * may be unfinished. So that they win, they are greater than any share of pairs until the end. */
static const double IS_QUERY = 4, BEGINS_SO = 3, HOLDS_IT = 2;

/* The similarity of a label that has `count` pairs, `same` of them the query's. */
static double similarity(sx_str query, sx_str label, uint32_t same, uint32_t count,
                         bool autocomplete)
{
    uint32_t query_count = query.len > 1 ? (uint32_t)query.len - 1 : 0;
    if (sx_unlikely(same == query_count)) { /* otherwise it cannot contain the query */
        if (sx_str_eq(label, query))
            return autocomplete ? IS_QUERY : 1;
        if (autocomplete && sx_str_starts(label, query))
            return BEGINS_SO;
        if (autocomplete && sx_str_find(label, query) < label.len)
            return HOLDS_IT;
    }
    uint32_t all = query_count + count - same;
    double alike = all ? (double)same / all : 0;
    return autocomplete ? alike * 0.9 : alike;
}

/* The similarity of the label as it stands. */
static double compare(const geo_pairs *p, sx_str query, bool autocomplete)
{
    return similarity(query, sx_str_of(p->label, p->label_len), p->same, p->label_count,
                      autocomplete);
}

/* The number goes before the label `name` begins, in whose first letter its last pair ends. */
static void begin_number(geo_pairs *p, sx_str number, sx_str name)
{
    p->label = p->room;
    p->number_pairs = 0;
    if (number.len == 0 || number.len > GEO_PAIR_NUMBER_MAX || name.len == 0)
        return;
    memcpy(p->room, number.data, number.len);
    p->room[number.len] = ' ';
    p->room[number.len + 1] = name.data[0];
    p->label = p->room + number.len + 1;
    p->number_pairs = (uint32_t)number.len + 1;
    for (uint32_t i = 0; i < p->number_pairs; i++)
        p->number_codes[i] = (uint16_t)pair_code(p, p->room + i);
}

/* How many of the number's pairs the query has beyond those that the label has taken. */
static uint32_t number_pairs_met(geo_pairs *p)
{
    uint32_t met = 0;
    uint16_t taken[GEO_PAIR_NUMBER_MAX + 1];
    for (uint32_t i = 0; i < p->number_pairs; i++) {
        uint8_t *left = &p->left[p->number_codes[i]], has = *left != 0;
        *left = (uint8_t)(*left - has);
        taken[met] = p->number_codes[i];
        met += has;
    }
    for (uint32_t i = 0; i < met; i++)
        p->left[taken[i]]++;
    return met;
}

/* What Addok gives for it. */
static double final_of(double best)
{
    if (best < HOLDS_IT)
        return best;
    return best == IS_QUERY ? 1 : best == BEGINS_SO ? 0.9 : 0.7;
}

/* HOT. How many of the query's pairs a sign has: bits of all planes are counted a byte each, and summed
 * once. No byte is above 16 words of 8 bits. */
static uint32_t pairs_in(const geo_pairs *p, const geo_sign *sign)
{
    uint64_t bytes = 0;
    for (uint32_t plane = 0; plane < p->plane_count; plane++) {
        for (unsigned i = 0; i < GEO_SIGN_WORDS; i++) {
            uint64_t w = p->planes[plane][i] & sign->words[i];
            w -= w >> 1 & UINT64_C(0x5555555555555555);
            w = (w & UINT64_C(0x3333333333333333)) + (w >> 2 & UINT64_C(0x3333333333333333));
            bytes += (w + (w >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
        }
    }
    bytes = (bytes & UINT64_C(0x00FF00FF00FF00FF)) + (bytes >> 8 & UINT64_C(0x00FF00FF00FF00FF));
    return (uint32_t)(bytes * UINT64_C(0x0001000100010001) >> 48);
}

#ifdef __x86_64__
/* The same by the processor's own count, which every one since 2008 has. 3 ns. */
__attribute__((target("popcnt"))) static uint32_t pairs_in_native(const geo_pairs *p,
                                                                  const geo_sign *sign)
{
    uint32_t count = 0;
    for (uint32_t plane = 0; plane < p->plane_count; plane++) {
        for (unsigned i = 0; i < GEO_SIGN_WORDS; i++)
            count += (uint32_t)__builtin_popcountll(p->planes[plane][i] & sign->words[i]);
    }
    return count;
}
#endif

/* Of a part that stands behind a name or another part: the query's pairs, and others. The pair across
 * the gap to what is before is not counted. *behind: the query has one for a word behind the part. */
static geo_place_form form_of(geo_pairs *p, sx_str part, bool *behind)
{
    place start = here(p);
    if (part.len == 0 || part.len + 2 >= GEO_LABEL_BYTES_MAX)
        return (geo_place_form){0, 0};
    p->label[0] = ' ';
    memcpy(p->label + 1, part.data, part.len);
    p->label_len = (uint32_t)part.len + 1;
    take_pairs(p, 1);
    geo_place_form form = {(uint16_t)(p->same - start.same), 0};
    form.strange = (uint16_t)(p->label_count - start.label_count - form.same);
    p->label[p->label_len++] = ' ';
    take_pairs(p, p->label_len - 1);
    *behind = p->same - start.same > form.same;
    step_back(p, start);
    return form;
}

static void add_form(geo_place_bound *b, geo_place_form form)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->forms[i].same >= form.same && b->forms[i].strange <= form.strange)
            return;
    }
    if (b->count < GEO_PLACE_FORMS_MAX) {
        b->forms[b->count++] = form;
        return;
    }
    /* As good as this one and the last one in both respects: still a bound. */
    geo_place_form *last = &b->forms[b->count - 1];
    last->same = form.same > last->same ? form.same : last->same;
    last->strange = form.strange < last->strange ? form.strange : last->strange;
}

/* Parts are walked alone: together they share at most what they share apart. */
static const geo_place_bound *bound_of_place(const geo_index *ix, geo_searcher *s, uint32_t ref)
{
    geo_place_bound *b = &s->places[ref % GEO_PLACES_KEPT];
    bool behind = false;
    if (b->query == s->pairs.query_number && b->place == ref)
        return b;
    b->query = s->pairs.query_number;
    b->place = ref;
    b->count = 1;
    b->forms[0] = (geo_place_form){0, 0}; /* the name alone */
    if (!geo_place_parts(ix, ref, &s->parts))
        b->forms[0].same = UINT16_MAX; /* damaged: reading the labels will tell */
    geo_place_form code = {0, 0};
    if (s->parts.postcode_count)
        code = form_of(&s->pairs, s->parts.postcodes[0], &behind);
    code.same = (uint16_t)(code.same + behind); /* a city, or a municipality's name, comes next */
    for (uint32_t i = 0; i < s->parts.city_count; i++) {
        geo_place_form city = form_of(&s->pairs, s->parts.cities[i], &behind);
        if (i < GEO_PLACE_FORMS_MAX)
            b->cities[i] = city;
        add_form(b, (geo_place_form){(uint16_t)(city.same + code.same),
                                     (uint16_t)(city.strange + code.strange)});
        add_form(b, city);
    }
    add_form(b, code);
    return b;
}

/* A name of n pairs has at most s in common with a query of q, so n - s of its pairs are strange to it;
 * what stands around it has its own. The label shares at most all these of all that there are. */
double geo_similarity_bound(const geo_index *ix, geo_searcher *s, uint32_t doc, bool autocomplete)
{
    geo_label_head head;
    const geo_pairs *p = &s->pairs;
    if (!geo_doc_label_head(ix, doc, &head))
        return 1;
    const geo_place_bound *b = bound_of_place(ix, s, head.place);
    uint32_t shortest = geo_sign_shortest(&head.sign),
             in_name = p->in_sign(p, &head.sign) + p->always;
    uint32_t strange = shortest > in_name + 1 ? shortest - 1 - in_name : 0;
    bool may_begin = false;
    uint32_t best_same = 0, best_all = 1; /* a fraction, for one division at the end */
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t same = in_name + b->forms[i].same, others = strange + b->forms[i].strange;
        if (same >= p->query_count) {
            if (others == 0)
                return 1;
            same = p->query_count;
            may_begin = true; /* with the query */
        }
        uint32_t all = p->query_count + others;
        if ((uint64_t)same * best_all > (uint64_t)best_same * all) {
            best_same = same;
            best_all = all;
        }
    }
    double alike = (double)best_same / best_all;
    return !autocomplete ? alike : may_begin ? 0.9 : alike * 0.9;
}

/* What a label scores, as it is and behind the house number. The order of pairs does not matter to
 * what is shared, so one walk serves both. */
typedef struct scores {
    double plain, numbered;
} scores;

static scores score_label(geo_pairs *p, sx_str query, bool autocomplete)
{
    scores s = {compare(p, query, autocomplete), 0};
    s.numbered = s.plain;
    if (p->number_pairs)
        s.numbered = similarity(query, sx_str_of(p->room, p->number_pairs + p->label_len),
                                p->same + number_pairs_met(p), p->label_count + p->number_pairs,
                                autocomplete);
    return s;
}

/* What a street's labels for one name score. Each is compared once, on one walk that shares what they
 * begin with; Addok's order is only looked at afterwards. */
typedef struct labels {
    scores name, postcode;                                        /* "name", "name postcode" */
    scores city[GEO_LABEL_PARTS_MAX], whole[GEO_LABEL_PARTS_MAX]; /* "name [postcode] city" */
} labels;

/* The bar that a label must reach to be worth the walk: the best so far that needs no number. */
typedef struct bar {
    const geo_place_bound *place; /* NULL: nothing is known of its parts */
    double least;
    bool autocomplete;
} bar;

static void raise(bar *b, scores s)
{
    if (s.plain > b->least)
        b->least = s.plain;
}

/* Rounding may not make a bound smaller than what it stands for. */
static const double SLACK = 1e-9;

static const double NEARLY = 0.9; /* Addok's MATCH_THRESHOLD */

/* Whether the label as it stands, with city `i` behind it and perhaps a number before it, can reach the
 * bar, or be so similar that it must be known (then another may not be looked at). */
static bool may_reach(const geo_pairs *p, const bar *b, uint32_t i)
{
    if (!b->place || i >= GEO_PLACE_FORMS_MAX)
        return true;
    geo_place_form city = b->place->cities[i];
    uint32_t same = p->same + 1 + p->number_pairs + city.same;
    uint32_t strange = p->label_count - p->same + city.strange;
    if (same >= p->query_count)
        return true;
    double alike = (double)same / (p->query_count + strange) + SLACK;
    return alike >= NEARLY || (b->autocomplete ? alike * 0.9 : alike) >= b->least;
}

/* A part that may be missing: its label is the one without it. A label that cannot reach the bar
 * counts nothing. */
static void compare_labels(geo_searcher *s, bar *b, sx_str number, sx_str name, labels *out)
{
    geo_pairs *p = &s->pairs;
    const geo_label_parts *l = &s->parts;
    begin_number(p, number, name);
    place start = here(p);
    step(p, name);
    place named = here(p);
    out->name = score_label(p, s->query, b->autocomplete);
    raise(b, out->name);
    if (l->postcode_count && l->postcodes[0].len) {
        step(p, l->postcodes[0]);
        out->postcode = score_label(p, s->query, b->autocomplete);
        raise(b, out->postcode);
    } else {
        out->postcode = out->name;
    }
    place coded = here(p);
    for (uint32_t i = 0; i < l->city_count; i++) {
        out->whole[i] = (scores){0, 0};
        if (!may_reach(p, b, i))
            continue;
        step(p, l->cities[i]);
        out->whole[i] = score_label(p, s->query, b->autocomplete);
        raise(b, out->whole[i]);
        step_back(p, coded);
    }
    step_back(p, named);
    for (uint32_t i = 0; i < l->city_count; i++) {
        out->city[i] = (scores){0, 0};
        if (!may_reach(p, b, i))
            continue;
        step(p, l->cities[i]);
        out->city[i] = score_label(p, s->query, b->autocomplete);
        raise(b, out->city[i]);
        step_back(p, named);
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

/* The labels in Addok's order, without a number and with one: then each comes with it first. */
typedef struct contests {
    contest bare, numbered;
} contests;

static void judge_both(contests *c, scores s)
{
    judge(&c->numbered, s.numbered);
    judge(&c->numbered, s.plain);
    judge(&c->bare, s.plain);
}

/* Whole, without city, without postcode, the name alone; for one city after the other. */
static void judge_street(geo_searcher *s, contests *c, bar *b, sx_str number, sx_str name)
{
    labels l;
    compare_labels(s, b, number, name, &l);
    uint32_t cities = s->parts.city_count;
    for (uint32_t i = 0; i < cities || i == 0; i++) {
        judge_both(c, cities ? l.whole[i] : l.postcode);
        judge_both(c, l.postcode);
        judge_both(c, cities ? l.city[i] : l.name);
        judge_both(c, l.name);
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

static geo_alike compare_all(geo_searcher *s, uint8_t type, bar *b, sx_str number)
{
    contests c = {{.autocomplete = b->autocomplete}, {.autocomplete = b->autocomplete}};
    for (uint32_t n = 0; n < s->parts.name_count; n++) {
        if (type == GEO_TYPE_MUNICIPALITY)
            judge_municipality(s, &c.bare, s->parts.names[n]);
        else
            judge_street(s, &c, b, number, s->parts.names[n]);
    }
    if (type == GEO_TYPE_MUNICIPALITY)
        c.numbered = c.bare;
    return (geo_alike){final_of(c.bare.best), final_of(c.numbered.best)};
}

double geo_similarity(geo_searcher *s, const geo_disk_doc *doc, sx_str number, bool autocomplete)
{
    bar b = {.autocomplete = autocomplete};
    geo_alike alike = compare_all(s, doc->type, &b, number);
    return number.len ? alike.numbered : alike.bare;
}

geo_alike geo_compare(const geo_index *ix, geo_searcher *s, uint32_t doc, sx_str number,
                      bool autocomplete, double least)
{
    geo_label_head head;
    bar b = {.autocomplete = autocomplete, .least = least};
    if (geo_doc_label_head(ix, doc, &head)) {
        const geo_place_bound *kept = &s->places[head.place % GEO_PLACES_KEPT];
        if (kept->query == s->pairs.query_number && kept->place == head.place)
            b.place = kept;
    }
    return compare_all(s, ix->docs[doc].type, &b, number);
}

void geo_pairs_init(geo_pairs *p)
{
    for (unsigned c = 0; c < 256; c++)
        p->codes[c] = (uint8_t)geo_letter_code((unsigned char)c);
    p->in_sign = pairs_in;
#ifdef __x86_64__
    if (__builtin_cpu_supports("popcnt"))
        p->in_sign = pairs_in_native;
#endif
}
