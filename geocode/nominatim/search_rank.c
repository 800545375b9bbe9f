/* search_rank.c - sorts what was found, and leaves out what does not belong; see search_impl.h.
 *
 * Words of the query that stand in no part of a result's address cost, those that look like none more
 * than those that nearly do. Then what is much worse than the best is dropped, lower ranks sooner. */
#include <math.h>
#include <stdlib.h>

#include "geocode/nominatim/search_impl.h"
#include "geocode/words/words.h"

enum { WORDS_MAX = 512, LETTERS_MAX = 256 };

#define WORSE_MAX 0.5 /* than the best */

void nom_drop_far(nom_founds *founds)
{
    double best = INFINITY;
    size_t kept = 0;
    for (size_t i = 0; i < founds->count; i++)
        best = fmin(best, nom_found_ranking(&founds->items[i]));
    for (size_t i = 0; i < founds->count; i++)
        if (nom_found_ranking(&founds->items[i]) < best + WORSE_MAX)
            founds->items[kept++] = founds->items[i];
    founds->count = kept;
}

/* --- Words of texts. */

typedef struct word_list {
    sx_str items[WORDS_MAX];
    uint32_t count;
} word_list;

static bool is_between(char c)
{
    return c == '-' || c == ',' || c == ':' || c == ' ';
}

static void split(sx_str text, word_list *out)
{
    for (size_t at = 0; at < text.len && out->count < WORDS_MAX;) {
        size_t from = at;
        while (at < text.len && !is_between(text.data[at]))
            at++;
        if (at > from)
            out->items[out->count++] = sx_str_of(text.data + from, at - from);
        at++;
    }
}

static bool holds(const word_list *list, sx_str word)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (sx_str_eq(list->items[i], word))
            return true;
    return false;
}

static unsigned length_of(sx_str s)
{
    unsigned count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((uint8_t)s.data[i] & 0xC0) != 0x80;
    return count;
}

/* Twice the letters that two words share, of all their letters, wherever they stand. */
static double likeness(sx_str a, sx_str b)
{
    uint32_t x[LETTERS_MAX], code;
    unsigned count = 0, b_count = 0, shared = 0;
    for (size_t i = 0; i < a.len && count < LETTERS_MAX; count++)
        i += wrd_letter(sx_str_from(a, i), &x[count]);
    unsigned a_count = count;
    for (size_t i = 0; i < b.len; b_count++) {
        i += wrd_letter(sx_str_from(b, i), &code);
        for (unsigned k = 0; k < count; k++)
            if (x[k] == code) {
                x[k] = x[--count];
                shared++;
                break;
            }
    }
    return a_count + b_count ? 2.0 * shared / (a_count + b_count) : 1;
}

/* Letters of the query that a result does not account for. */
static double unmatched(const word_list *asked, const word_list *have)
{
    double distance = 0;
    for (uint32_t i = 0; i < asked->count; i++) {
        if (holds(have, asked->items[i]))
            continue;
        double best = 0;
        for (uint32_t k = 0; k < have->count && best < 0.4; k++)
            best = fmax(best, likeness(asked->items[i], have->items[k]));
        distance += best < 0.4 ? length_of(asked->items[i]) : 1;
    }
    return distance;
}

/* --- Rankings by words. */

static sx_str normal_of(nom_run *run, sx_str text)
{
    sx_buf out = {0};
    wrd_normal_query(text, &out);
    sx_str copy = sx_arena_copy(&run->s->arena, sx_buf_view(&out));
    run->failed |= out.failed || !copy.data;
    sx_buf_done(&out);
    return copy;
}

/* Name and address of a result without regard to languages, in their normal form. */
static sx_str plain_address(nom_run *run, const nom_found *f)
{
    static const nom_locale PLAIN = {.keys = {SX_STR_INIT("name")}, .key_count = 1};
    nom_object object;
    nom_address rows;
    sx_str name;
    sx_arena *arena = &run->s->arena;
    if (nom_object_of(run->ix, &f->hit, &object, run->err) != SX_OK ||
        nom_address_rows(run->ix, &object, &PLAIN, arena, &rows, run->err) != SX_OK ||
        nom_display_name(&rows, arena, &name, run->err) != SX_OK)
        return sx_str_of("", 0);
    char country[3];
    plc_country_text(f->country, country);
    if (name.len == 0)
        return name;
    return normal_of(run, sx_arena_printf(arena, "%.*s %s", SX_ARG(name), country));
}

/* The same out of what is remembered of the thread's last queries. */
static sx_str remembered_address(nom_run *run, const nom_found *f)
{
    if (f->hit.source != NOM_PLACE)
        return plain_address(run, f);
    nom_plain *slot = &run->s->plain[f->hit.id * 2654435761u >> 21 & (NOM_PLAIN_SLOTS - 1)];
    if (slot->generation == run->w->generation && slot->place == f->hit.id)
        return sx_str_of(slot->text, slot->len);
    sx_str text = plain_address(run, f);
    if (text.len <= NOM_PLAIN_BYTES && !run->failed) {
        *slot = (nom_plain){
            .generation = run->w->generation, .place = f->hit.id, .len = (uint16_t)text.len};
        if (text.len)
            memcpy(slot->text, text.data, text.len);
    }
    return text;
}

static bool has_languages(const nom_locale *locale)
{
    for (uint32_t i = 0; i < locale->key_count; i++)
        if (sx_str_starts(locale->keys[i], SX_STR("name:")))
            return true;
    return false;
}

/* No word of the country's names in the reader's languages is among those asked for: it was meant by a name
 * in another language, and its importance counts for less. *named: it has such a name. */
static bool is_foreign(nom_run *run, const nom_found *f, const nom_locale *locale,
                       const word_list *asked, bool *named)
{
    nom_object object;
    nom_names it;
    sx_str key, value;
    sx_buf names = {0};
    *named = false;
    if (nom_object_of(run->ix, &f->hit, &object, run->err) != SX_OK)
        return false;
    for (nom_names_begin(run->ix, &object, &it); nom_names_next(&it, &key, &value);) {
        *named = true;
        if (nom_locale_rank(locale, key) == UINT32_MAX)
            continue;
        sx_buf_str(&names, value);
        sx_buf_byte(&names, ' ');
    }
    word_list words = {.count = 0};
    split(normal_of(run, sx_buf_view(&names)), &words);
    sx_buf_done(&names);
    for (uint32_t i = 0; i < words.count; i++)
        if (holds(asked, words.items[i]))
            return false;
    return words.count > 0;
}

static void rank_by_words(nom_run *run, const nom_locale *locale, nom_founds *founds)
{
    word_list asked = {.count = 0};
    double letters = 0;
    for (uint32_t i = 0; i < run->s->ask.part_count; i++)
        split(run->s->ask.parts[i].text, &asked);
    for (uint32_t i = 0; i < asked.count; i++)
        letters += length_of(asked.items[i]);
    for (size_t i = 0; i < founds->count && letters > 0 && !run->failed; i++) {
        nom_found *f = &founds->items[i];
        if (f->importance < 0)
            continue;
        word_list have = {.count = 0};
        split(remembered_address(run, f), &have);
        if (have.count == 0)
            continue;
        double distance = unmatched(&asked, &have);
        if (f->rank_address == 4) {
            bool named = false;
            bool languages = has_languages(locale);
            if (languages && is_foreign(run, f, locale, &asked, &named))
                f->penalty +=
                    0.5 * (f->importance > 0 ? f->importance : nom_rank_importance(f->rank_search));
            if (!languages || !named)
                distance *= 2;
        }
        f->penalty += distance * 0.3 / letters;
    }
}

typedef struct sorted_found {
    double ranking, box_area;
    size_t at;
} sorted_found;

static int by_ranking(const void *a, const void *b)
{
    const sorted_found *x = a, *y = b;
    if (x->ranking != y->ranking)
        return x->ranking < y->ranking ? -1 : 1;
    if (x->box_area != y->box_area)
        return x->box_area > y->box_area ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Best first; what is too much worse is dropped, sooner if its rank is lower. */
static void sort_and_cut(nom_run *run, nom_founds *founds)
{
    size_t count = founds->count;
    sorted_found *order = sx_arena_alloc(&run->s->arena, (count + 1) * sizeof(*order));
    nom_found *items = sx_arena_alloc(&run->s->arena, (count + 1) * sizeof(*items));
    if (!order || !items) {
        run->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        order[i] =
            (sorted_found){nom_found_ranking(&founds->items[i]), founds->items[i].box_area, i};
    qsort(order, count, sizeof(*order), by_ranking);
    double best = order[0].ranking;
    int least_rank = founds->items[order[0].at].rank_search;
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < run->details.limit; i++) {
        const nom_found *f = &founds->items[order[i].at];
        if (order[i].ranking + 0.03 * (f->rank_search - least_rank) < best + WORSE_MAX) {
            items[kept++] = *f;
            least_rank = f->rank_search < least_rank ? f->rank_search : least_rank;
        }
    }
    founds->items = items;
    founds->count = kept;
}

void nom_rank_founds(nom_run *run, const nom_locale *locale, nom_founds *founds, bool by_words)
{
    if (by_words)
        rank_by_words(run, locale, founds);
    if (founds->count)
        sort_and_cut(run, founds);
}

/* --- Duplicates. */

static bool same_look(const plc_disk_place *a, const plc_disk_place *b)
{
    return a->osm_kind == b->osm_kind && a->class_name == b->class_name && a->type == b->type &&
           a->rank_address == b->rank_address;
}

static sx_str shown_name(nom_run *run, const nom_locale *locale, const nom_found *f)
{
    nom_object object;
    nom_address rows;
    sx_str name;
    sx_arena *arena = &run->s->arena;
    if (nom_object_of(run->ix, &f->hit, &object, run->err) != SX_OK ||
        nom_address_rows(run->ix, &object, locale, arena, &rows, run->err) != SX_OK ||
        nom_display_name(&rows, arena, &name, run->err) != SX_OK)
        return sx_str_of("", 0);
    return name;
}

/* What is known of a found place while duplicates are looked for; each is made when first asked for. */
typedef struct looks {
    sx_str own, shown;
} looks;

static sx_str own_name(const nom_run *run, const nom_locale *locale, const nom_found *f, looks *l)
{
    if (!l->own.data)
        l->own = nom_locale_name(locale, run->ix->places, run->ix->places->places[f->hit.id].tags);
    return l->own;
}

/* Whether what is shown of two places is the same. Their names come first in it, so that where neither
 * begins with the other the addresses need not be put together. */
static bool same_shown(nom_run *run, const nom_locale *locale, const nom_found *a, looks *x,
                       const nom_found *b, looks *y)
{
    sx_str own = own_name(run, locale, a, x), other = own_name(run, locale, b, y);
    if (own.len && other.len && !sx_str_starts(own, other) && !sx_str_starts(other, own))
        return false;
    if (!x->shown.data)
        x->shown = shown_name(run, locale, a);
    if (!y->shown.data)
        y->shown = shown_name(run, locale, b);
    return sx_str_eq(x->shown, y->shown);
}

void nom_drop_duplicates(nom_run *run, const nom_locale *locale, nom_founds *founds, uint32_t most)
{
    const plc_index *ix = run->ix->places;
    looks *known = sx_arena_calloc(&run->s->arena, founds->count + 1, sizeof(*known));
    size_t kept = 0;
    if (!known) {
        run->failed = true;
        return;
    }
    /* What was dropped still stands for others like it, so all before are compared. */
    nom_found *all = founds->items;
    bool *dropped = sx_arena_calloc(&run->s->arena, founds->count + 1, sizeof(*dropped));
    for (size_t i = 0; i < founds->count && dropped && kept < most; i++) {
        const plc_disk_place *p =
            all[i].hit.source == NOM_PLACE ? ix->places + all[i].hit.id : NULL;
        for (size_t k = 0; k < i && p && !dropped[i]; k++) {
            if (all[k].hit.source != NOM_PLACE)
                continue;
            const plc_disk_place *other = ix->places + all[k].hit.id;
            dropped[i] = p->osm_kind == other->osm_kind && p->osm_id == other->osm_id;
            if (!dropped[i] && same_look(p, other))
                dropped[i] = same_shown(run, locale, &all[i], &known[i], &all[k], &known[k]);
        }
        kept += !dropped[i];
    }
    size_t to = 0;
    for (size_t i = 0; i < founds->count && dropped && to < kept; i++)
        if (!dropped[i])
            founds->items[to++] = founds->items[i];
    founds->count = to;
    run->failed |= !dropped;
}
