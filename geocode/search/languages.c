/* languages.c - a query read in every language of the index, see geo_search() in search.h.
 *
 * What a query means depends on the language: "calle mayor 12" has a house number for a Spaniard and
 * none for a Frenchman. Which one asks is not known, so an index of several languages is searched once
 * in each, and the answers are merged, best score first; a document that is found twice stays with
 * its better score. Scores are comparable since they come from the same letters. An index of one
 * language is searched once, straight into the caller's results. */
#include "geocode/search/languages.h"

#include "geocode/search/searcher.h"

size_t geo_index_languages(const geo_index *ix, unsigned out[GEO_LANGUAGES])
{
    size_t count = 0;
    geo_source source;
    bool seen[GEO_LANGUAGES] = {false};
    for (uint32_t i = 0; count < GEO_LANGUAGES && geo_index_source(ix, i, &source); i++) {
        if (source.documents == 0)
            continue;
        unsigned language =
            source.language < GEO_LANGUAGES ? source.language : (unsigned)GEO_LANGUAGE_NONE;
        if (!seen[language])
            out[count++] = language;
        seen[language] = true;
    }
    if (count == 0)
        out[count++] = GEO_LANGUAGE_NONE;
    return count;
}

/* Puts one more result in its place, unless its document is there with a score as good. */
static void merge_one(const geo_index *ix, geo_results *out, uint32_t limit, const geo_result *r)
{
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->items[i].doc != r->doc)
            continue;
        if (out->items[i].score >= r->score)
            return;
        memmove(&out->items[i], &out->items[i + 1], (--out->count - i) * sizeof(*r));
        break;
    }
    geo_results_insert(ix, out, limit, r);
}

sx_status geo_search(const geo_index *ix, geo_searcher *s, const geo_query *q, geo_results *out,
                     sx_error *err)
{
    unsigned languages[GEO_LANGUAGES];
    size_t count = geo_index_languages(ix, languages);
    sx_status status = geo_search_as(ix, s, q, languages[0], out, err);
    for (size_t i = 1; status == SX_OK && i < count; i++) {
        geo_results more;
        status = geo_search_as(ix, s, q, languages[i], &more, err);
        for (uint32_t k = 0; status == SX_OK && k < more.count; k++)
            merge_one(ix, out, s->wanted, &more.items[k]);
    }
    return status;
}
