/* rules.c - the look-ups of rules.h, and the French tables; Spanish and German have a file each. */
#include "geocode/text/rules.h"

#include "geocode/text/phonetic.h"
#include "geocode/text/rules_tables.h"

/* What Addok's French plug-in makes of short words, as its answers show: street types as La Poste
 * shortens them, titles, saints, and numbers as street names spell them ("rue du onze novembre"). */
static const geo_rule_pair FRENCH[] = {
    P("1", "un"),
    P("10", "dix"),
    P("100", "cent"),
    P("10e", "dixieme"),
    P("10eme", "dixieme"),
    P("11", "onze"),
    P("11e", "onzieme"),
    P("11eme", "onzieme"),
    P("12", "douze"),
    P("12e", "douzieme"),
    P("12eme", "douzieme"),
    P("13", "treize"),
    P("13e", "treizieme"),
    P("13eme", "treizieme"),
    P("14", "quatorze"),
    P("14e", "quatorzieme"),
    P("14eme", "quatorzieme"),
    P("15", "quinze"),
    P("15e", "quinzieme"),
    P("15eme", "quinzieme"),
    P("16", "seize"),
    P("16e", "seizieme"),
    P("16eme", "seizieme"),
    P("17", "dix sept"),
    P("17e", "dix septieme"),
    P("17eme", "dix septieme"),
    P("18", "dix huit"),
    P("18e", "dix huitieme"),
    P("18eme", "dix huitieme"),
    P("19", "dix neuf"),
    P("19e", "dix neuvieme"),
    P("19eme", "dix neuvieme"),
    P("1e", "premier"),
    P("1er", "premier"),
    P("1ere", "premiere"),
    P("2", "deux"),
    P("20", "vingt"),
    P("20e", "vingtieme"),
    P("20eme", "vingtieme"),
    P("2e", "deuxieme"),
    P("2eme", "deuxieme"),
    P("3", "trois"),
    P("3e", "troisieme"),
    P("3eme", "troisieme"),
    P("4", "quatre"),
    P("4e", "quatrieme"),
    P("4eme", "quatrieme"),
    P("5", "cinq"),
    P("5e", "cinquieme"),
    P("5eme", "cinquieme"),
    P("6", "six"),
    P("6e", "sixieme"),
    P("6eme", "sixieme"),
    P("7", "sept"),
    P("7e", "septieme"),
    P("7eme", "septieme"),
    P("8", "huit"),
    P("8e", "huitieme"),
    P("8eme", "huitieme"),
    P("9", "neuf"),
    P("9e", "neuvieme"),
    P("9eme", "neuvieme"),
    P("ach", "ancien chemin"),
    P("aer", "aerodrome"),
    P("afn", "afrique du nord"),
    P("agl", "agglomeration"),
    P("al", "allee"),
    P("all", "allee"),
    P("alle", "allee"),
    P("anc", "ancien"),
    P("ang", "angle"),
    P("aut", "autoroute"),
    P("av", "avenue"),
    P("ave", "avenue"),
    P("aven", "avenue"),
    P("bcle", "boucle"),
    P("bd", "boulevard"),
    P("ber", "berge"),
    P("bld", "boulevard"),
    P("bou", "boulevard"),
    P("boul", "boulevard"),
    P("brg", "bourg"),
    P("brtl", "bretelle"),
    P("bsn", "bassin"),
    P("bvd", "boulevard"),
    P("car", "carriere"),
    P("cd", "chemin departemental"),
    P("cdt", "commandant"),
    P("cf", "chemin forestier"),
    P("ch", "chemin"),
    P("cha", "chaussee"),
    P("che", "chemin"),
    P("chem", "chemin"),
    P("chev", "chevalier"),
    P("chl", "chalet"),
    P("chp", "champ"),
    P("chps", "champs"),
    P("chs", "chaussee"),
    P("chse", "chaussee"),
    P("chss", "chaussee"),
    P("cht", "chateau"),
    P("ci", "cite"),
    P("cit", "cite"),
    P("clef", "cle"),
    P("clefs", "cles"),
    P("clo", "clos"),
    P("clr", "couloir"),
    P("col", "colonel"),
    P("cor", "corniche"),
    P("cou", "cour"),
    P("cpg", "camping"),
    P("cpt", "capitaine"),
    P("cr", "cour"),
    P("crnc", "corniche"),
    P("crx", "croix"),
    P("ctr", "contour"),
    P("ctre", "centre"),
    P("cv", "chemin vicinal"),
    P("dept", "departement"),
    P("devi", "deviation"),
    P("dig", "digue"),
    P("doct", "docteur"),
    P("dom", "domaine"),
    P("dr", "docteur"),
    P("dra", "draille"),
    P("dre", "dreve"),
    P("dsc", "descente"),
    P("ecl", "ecluse"),
    P("embr", "embranchement"),
    P("enc", "enclos"),
    P("enf", "enfants"),
    P("entr", "entree"),
    P("espa", "espace"),
    P("espl", "esplanade"),
    P("etng", "etang"),
    P("fac", "facade"),
    P("fbg", "faubourg"),
    P("fg", "faubourg"),
    P("fon", "fontaine"),
    P("font", "fontaine"),
    P("for", "foret"),
    P("frm", "ferme"),
    P("gal", "general"),
    P("gale", "galerie"),
    P("gbd", "grand boulevard"),
    P("gde", "grande"),
    P("gdes", "grandes"),
    P("gds", "grands"),
    P("gen", "general"),
    P("gir", "giratoire"),
    P("gl", "general"),
    P("gpl", "grand place"),
    P("gr", "grande rue"),
    P("grp", "groupe"),
    P("grpe", "groupe"),
    P("hab", "habitation"),
    P("habit", "habitation"),
    P("ham", "hameau"),
    P("hle", "halle"),
    P("hlg", "halage"),
    P("hlm", "habitation a loyer modere"),
    P("hop", "hopital"),
    P("hosp", "hopital"),
    P("ht", "haut"),
    P("hte", "haute"),
    P("htes", "hautes"),
    P("hts", "hauts"),
    P("i", "un"),
    P("ier", "premier"),
    P("iere", "premiere"),
    P("ii", "deux"),
    P("iie", "deuxieme"),
    P("iieme", "deuxieme"),
    P("iii", "trois"),
    P("iiie", "troisieme"),
    P("iiieme", "troisieme"),
    P("imp", "impasse"),
    P("ings", "ingenieurs"),
    P("ire", "premiere"),
    P("iv", "quatre"),
    P("ive", "quatrieme"),
    P("iveme", "quatrieme"),
    P("ix", "neuf"),
    P("ixe", "neuvieme"),
    P("ixeme", "neuvieme"),
    P("jar", "jardin"),
    P("jard", "jardin"),
    P("jte", "jetee"),
    P("lieut", "lieutenant"),
    P("lnt", "lieutenant"),
    P("lot", "lotissement"),
    P("lotis", "lotissement"),
    P("lotiss", "lotissement"),
    P("lt", "lieutenant"),
    P("lyc", "lycee"),
    P("mais", "maison"),
    P("mal", "marechal"),
    P("mgr", "monseigneur"),
    P("ml", "marechal"),
    P("mln", "moulin"),
    P("mme", "madame"),
    P("mqs", "marquis"),
    P("mqse", "marquise"),
    P("mrn", "marina"),
    P("mt", "mont"),
    P("mte", "montee"),
    P("nd", "notre dame"),
    P("nouv", "nouveau"),
    P("nte", "nouvelle route"),
    P("nve", "neuve"),
    P("pae", "petite avenue"),
    P("pai", "parvis"),
    P("pass", "passage"),
    P("pch", "petit chemin"),
    P("pdt", "president"),
    P("pge", "passage"),
    P("pkg", "parking"),
    P("pl", "place"),
    P("pla", "place"),
    P("plac", "place"),
    P("ple", "passerelle"),
    P("pln", "plaine"),
    P("plt", "plateau"),
    P("pnt", "pointe"),
    P("porq", "portique"),
    P("pr", "pere"),
    P("pref", "prefecture"),
    P("prl", "parc residentiel de loisirs"),
    P("prm", "promenade"),
    P("prof", "professeur"),
    P("prom", "promenade"),
    P("prv", "parvis"),
    P("psge", "passage"),
    P("pta", "petite allee"),
    P("pte", "porte"),
    P("ptr", "petite rue"),
    P("ptte", "placette"),
    P("pvr", "parvis"),
    P("q", "quai"),
    P("qrt", "quartier"),
    P("qu", "quai"),
    P("qua", "quartier"),
    P("quart", "quartier"),
    P("r", "rue"),
    P("ran", "rangee"),
    P("rav", "ravin"),
    P("rd", "route departementale"),
    P("rdl", "raidillon"),
    P("rdp", "rond point"),
    P("rdpt", "rond point"),
    P("regt", "regiment"),
    P("renc", "rencontre"),
    P("rep", "republique"),
    P("res", "residence"),
    P("rfg", "refuge"),
    P("rle", "ruelle"),
    P("rn", "route nationale"),
    P("rop", "rond point"),
    P("rou", "route"),
    P("rpe", "rampe"),
    P("rpt", "rond point"),
    P("rtd", "rotonde"),
    P("rte", "route"),
    P("ruel", "ruelle"),
    P("ruet", "ruette"),
    P("ruis", "ruisseau"),
    P("rul", "ruelle"),
    P("rult", "ruellette"),
    P("rve", "ravine"),
    P("sen", "sentier"),
    P("sent", "sentier"),
    P("sgt", "sergent"),
    P("sq", "square"),
    P("squ", "square"),
    P("ss", "sous"),
    P("st", "saint"),
    P("std", "stade"),
    P("stde", "stade"),
    P("ste", "sainte"),
    P("stes", "saintes"),
    P("stg", "stage"),
    P("sts", "saints"),
    P("ter", "terrasse"),
    P("tpl", "terre plein"),
    P("trab", "traboule"),
    P("trn", "terrain"),
    P("trt", "tertre"),
    P("tsse", "terrasse"),
    P("tun", "tunnel"),
    P("tunn", "tunnel"),
    P("v", "cinq"),
    P("vall", "vallon"),
    P("vc", "voie communale"),
    P("vch", "vieux chemin"),
    P("vche", "vieux chemin"),
    P("ve", "cinquieme"),
    P("veme", "cinquieme"),
    P("ven", "venelle"),
    P("vge", "village"),
    P("vi", "six"),
    P("viad", "viaduc"),
    P("vie", "sixieme"),
    P("vieme", "sixieme"),
    P("vii", "sept"),
    P("viie", "septieme"),
    P("viieme", "septieme"),
    P("viii", "huit"),
    P("viiie", "huitieme"),
    P("viiieme", "huitieme"),
    P("vil", "ville"),
    P("vla", "villa"),
    P("vte", "vieille route"),
    P("x", "dix"),
    P("xe", "dixieme"),
    P("xeme", "dixieme"),
    P("xi", "onze"),
    P("xie", "onzieme"),
    P("xieme", "onzieme"),
    P("xii", "douze"),
    P("xiie", "douzieme"),
    P("xiieme", "douzieme"),
    P("xiii", "treize"),
    P("xiiie", "treizieme"),
    P("xiiieme", "treizieme"),
    P("xiv", "quatorze"),
    P("xive", "quatorzieme"),
    P("xiveme", "quatorzieme"),
    P("xix", "dix neuf"),
    P("xixe", "dix neuvieme"),
    P("xixeme", "dix neuvieme"),
    P("xv", "quinze"),
    P("xve", "quinzieme"),
    P("xveme", "quinzieme"),
    P("xvi", "seize"),
    P("xvie", "seizieme"),
    P("xvieme", "seizieme"),
    P("xvii", "dix sept"),
    P("xviie", "dix septieme"),
    P("xviieme", "dix septieme"),
    P("xviii", "dix huit"),
    P("xviiie", "dix huitieme"),
    P("xviiieme", "dix huitieme"),
    P("xx", "vingt"),
    P("xxe", "vingtieme"),
    P("xxeme", "vingtieme"),
    P("za", "zone artisanale"),
    P("zac", "zone amenagement concerte"),
    P("zi", "zone industrielle"),
    P("zup", "zone urbaniser en priorite"),
};

/* Words before which a number is a house number, as they are written. */
static const sx_str FRENCH_STREETS[] = {
    SX_STR_INIT("aer"),        SX_STR_INIT("aerodrome"),
    SX_STR_INIT("all"),        SX_STR_INIT("allee"),
    SX_STR_INIT("allees"),     SX_STR_INIT("anc"),
    SX_STR_INIT("ancien"),     SX_STR_INIT("ancienne"),
    SX_STR_INIT("av"),         SX_STR_INIT("avenue"),
    SX_STR_INIT("bcle"),       SX_STR_INIT("bd"),
    SX_STR_INIT("ber"),        SX_STR_INIT("berge"),
    SX_STR_INIT("bld"),        SX_STR_INIT("boucle"),
    SX_STR_INIT("boulevard"),  SX_STR_INIT("bvd"),
    SX_STR_INIT("car"),        SX_STR_INIT("carrefour"),
    SX_STR_INIT("centre"),     SX_STR_INIT("ch"),
    SX_STR_INIT("champ"),      SX_STR_INIT("chaussee"),
    SX_STR_INIT("che"),        SX_STR_INIT("chem"),
    SX_STR_INIT("chemin"),     SX_STR_INIT("chp"),
    SX_STR_INIT("cite"),       SX_STR_INIT("clos"),
    SX_STR_INIT("cote"),       SX_STR_INIT("cour"),
    SX_STR_INIT("cours"),      SX_STR_INIT("cr"),
    SX_STR_INIT("crs"),        SX_STR_INIT("ctre"),
    SX_STR_INIT("devi"),       SX_STR_INIT("deviation"),
    SX_STR_INIT("dig"),        SX_STR_INIT("digue"),
    SX_STR_INIT("dom"),        SX_STR_INIT("domaine"),
    SX_STR_INIT("embr"),       SX_STR_INIT("embranchement"),
    SX_STR_INIT("espl"),       SX_STR_INIT("esplanade"),
    SX_STR_INIT("etang"),      SX_STR_INIT("etng"),
    SX_STR_INIT("faubourg"),   SX_STR_INIT("fbg"),
    SX_STR_INIT("fg"),         SX_STR_INIT("giratoire"),
    SX_STR_INIT("gr"),         SX_STR_INIT("grand"),
    SX_STR_INIT("grande"),     SX_STR_INIT("ham"),
    SX_STR_INIT("hameau"),     SX_STR_INIT("imp"),
    SX_STR_INIT("impasse"),    SX_STR_INIT("jard"),
    SX_STR_INIT("jardin"),     SX_STR_INIT("jetee"),
    SX_STR_INIT("lot"),        SX_STR_INIT("lotissement"),
    SX_STR_INIT("mont"),       SX_STR_INIT("montee"),
    SX_STR_INIT("parc"),       SX_STR_INIT("parvis"),
    SX_STR_INIT("pass"),       SX_STR_INIT("passage"),
    SX_STR_INIT("passerelle"), SX_STR_INIT("pl"),
    SX_STR_INIT("place"),      SX_STR_INIT("placette"),
    SX_STR_INIT("ple"),        SX_STR_INIT("porte"),
    SX_STR_INIT("pre"),        SX_STR_INIT("prm"),
    SX_STR_INIT("prom"),       SX_STR_INIT("promenade"),
    SX_STR_INIT("prv"),        SX_STR_INIT("pte"),
    SX_STR_INIT("ptte"),       SX_STR_INIT("pvr"),
    SX_STR_INIT("q"),          SX_STR_INIT("qrt"),
    SX_STR_INIT("qu"),         SX_STR_INIT("qua"),
    SX_STR_INIT("quai"),       SX_STR_INIT("quartier"),
    SX_STR_INIT("r"),          SX_STR_INIT("rdpt"),
    SX_STR_INIT("res"),        SX_STR_INIT("residence"),
    SX_STR_INIT("rle"),        SX_STR_INIT("rocade"),
    SX_STR_INIT("route"),      SX_STR_INIT("rpt"),
    SX_STR_INIT("rte"),        SX_STR_INIT("rue"),
    SX_STR_INIT("ruelle"),     SX_STR_INIT("sente"),
    SX_STR_INIT("sentier"),    SX_STR_INIT("sq"),
    SX_STR_INIT("squ"),        SX_STR_INIT("square"),
    SX_STR_INIT("terrasse"),   SX_STR_INIT("traverse"),
    SX_STR_INIT("tsse"),       SX_STR_INIT("tun"),
    SX_STR_INIT("tunn"),       SX_STR_INIT("tunnel"),
    SX_STR_INIT("viad"),       SX_STR_INIT("viaduc"),
    SX_STR_INIT("villa"),      SX_STR_INIT("vla"),
    SX_STR_INIT("voie"),
};

static const geo_rule_pair FRENCH_ORDINALS[] = {
    P("bis", "b"), P("quater", "q"), P("quinquies", "c"), P("sexies", "s"), P("ter", "t"),
};

static const geo_rules NONE = {.code = SX_STR_INIT("")};

static const geo_rules FRENCH_RULES = {
    .code = SX_STR_INIT("fr"),
    GEO_ROWS(abbreviations, FRENCH),
    GEO_ROWS(street_words, FRENCH_STREETS),
    GEO_ROWS(ordinals, FRENCH_ORDINALS),
    .sound = geo_phonetic_french,
    .cleans = true,
};

static const geo_rules *const RULES[GEO_LANGUAGES] = {
    [GEO_LANGUAGE_NONE] = &NONE,
    [GEO_LANGUAGE_FRENCH] = &FRENCH_RULES,
    [GEO_LANGUAGE_SPANISH] = &GEO_RULES_SPANISH,
    [GEO_LANGUAGE_GERMAN] = &GEO_RULES_GERMAN,
};

const geo_rules *geo_rules_of(unsigned language)
{
    return RULES[language < GEO_LANGUAGES ? language : GEO_LANGUAGE_NONE];
}

sx_str geo_rules_code(const geo_rules *r)
{
    return r->code;
}

geo_language geo_rules_language(sx_str code)
{
    unsigned language = GEO_LANGUAGE_NONE + 1;
    while (language < GEO_LANGUAGES && !sx_str_eq(RULES[language]->code, code))
        language++;
    return (geo_language)language;
}

const geo_rule_pair *geo_rule_find(const geo_rule_pair *table, size_t count, sx_str word)
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

bool geo_rule_has(const sx_str *list, size_t count, sx_str word)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(list[middle], word);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

sx_str geo_rules_expand(const geo_rules *r, sx_str word)
{
    const geo_rule_pair *row = geo_rule_find(r->abbreviations, r->abbreviations_count, word);
    return row ? row->to : word;
}

bool geo_rules_is_street_word(const geo_rules *r, sx_str word)
{
    return geo_rule_has(r->street_words, r->street_words_count, word);
}

sx_str geo_rules_ordinal(const geo_rules *r, sx_str word)
{
    const geo_rule_pair *row = geo_rule_find(r->ordinals, r->ordinals_count, word);
    return row ? row->to : sx_str_of("", 0);
}

size_t geo_rules_sound(const geo_rules *r, char *word, size_t len)
{
    return r->sound ? r->sound(word, len) : len;
}

bool geo_rules_cleans(const geo_rules *r)
{
    return r->cleans;
}

bool geo_rules_rewrites(const geo_rules *r)
{
    return r->number_digits > 0;
}
