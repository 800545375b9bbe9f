/* reading.c - texts as words, and what a query and a document share. See reading.h. */
#include "geocode/search/reading.h"

#include "geocode/text/fold.h"

/* Articles, prepositions and the like, in the languages there are rules for. They count little. */
static const sx_str FILLERS[] = {
    SX_STR_INIT("a"),   SX_STR_INIT("am"),  SX_STR_INIT("au"),  SX_STR_INIT("aux"),
    SX_STR_INIT("d"),   SX_STR_INIT("das"), SX_STR_INIT("de"),  SX_STR_INIT("del"),
    SX_STR_INIT("der"), SX_STR_INIT("des"), SX_STR_INIT("die"), SX_STR_INIT("du"),
    SX_STR_INIT("el"),  SX_STR_INIT("en"),  SX_STR_INIT("et"),  SX_STR_INIT("im"),
    SX_STR_INIT("l"),   SX_STR_INIT("la"),  SX_STR_INIT("las"), SX_STR_INIT("le"),
    SX_STR_INIT("les"), SX_STR_INIT("los"), SX_STR_INIT("sur"), SX_STR_INIT("y"),
};
static const double FILLER_SHARE = 0.3, STREET_WORD_SHARE = 0.6;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t leading_digits(sx_str s)
{
    size_t n = 0;
    while (n < s.len && is_digit(s.data[n]))
        n++;
    return n;
}

static bool is_filler(sx_str word)
{
    for (size_t i = 0; i < SX_COUNT_OF(FILLERS); i++) {
        if (sx_str_eq(word, FILLERS[i]))
            return true;
    }
    return false;
}

static geo_read_kind kind_of(const geo_rules *rules, sx_str raw)
{
    size_t digits = leading_digits(raw);
    sx_str rest = sx_str_from(raw, digits);
    if (digits == 5 && rest.len == 0)
        return GEO_READ_POSTCODE;
    bool letter = rest.len == 0 || (rest.len == 1 && rest.data[0] >= 'a' && rest.data[0] <= 'z');
    return digits > 0 && digits <= GEO_NUMBER_DIGITS_MAX &&
                   (letter || geo_rules_ordinal(rules, rest).len)
               ? GEO_READ_NUMBER
               : GEO_READ_WORD;
}

static uint32_t letters_of(sx_str s)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < s.len; i++)
        bits |= UINT32_C(1) << ((unsigned char)s.data[i] & 31);
    return bits;
}

static void put(const geo_rules *rules, geo_reading *out, sx_str raw, sx_str text,
                geo_read_kind kind)
{
    if (text.len == 0 || out->count == GEO_READING_WORDS_MAX)
        return;
    geo_read_word *w = &out->words[out->count++];
    size_t len = text.len < sizeof(w->own) ? text.len : sizeof(w->own);
    memcpy(w->own, text.data, len);
    w->raw = raw;
    w->text = text;
    w->sound = sx_str_of(w->own, geo_rules_sound(rules, w->own, len));
    w->letters = letters_of(text);
    w->heard = letters_of(w->sound);
    w->kind = kind;
    w->filler = is_filler(text);
    w->worth = (double)(text.len + 1);
    if (w->filler)
        w->worth *= FILLER_SHARE;
    else if (geo_rules_is_street_word(rules, raw))
        w->worth *= STREET_WORD_SHARE;
}

static uint32_t slot_of(sx_str raw)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < raw.len; i++)
        hash = (hash ^ (uint8_t)raw.data[i]) * 16777619u;
    return (hash >> 8) % GEO_MEMO_SLOTS;
}

/* Puts a word that was read before. */
static bool put_known(const geo_rules *rules, const geo_read_memo *memo, geo_reading *out,
                      sx_str raw)
{
    uint32_t slot = slot_of(raw);
    if (memo->slots[slot].rules != rules || memo->slots[slot].len != raw.len ||
        memcmp(memo->slots[slot].raw, raw.data, raw.len) != 0)
        return false;
    if (out->count == GEO_READING_WORDS_MAX)
        return true;
    geo_read_word *w = &out->words[out->count++];
    *w = memo->slots[slot].word;
    w->raw = raw;
    if (!w->text.data) /* no abbreviation */
        w->text = raw;
    w->sound.data = w->own;
    return true;
}

static void remember(const geo_rules *rules, geo_read_memo *memo, const geo_read_word *w)
{
    uint32_t slot = slot_of(w->raw);
    memo->slots[slot].rules = rules;
    memo->slots[slot].len = w->raw.len;
    memcpy(memo->slots[slot].raw, w->raw.data, w->raw.len);
    memo->slots[slot].word = *w;
    if (w->text.data == w->raw.data) /* what an abbreviation stands for is static text */
        memo->slots[slot].word.text.data = NULL;
}

/* One written word, its abbreviation written in full. */
static void put_raw(const geo_rules *rules, geo_read_memo *memo, geo_reading *out, sx_str raw)
{
    bool short_enough = memo && raw.len <= GEO_MEMO_BYTES;
    if (short_enough && put_known(rules, memo, out, raw))
        return;
    sx_str full = geo_rules_expand(rules, raw), rest = full, word;
    geo_read_kind kind = kind_of(rules, raw);
    uint32_t before = out->count;
    while (rest.len) {
        (void)sx_str_cut(rest, ' ', &word, &rest);
        put(rules, out, raw, word, kind);
        raw = sx_str_of("", 0); /* the first word of "dix neuf" has it */
        kind = GEO_READ_WORD;
    }
    if (short_enough && out->count == before + 1 && out->words[before].text.len == full.len)
        remember(rules, memo, &out->words[before]);
}

/* "du12" is two words, "12bis" and "2e" are one. */
static size_t first_part(const geo_rules *rules, sx_str raw)
{
    size_t digits = leading_digits(raw), at = digits;
    if (digits == raw.len || kind_of(rules, raw) == GEO_READ_NUMBER)
        return raw.len;
    if (digits >= 5)
        return 5; /* a postcode, and what stands behind it */
    sx_str rest = sx_str_from(raw, digits);
    if (digits && (sx_str_eq(rest, SX_STR("er")) || sx_str_eq(rest, SX_STR("eme")) ||
                   sx_str_eq(rest, SX_STR("ieme")) || sx_str_eq(rest, SX_STR("nd"))))
        return raw.len;
    if (digits)
        return digits;
    while (at < raw.len && !is_digit(raw.data[at]))
        at++;
    return at;
}

void geo_read(const geo_rules *rules, geo_read_memo *memo, sx_str folded, bool apart,
              geo_reading *out)
{
    out->count = 0;
    while (folded.len) {
        sx_str raw;
        (void)sx_str_cut(folded, ' ', &raw, &folded);
        while (raw.len) {
            size_t len = apart ? first_part(rules, raw) : raw.len;
            put_raw(rules, memo, out, sx_str_first(raw, len));
            raw = sx_str_from(raw, len);
        }
    }
}

static void drop(geo_reading *r, uint32_t at)
{
    /* Sounds lie in the words: they move together, and are found again. */
    for (uint32_t i = at; i + 1 < r->count; i++) {
        r->words[i] = r->words[i + 1];
        r->words[i].sound.data = r->words[i].own;
    }
    r->count--;
}

void geo_read_drop_number(geo_reading *r, sx_str number)
{
    size_t digits = leading_digits(number);
    for (uint32_t i = 0; i < r->count && number.len; i++) {
        const geo_read_word *w = &r->words[i];
        if (w->kind != GEO_READ_NUMBER || leading_digits(w->raw) != digits ||
            !sx_str_starts(w->raw, sx_str_first(number, digits)))
            continue;
        bool bare = w->raw.len == digits;
        drop(r, i);
        while (i < r->count && r->words[i].raw.len == 0)
            drop(r, i); /* the rest of "dix neuf" */
        if (bare && number.len > digits && i < r->count && r->words[i].raw.len &&
            r->words[i].raw.data[0] == number.data[digits])
            drop(r, i);
        return;
    }
}

/* ---- what two words have in common ---- */

static const double SOUND_SHARE = 0.98, PREFIX_SHARE = 0.9, JOINED_SHARE = 0.95, TYPO_COST = 0.75,
                    HEARD_COST = 0.75, BETWEEN_SHARE = 0.7, ORDINAL_SHARE = 0.95;

static bool is_word(const geo_read_word *w)
{
    return leading_digits(w->text) == 0;
}

/* Errors that `q` may have if it is to be `l`: a long word that lacks two letters is still one. */
static uint32_t typos_allowed(uint32_t better, const geo_read_word *q, const geo_read_word *l)
{
    if (!(better & GEO_BETTER_TYPOS) || !is_word(q) || q->filler ||
        q->text.len < GEO_TYPO_LETTERS_MIN)
        return 0;
    size_t longer = q->text.len > l->text.len ? q->text.len : l->text.len;
    return longer >= GEO_TYPOS_TWO_FROM && (better & GEO_BETTER_TYPOS_TWO) ? 2 : 1;
}

/* "12" and "12e", of an arrondissement. */
static bool is_ordinal_of(sx_str q, sx_str l)
{
    size_t a = leading_digits(q), b = leading_digits(l);
    return a && a == b && memcmp(q.data, l.data, a) == 0 && a < 3 && l.len <= a + 4 &&
           q.len <= a + 4;
}

static geo_fit_word compare(const geo_asked *asked, const geo_read_word *q, const geo_read_word *l,
                            bool unfinished)
{
    geo_fit_word none = {GEO_FIT_NONE, 0, 0, {"", 0}};
    if (sx_str_eq(q->text, l->text))
        return (geo_fit_word){sx_str_eq(q->raw, l->raw) ? GEO_FIT_EXACT : GEO_FIT_SYNONYM, 0, 1,
                              l->text};
    if (sx_str_eq(q->sound, l->sound))
        return (geo_fit_word){GEO_FIT_SOUND, 0, SOUND_SHARE, l->text};
    if (is_ordinal_of(q->text, l->text))
        return (geo_fit_word){GEO_FIT_SYNONYM, 0, ORDINAL_SHARE, l->text};
    if (unfinished && q->text.len >= 3 && sx_str_starts(l->text, q->text))
        return (geo_fit_word){GEO_FIT_PREFIX, 0, PREFIX_SHARE, l->text};
    uint32_t most = typos_allowed(asked->better, q, l);
    if (most == 0 || !is_word(l) || l->filler ||
        ((uint32_t)__builtin_popcount(q->letters ^ l->letters) > 2 * most &&
         (uint32_t)__builtin_popcount(q->heard ^ l->heard) > 2 * most))
        return none;
    uint32_t edits = geo_edits(q->text, l->text, most), heard = geo_edits(q->sound, l->sound, most);
    size_t shorter = q->text.len < l->text.len ? q->text.len : l->text.len;
    if ((edits > most && heard > most) || shorter < GEO_TYPO_LETTERS_MIN - 1)
        return none;
    /* What only sounds alike is farther off than what is written alike. */
    double errors = edits <= most && edits < heard + HEARD_COST ? edits : heard + HEARD_COST;
    return (geo_fit_word){GEO_FIT_TYPO, edits <= most ? edits : heard,
                          1 - TYPO_COST * errors / (double)shorter, l->text};
}

/* ---- one label ---- */

/* A comparison under way: the query's words and the label's, and what has been paired. */
typedef struct pairing {
    const geo_asked *asked;
    const geo_reading *q, *l;
    bool taken[GEO_READING_WORDS_MAX];   /* of the label */
    int8_t place[GEO_READING_WORDS_MAX]; /* of each word of the query: in the label; -1 */
    uint32_t city_from;                  /* the label's words from here on are the city's */
    double shared;
    geo_fit_word *fits;
} pairing;

static void pair(pairing *p, uint32_t q, uint32_t l, geo_fit_word fit)
{
    double worth = (p->q->words[q].worth + p->l->words[l].worth) / 2;
    if (fit.kind == GEO_FIT_PREFIX) /* what is still to be written is no difference */
        worth = p->q->words[q].worth;
    p->fits[q] = fit;
    p->taken[l] = true;
    p->place[q] = (int8_t)l;
    p->shared += worth * fit.share;
}

/* Equal words first, so that no misspelt one takes their place; then the most alike. */
static void pair_words(pairing *p)
{
    for (uint32_t q = 0; q < p->q->count; q++) {
        for (uint32_t l = 0; l < p->l->count && p->place[q] < 0; l++) {
            if (!p->taken[l] && sx_str_eq(p->q->words[q].sound, p->l->words[l].sound) &&
                p->q->words[q].kind != GEO_READ_POSTCODE)
                pair(p, q, l, compare(p->asked, &p->q->words[q], &p->l->words[l], false));
        }
    }
    for (uint32_t q = 0; q < p->q->count; q++) {
        geo_fit_word best = {0};
        uint32_t at = 0;
        if (p->place[q] >= 0 || p->q->words[q].kind == GEO_READ_POSTCODE)
            continue;
        bool unfinished = p->asked->unfinished && q + 1 == p->q->count;
        for (uint32_t l = 0; l < p->l->count; l++) {
            if (p->taken[l])
                continue;
            geo_fit_word fit = compare(p->asked, &p->q->words[q], &p->l->words[l], unfinished);
            if (fit.share > best.share) {
                best = fit;
                at = l;
            }
        }
        if (best.kind != GEO_FIT_NONE)
            pair(p, q, at, best);
    }
}

/* Texts of words `from` to `to`, one behind the other. */
static sx_str glue(const geo_reading *r, uint32_t from, uint32_t to,
                   char room[2 * GEO_TOKEN_BYTES_MAX])
{
    size_t len = 0;
    for (uint32_t i = from; i < to; i++) {
        sx_str t = r->words[i].text;
        if (len + t.len > 2 * GEO_TOKEN_BYTES_MAX)
            return sx_str_of("", 0);
        memcpy(room + len, t.data, t.len);
        len += t.len;
    }
    return sx_str_of(room, len);
}

static bool is_glued(sx_str one, sx_str several, uint32_t *edits)
{
    uint32_t most = several.len >= GEO_TYPOS_TWO_FROM ? 1 : 0;
    if (several.len < GEO_TYPO_LETTERS_MIN || one.len + most < several.len ||
        several.len + most < one.len)
        return false;
    *edits = geo_edits(one, several, most);
    return *edits <= most;
}

/* Words of the query from `q` on that are word `l` of the label torn apart. */
static bool pair_torn(pairing *p, uint32_t q, uint32_t l)
{
    char room[2 * GEO_TOKEN_BYTES_MAX];
    uint32_t edits = 0;
    for (uint32_t to = q + 2; to <= p->q->count && to <= q + 3; to++) {
        if (p->place[to - 1] >= 0 && !p->q->words[to - 1].filler)
            return false;
        if (!is_glued(p->l->words[l].text, glue(p->q, q, to, room), &edits))
            continue;
        double share = JOINED_SHARE - 0.05 * edits, worth = p->l->words[l].worth / (to - q);
        p->taken[l] = true;
        for (uint32_t i = q; i < to; i++) {
            p->fits[i] = (geo_fit_word){GEO_FIT_SPLIT, edits, share, p->l->words[l].text};
            p->place[i] = (int8_t)l;
            p->shared += (worth + p->q->words[i].worth) / 2 * share;
        }
        return true;
    }
    return false;
}

/* Words of the label from `l` on that are word `q` of the query run together. */
static bool pair_run(pairing *p, uint32_t q, uint32_t l)
{
    char room[2 * GEO_TOKEN_BYTES_MAX];
    uint32_t edits = 0;
    for (uint32_t to = l + 2; to <= p->l->count && to <= l + 6 && !p->taken[to - 1]; to++) {
        if (!is_glued(p->q->words[q].text, glue(p->l, l, to, room), &edits))
            continue;
        double share = JOINED_SHARE - 0.05 * edits, worth = 0;
        sx_str first = p->l->words[l].text, last = p->l->words[to - 1].text;
        for (uint32_t i = l; i < to; i++) {
            p->taken[i] = true;
            worth += p->l->words[i].worth;
        }
        /* Neighbours in one text, unless an abbreviation stands between. */
        bool whole = last.data > first.data && last.data - first.data < GEO_LABEL_BYTES_MAX;
        sx_str met =
            whole ? sx_str_of(first.data, (size_t)(last.data + last.len - first.data)) : first;
        p->fits[q] = (geo_fit_word){GEO_FIT_JOINED, edits, share, met};
        p->place[q] = (int8_t)l;
        p->shared += (worth + p->q->words[q].worth) / 2 * share;
        return true;
    }
    return false;
}

static void pair_joined(pairing *p)
{
    for (uint32_t q = 0; q < p->q->count; q++) {
        for (uint32_t l = 0; l < p->l->count; l++) {
            if (p->place[q] < 0 && !p->taken[l] && is_word(&p->q->words[q])) {
                if (!pair_torn(p, q, l))
                    (void)pair_run(p, q, l);
            }
        }
    }
}

/* How often the query goes back in the label where it should go on. */
static uint32_t steps_back(const pairing *p)
{
    uint32_t count = 0;
    int last = -1;
    for (uint32_t q = 0; q < p->q->count; q++) {
        if (p->place[q] < 0)
            continue;
        count += p->place[q] < last;
        last = p->place[q];
    }
    return count;
}

/* ---- the parts beside the name ---- */

static const double ORDER_COST = 0.06, SAME_DEPARTMENT = 0.55, OTHER_DEPARTMENT = 0.35;
enum { DEPARTMENT_DIGITS = 2 };

static geo_fit_word compare_postcode(const geo_asked *asked, sx_str q, sx_str l)
{
    if (sx_str_eq(q, l))
        return (geo_fit_word){GEO_FIT_EXACT, 0, 1, l};
    if (!(asked->better & GEO_BETTER_POSTCODE))
        return (geo_fit_word){0};
    uint32_t same = 0;
    while (same < q.len && same < l.len && q.data[same] == l.data[same])
        same++;
    double share =
        same >= DEPARTMENT_DIGITS ? SAME_DEPARTMENT + 0.05 * (same - 2) : OTHER_DEPARTMENT;
    return (geo_fit_word){GEO_FIT_POSTCODE, same, share, l};
}

/* The query's postcode and the document's; the nearest of several. */
static void fit_postcode(const geo_asked *asked, const geo_label_parts *parts, geo_fit *out)
{
    for (uint32_t q = 0; q < asked->reading->count && !out->has_postcode; q++) {
        const geo_read_word *w = &asked->reading->words[q];
        geo_fit_word best = {0};
        if (w->kind != GEO_READ_POSTCODE)
            continue;
        for (uint32_t i = 0; i < parts->postcode_count; i++) {
            geo_fit_word fit = compare_postcode(asked, w->text, parts->postcodes[i]);
            if (fit.share > best.share)
                best = fit;
        }
        if (best.kind == GEO_FIT_NONE)
            continue;
        out->has_postcode = true;
        out->words[q] = best;
        out->shared += w->worth * best.share;
        out->label += w->worth;
    }
}

static bool find_number(const geo_index *ix, const geo_asked *asked, uint32_t doc,
                        const geo_number *number, sx_str text, geo_fit_word *fit, geo_fit *out)
{
    geo_housenumber n;
    if (geo_number_find(ix, doc, number->number, number->number ? number->suffix : text, &n)) {
        out->at_number = n.index;
        out->lon_e7 = n.lon_e7;
        out->lat_e7 = n.lat_e7;
        *fit = (geo_fit_word){GEO_FIT_NUMBER, 0, 1, text};
        return true;
    }
    if (!(asked->better & GEO_BETTER_INTERPOLATE) || text.len > sizeof(out->made) ||
        !geo_number_between(ix, doc, number, &out->lon_e7, &out->lat_e7))
        return false;
    memcpy(out->made, text.data, text.len);
    out->made_len = (uint8_t)text.len;
    *fit = (geo_fit_word){GEO_FIT_BETWEEN, 0, BETWEEN_SHARE, text};
    return true;
}

/* The house number that the tokens had, or a number anywhere that met nothing else. */
static void fit_number(const geo_index *ix, const geo_asked *asked, uint32_t doc, geo_fit *out)
{
    bool has_numbers = asked->takes_numbers && ix->docs[doc].number_count > 0;
    if (asked->number_text.len) {
        double worth = (double)(asked->number_text.len + 1);
        out->query += worth;
        if (has_numbers &&
            find_number(ix, asked, doc, &asked->number, asked->number_text, &out->number, out)) {
            out->shared += worth * out->number.share;
            out->label += worth;
        }
        return;
    }
    for (uint32_t q = 0; q < asked->reading->count && has_numbers; q++) {
        const geo_read_word *w = &asked->reading->words[q];
        geo_number number;
        if (!(asked->better & GEO_BETTER_WORD_ORDER) || w->kind != GEO_READ_NUMBER ||
            out->words[q].kind != GEO_FIT_NONE || !geo_number_parse(w->raw, &number) ||
            !find_number(ix, asked, doc, &number, w->raw, &out->words[q], out))
            continue;
        out->number_word = (int)q;
        out->shared += w->worth * out->words[q].share;
        out->label += w->worth;
        return;
    }
}

/* ---- a document ---- */

static const double CONTEXT_SHARE = 0.8, STRAY_SHARE = 0.6;

/* Words that met nothing, but are the department or region, or of a wrong city. */
static void forgive_city(const geo_index *ix, const geo_asked *asked, uint32_t doc, geo_fit *out)
{
    geo_value v, item;
    char room[512];
    geo_reading context;
    bool read = false;
    context.count = 0;
    for (uint32_t q = 0; q < asked->reading->count; q++) {
        const geo_read_word *w = &asked->reading->words[q];
        if (out->words[q].kind != GEO_FIT_NONE || w->kind == GEO_READ_POSTCODE)
            continue;
        if (!read && geo_doc_property(ix, doc, SX_STR("context"), &v)) {
            sx_str text = sx_str_first(geo_value_first(ix, &v, &item), sizeof(room) / 5);
            geo_read(asked->rules, asked->memo, geo_fold(text, room, sizeof(room)), false,
                     &context);
        }
        read = true;
        for (uint32_t c = 0; c < context.count; c++) {
            if (!sx_str_eq(context.words[c].sound, w->sound))
                continue;
            out->words[q] = (geo_fit_word){GEO_FIT_CONTEXT, 0, CONTEXT_SHARE, w->text};
            out->shared += w->worth * CONTEXT_SHARE;
            out->label += w->worth;
            break;
        }
        if (out->words[q].kind == GEO_FIT_NONE && w->kind == GEO_READ_WORD)
            out->query -= w->worth * (1 - STRAY_SHARE);
    }
}

/* One name with one city (-1: none; a municipality is its own). */
static void fit_label(const geo_index *ix, const geo_asked *asked, uint32_t doc,
                      const geo_label_parts *parts, int name, int city, geo_reading *label,
                      geo_fit *out)
{
    *out = (geo_fit){.name = name, .city = city, .number_word = -1, .at_number = GEO_NO_NUMBER};
    pairing p = {.asked = asked, .q = asked->reading, .l = label, .fits = out->words};
    memset(p.place, -1, sizeof(p.place));
    geo_read(asked->rules, asked->memo, parts->names[name], false, label);
    p.city_from = label->count;
    if (city >= 0) {
        geo_reading more;
        geo_read(asked->rules, asked->memo, parts->cities[city], false, &more);
        for (uint32_t i = 0; i < more.count && label->count < GEO_READING_WORDS_MAX; i++) {
            geo_read_word *w = &label->words[label->count++];
            *w = more.words[i];
            w->sound.data = w->own;
        }
    }
    pair_words(&p);
    if (asked->better & GEO_BETTER_SPLIT_JOIN)
        pair_joined(&p);
    bool names_city = false;
    for (uint32_t l = 0; l < label->count; l++) {
        /* Of a city only what the query names counts: "paris" is enough of "Paris 1er". */
        if (l < p.city_from || p.taken[l])
            out->label += label->words[l].worth;
        names_city = names_city || (l >= p.city_from && p.taken[l]);
    }
    if (!names_city)
        out->city = -1;
    out->shared = p.shared;
    for (uint32_t q = 0; q < asked->reading->count; q++) {
        out->query += asked->reading->words[q].worth;
        if (out->words[q].kind == GEO_FIT_PREFIX)
            out->label -= label->words[p.place[q]].worth - asked->reading->words[q].worth;
    }
    fit_postcode(asked, parts, out);
    fit_number(ix, asked, doc, out);
    if (asked->better & GEO_BETTER_CITY)
        forgive_city(ix, asked, doc, out);
    double all = out->query + out->label - out->shared;
    out->agreement = all > 0 ? out->shared / all : 0;
    if (!(asked->better & GEO_BETTER_WORD_ORDER))
        out->agreement *= 1 - ORDER_COST * steps_back(&p);
    out->agreement = out->agreement < 0 ? 0 : out->agreement > 1 ? 1 : out->agreement;
}

void geo_fit_doc(const geo_index *ix, const geo_asked *asked, uint32_t doc,
                 const geo_label_parts *parts, geo_reading *label, geo_fit *out)
{
    geo_fit one;
    bool own_city = ix->docs[doc].type == GEO_TYPE_MUNICIPALITY;
    *out = (geo_fit){.city = -1, .number_word = -1, .at_number = GEO_NO_NUMBER};
    for (uint32_t n = 0; n < parts->name_count && n < GEO_READING_NAMES_MAX; n++) {
        int cities = own_city ? 0 : (int)parts->city_count;
        for (int c = cities ? 0 : -1; c < cities && c < GEO_READING_NAMES_MAX; c++) {
            fit_label(ix, asked, doc, parts, (int)n, c, label, &one);
            if (one.agreement > out->agreement)
                *out = one;
        }
    }
}
