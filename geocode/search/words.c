/* words.c - the query's words sorted by what they are good for, and its filters. */
#include "geocode/search/searcher.h"
#include "geocode/text/clean.h"

static bool all_digits(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    }
    return true;
}

/* Insertion in front of the first word that is shorter: longest first, otherwise as they stand. */
static void add_word(const geo_index *ix, geo_searcher *s, const geo_token *t)
{
    uint32_t at = s->word_count++;
    for (; at > 0 && s->words[at - 1].text.len < t->text.len; at--)
        s->words[at] = s->words[at - 1];
    uint32_t term = geo_word_find(ix, t->text);
    s->words[at] = (geo_word){t->text, term, term == GEO_NO_TERM ? 0 : ix->terms[term].count,
                              all_digits(t->text)};
}

/* Puts word `i` behind those that are not more frequent. */
static void add_by_count(const geo_searcher *s, geo_word_list *list, uint32_t i)
{
    uint32_t at = list->count++;
    for (; at > 0 && s->words[list->at[at - 1]].count > s->words[i].count; at--)
        list->at[at] = list->at[at - 1];
    list->at[at] = (uint8_t)i;
}

static void select_words(geo_searcher *s)
{
    s->meaningful.count = s->common.count = s->missing.count = 0;
    for (uint32_t i = 0; i < s->word_count; i++) {
        if (s->words[i].term == GEO_NO_TERM)
            s->missing.at[s->missing.count++] = (uint8_t)i;
        else if (s->words[i].count > GEO_SEARCH_COMMON_LEAST)
            add_by_count(s, &s->common, i);
        else
            add_by_count(s, &s->meaningful, i);
    }
    for (uint32_t i = GEO_SEARCH_MEANINGFUL_MAX; i < s->meaningful.count; i++)
        s->common.at[s->common.count++] = s->meaningful.at[i];
    if (s->meaningful.count > GEO_SEARCH_MEANINGFUL_MAX)
        s->meaningful.count = GEO_SEARCH_MEANINGFUL_MAX;
    s->should_match = (2 * s->word_count + 2) / 3;
}

static void take_words(const geo_index *ix, geo_searcher *s, size_t token_count)
{
    const geo_token *last = NULL;
    s->word_count = 0;
    s->has_number = false;
    s->last = -1;
    for (size_t i = 0; i < token_count; i++) {
        const geo_token *t = &s->tokens[i];
        if (!t->is_number || !s->may_have_number) {
            add_word(ix, s, t);
            last = t;
            continue;
        }
        last = NULL;
        if (t->written.len == 0)
            continue; /* another word of the same number */
        s->has_number = geo_number_parse(t->written, &s->number);
        s->number_text = t->written;
    }
    for (uint32_t i = 0; last && i < s->word_count; i++) {
        if (s->words[i].text.data == last->text.data)
            s->last = (int32_t)i;
    }
    select_words(s);
}

/* All values of one key become one group. */
static void plan_group(const geo_index *ix, geo_searcher *s, const geo_query *q, size_t from)
{
    geo_filter_group *g = &s->groups[s->group_count++];
    bool is_type = sx_str_eq(q->filters[from].key, SX_STR("type"));
    *g = (geo_filter_group){.key = q->filters[from].key, .first = s->filter_term_count};
    uint32_t values = 0;
    for (size_t i = from; i < q->filter_count && values < GEO_QUERY_VALUES_MAX; i++) {
        if (!sx_str_eq(q->filters[i].key, g->key))
            continue;
        values++;
        if (is_type && sx_str_eq(q->filters[i].value, SX_STR("housenumber")))
            s->takes_housenumber = true;
        uint32_t term = geo_filter_term(ix, g->key, q->filters[i].value);
        if (term == GEO_NO_TERM)
            continue;
        geo_postings list;
        geo_postings_open(ix, term, &list);
        s->filter_bits[s->filter_term_count] = list.kind == GEO_POSTINGS_BITMAP ? list.words : NULL;
        s->filter_terms[s->filter_term_count++] = term;
        g->documents += ix->terms[term].count;
        g->count++;
    }
    s->type_filtered = s->type_filtered || is_type;
    s->nothing_passes = s->nothing_passes || g->count == 0;
}

static void plan_filters(const geo_index *ix, geo_searcher *s, const geo_query *q)
{
    s->group_count = s->filter_term_count = 0;
    s->nothing_passes = s->type_filtered = s->takes_housenumber = false;
    for (size_t i = 0; i < q->filter_count; i++) {
        bool known = false;
        for (uint32_t g = 0; g < s->group_count; g++)
            known = known || sx_str_eq(s->groups[g].key, q->filters[i].key);
        if (!known && geo_filter_known(ix, q->filters[i].key) &&
            s->group_count < GEO_SEARCH_GROUPS_MAX)
            plan_group(ix, s, q, i);
    }
}

void geo_search_plan(const geo_index *ix, geo_searcher *s, const geo_query *q)
{
    sx_str text = geo_clean_query(s->rules, s->query, s->cleaned);
    s->cleaned_query = text;
    take_words(ix, s,
               geo_tokens_kept(s->rules, text, s->tokens, GEO_SEARCH_TOKENS_MAX, &s->sounds));
    plan_filters(ix, s, q);
}
