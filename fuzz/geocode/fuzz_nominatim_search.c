/* Any query over the places of a small map ends, gives at most what was asked for, and each hit once. The
 * first byte says what kind of query the rest is. */
#include <stdio.h>
#include <stdlib.h>

#include "geocode/nominatim/search.h"
#include "geocode/nominatim/words.h"
#include "geocode/nominatim/words_build.h"
#include "geocode/places/build.h"

static const char MAP[] =
    "<osm version='0.6'>"
    "<node id='1' lat='47.14' lon='9.52'><tag k='place' v='town'/><tag k='name' v='Vaduz'/></node>"
    "<node id='2' lat='47.141' lon='9.521'/><node id='3' lat='47.143' lon='9.522'/>"
    "<node id='4' lat='47.142' lon='9.5215'><tag k='addr:housenumber' v='12a'/>"
    "<tag k='addr:street' v='Bahnhofstrasse'/><tag k='addr:postcode' v='9490'/></node>"
    "<node id='5' lat='47.1421' lon='9.5216'><tag k='amenity' v='restaurant'/>"
    "<tag k='name' v='Hotel Löwen'/></node>"
    "<way id='1'><nd ref='2'/><nd ref='3'/><tag k='highway' v='residential'/>"
    "<tag k='name' v='Bahnhofstrasse'/></way></osm>";

typedef struct places {
    plc_writer *writer;
    plc_index ix;
    nom_index index;
    nom_words *words;
    nom_searcher *searcher;
} places;

static places *open_places(void)
{
    static places p;
    char path[] = "/tmp/fuzz_nominatim_XXXXXX";
    if (p.words)
        return &p;
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!file || fwrite(MAP, 1, sizeof(MAP) - 1, file) != sizeof(MAP) - 1 || fclose(file) != 0)
        abort();
    const char *paths[1] = {path};
    osm_dataset *data;
    plc_report report;
    nom_phrase items[2] = {
        {SX_STR_INIT("restaurant"), SX_STR_INIT("amenity"), SX_STR_INIT("restaurant"), NOM_OP_NONE},
        {SX_STR_INIT("food in"), SX_STR_INIT("amenity"), SX_STR_INIT("restaurant"), NOM_OP_IN}};
    nom_phrases phrases = {items, 2};
    plc_report_init(&report);
    p.writer = plc_writer_new(NULL, 0, NULL);
    bool good = p.writer && osm_dataset_open(NULL, paths, 1, &data, NULL) == SX_OK &&
                plc_build(data, NULL, p.writer, &report, NULL) == SX_OK &&
                plc_writer_view(p.writer, &p.ix, NULL) == SX_OK &&
                nom_words_build(&p.ix, &phrases, p.writer, NULL) == SX_OK &&
                plc_writer_seal(p.writer, NULL) == SX_OK &&
                plc_writer_view(p.writer, &p.ix, NULL) == SX_OK;
    (void)remove(path);
    if (!good)
        abort();
    osm_dataset_close(data);
    plc_report_done(&report);
    p.index.places = &p.ix;
    p.words = nom_words_open(&p.ix, NULL);
    p.searcher = nom_searcher_new(NULL);
    return &p;
}

static void set_part(nom_search_query *q, unsigned which, sx_str text)
{
    sx_str *parts[] = {&q->text,  &q->street,     &q->city,    &q->county,
                       &q->state, &q->postalcode, &q->country, &q->amenity};
    *parts[which & 7] = text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    places *p = open_places();
    nom_search_query q = {.limit = 1u + (data[0] & 3u), .dedupe = data[0] & 4};
    q.fuzzy = data[0] & 8;
    q.guess_steps = 200; /* the words of all countries take more time than a query is worth here */
    q.autocomplete = data[0] & 16;
    sx_str rest = sx_str_of(data + 1, size - 1), part;
    if (data[0] & 32) {
        for (unsigned i = 1; i < 8 && rest.len; i++) { /* structured: a part a line */
            (void)sx_str_cut(rest, '\n', &part, &rest);
            set_part(&q, i, part);
        }
    } else {
        q.text = rest;
    }
    nom_locale locale;
    nom_hits hits;
    sx_error err = {0};
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    nom_locale_init(&locale, sx_str_of("", 0));
    if (nom_search(&p->index, p->words, p->searcher, &q, &locale, &arena, &hits, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
    } else {
        sx_assert(hits.count <= q.limit);
        for (uint32_t i = 0; i < hits.count; i++)
            for (uint32_t k = 0; k < i; k++)
                sx_assert(hits.items[i].source != hits.items[k].source ||
                          hits.items[i].id != hits.items[k].id ||
                          hits.items[i].number != hits.items[k].number);
    }
    sx_arena_done(&arena);
    return 0;
}
