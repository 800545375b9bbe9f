/* rules.c - the tables of rules.h. Each is sorted by its first column for binary search. */
#include "geocode/text/rules.h"

typedef struct pair {
    sx_str from, to;
} pair;

struct geo_rules {
    sx_str code;
    const pair *abbreviations;
    size_t abbreviation_count;
    const sx_str *street_words;
    size_t street_word_count;
    const pair *ordinals;
    size_t ordinal_count;
};

#define P(from, to) {SX_STR_INIT(from), SX_STR_INIT(to)}

/* Street types as La Poste and the Base Adresse Nationale shorten them, titles, saints, and numbers
 * as street names spell them ("rue du onze novembre"). */
static const pair FRENCH[] = {
    P("adj", "adjudant"),
    P("all", "allee"),
    P("allees", "allee"),
    P("amp", "amiral"),
    P("arrdt", "arrondissement"),
    P("av", "avenue"),
    P("ave", "avenue"),
    P("bat", "batiment"),
    P("bd", "boulevard"),
    P("bld", "boulevard"),
    P("blv", "boulevard"),
    P("blvd", "boulevard"),
    P("boul", "boulevard"),
    P("bvd", "boulevard"),
    P("cal", "colonel"),
    P("cap", "capitaine"),
    P("car", "carrefour"),
    P("carr", "carrefour"),
    P("cdt", "commandant"),
    P("ch", "chemin"),
    P("che", "chemin"),
    P("chem", "chemin"),
    P("chs", "chaussee"),
    P("cinq", "5"),
    P("cmdt", "commandant"),
    P("col", "colonel"),
    P("cpt", "capitaine"),
    P("crs", "cours"),
    P("ctre", "centre"),
    P("deux", "2"),
    P("dix", "10"),
    P("dom", "domaine"),
    P("douze", "12"),
    P("dr", "docteur"),
    P("esp", "esplanade"),
    P("fbg", "faubourg"),
    P("fg", "faubourg"),
    P("gal", "general"),
    P("gd", "grand"),
    P("gde", "grande"),
    P("gen", "general"),
    P("gr", "grand"),
    P("ham", "hameau"),
    P("huit", "8"),
    P("imp", "impasse"),
    P("lot", "lotissement"),
    P("lt", "lieutenant"),
    P("mal", "marechal"),
    P("mar", "marechal"),
    P("mgr", "monseigneur"),
    P("mte", "montee"),
    P("nd", "notre"),
    P("neuf", "9"),
    P("onze", "11"),
    P("pass", "passage"),
    P("pce", "prince"),
    P("pdt", "president"),
    P("pl", "place"),
    P("pr", "professeur"),
    P("pres", "president"),
    P("prof", "professeur"),
    P("psg", "passage"),
    P("pte", "porte"),
    P("qu", "quai"),
    P("quart", "quartier"),
    P("quatorze", "14"),
    P("quatre", "4"),
    P("quinze", "15"),
    P("r", "rue"),
    P("res", "residence"),
    P("rle", "ruelle"),
    P("rpt", "rond"),
    P("rte", "route"),
    P("seize", "16"),
    P("sept", "7"),
    P("sgt", "sergent"),
    P("six", "6"),
    P("sq", "square"),
    P("sqr", "square"),
    P("st", "saint"),
    P("ste", "sainte"),
    P("stes", "saintes"),
    P("sts", "saints"),
    P("treize", "13"),
    P("trois", "3"),
    P("trq", "terrasse"),
    P("vla", "villa"),
    P("vlge", "village"),
};

static const sx_str FRENCH_STREETS[] = {
    SX_STR_INIT("allee"),     SX_STR_INIT("arcade"),      SX_STR_INIT("avenue"),
    SX_STR_INIT("barriere"),  SX_STR_INIT("bassin"),      SX_STR_INIT("boulevard"),
    SX_STR_INIT("carrefour"), SX_STR_INIT("chaussee"),    SX_STR_INIT("chemin"),
    SX_STR_INIT("cite"),      SX_STR_INIT("cote"),        SX_STR_INIT("cour"),
    SX_STR_INIT("cours"),     SX_STR_INIT("esplanade"),   SX_STR_INIT("faubourg"),
    SX_STR_INIT("galerie"),   SX_STR_INIT("hameau"),      SX_STR_INIT("impasse"),
    SX_STR_INIT("jardin"),    SX_STR_INIT("lotissement"), SX_STR_INIT("montee"),
    SX_STR_INIT("parvis"),    SX_STR_INIT("passage"),     SX_STR_INIT("passerelle"),
    SX_STR_INIT("place"),     SX_STR_INIT("pont"),        SX_STR_INIT("port"),
    SX_STR_INIT("porte"),     SX_STR_INIT("promenade"),   SX_STR_INIT("quai"),
    SX_STR_INIT("quartier"),  SX_STR_INIT("residence"),   SX_STR_INIT("rond"),
    SX_STR_INIT("route"),     SX_STR_INIT("rue"),         SX_STR_INIT("ruelle"),
    SX_STR_INIT("sente"),     SX_STR_INIT("sentier"),     SX_STR_INIT("square"),
    SX_STR_INIT("terrasse"),  SX_STR_INIT("villa"),       SX_STR_INIT("voie"),
};

static const pair FRENCH_ORDINALS[] = {
    P("bis", "b"),     P("quater", "q"), P("quinquies", "c"),
    P("septies", "p"), P("sexies", "s"), P("ter", "t"),
};

static const pair SPANISH[] = {
    P("avd", "avenida"),  P("avda", "avenida"),   P("c", "calle"),       P("cl", "calle"),
    P("cr", "carretera"), P("ctra", "carretera"), P("gta", "glorieta"),  P("po", "paseo"),
    P("pso", "paseo"),    P("pz", "plaza"),       P("pza", "plaza"),     P("rda", "ronda"),
    P("sta", "santa"),    P("sto", "santo"),      P("trva", "travesia"),
};

static const sx_str SPANISH_STREETS[] = {
    SX_STR_INIT("avenida"),  SX_STR_INIT("calle"),     SX_STR_INIT("callejon"),
    SX_STR_INIT("camino"),   SX_STR_INIT("carretera"), SX_STR_INIT("glorieta"),
    SX_STR_INIT("paseo"),    SX_STR_INIT("plaza"),     SX_STR_INIT("ronda"),
    SX_STR_INIT("travesia"),
};

static const pair GERMAN[] = {
    P("pl", "platz"),
    P("st", "sankt"),
    P("str", "strasse"),
};

static const sx_str GERMAN_STREETS[] = {
    SX_STR_INIT("gasse"),
    SX_STR_INIT("platz"),
    SX_STR_INIT("strasse"),
    SX_STR_INIT("weg"),
};

#undef P

#define ROWS(table) table, SX_COUNT_OF(table)

static const geo_rules RULES[GEO_LANGUAGES] = {
    [GEO_LANGUAGE_NONE] = {.code = SX_STR_INIT("")},
    [GEO_LANGUAGE_FRENCH] = {SX_STR_INIT("fr"), ROWS(FRENCH), ROWS(FRENCH_STREETS),
                             ROWS(FRENCH_ORDINALS)},
    [GEO_LANGUAGE_SPANISH] = {SX_STR_INIT("es"), ROWS(SPANISH), ROWS(SPANISH_STREETS), NULL, 0},
    [GEO_LANGUAGE_GERMAN] = {SX_STR_INIT("de"), ROWS(GERMAN), ROWS(GERMAN_STREETS), NULL, 0},
};

const geo_rules *geo_rules_of(unsigned language)
{
    return &RULES[language < GEO_LANGUAGES ? language : GEO_LANGUAGE_NONE];
}

sx_str geo_rules_code(const geo_rules *r)
{
    return r->code;
}

/* The row of a sorted table whose key is `word`, or NULL. */
static const pair *find(const pair *table, size_t count, sx_str word)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(table[middle].from, word);
        if (order == 0)
            return &table[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

sx_str geo_rules_expand(const geo_rules *r, sx_str word)
{
    const pair *row = find(r->abbreviations, r->abbreviation_count, word);
    return row ? row->to : word;
}

bool geo_rules_is_street_word(const geo_rules *r, sx_str word)
{
    sx_str full = geo_rules_expand(r, word);
    for (size_t i = 0; i < r->street_word_count; i++) {
        if (sx_str_eq(r->street_words[i], full))
            return true;
    }
    return false;
}

sx_str geo_rules_ordinal(const geo_rules *r, sx_str word)
{
    const pair *row = find(r->ordinals, r->ordinal_count, word);
    return row ? row->to : sx_str_of("", 0);
}
