/* rules_de.c - how German addresses are read: see rules_tables.h.
 *
 * Postcodes have four digits in Austria, Switzerland and Liechtenstein, so a house number has three. */
#include "geocode/text/phonetic.h"
#include "geocode/text/rules_tables.h"

/* Terms: abbreviations, numbers as words and in figures; articles are none. Endings ("Hauptstr.") are
 * the phonetic rules' work. */
static const geo_rule_pair TERMS[] = {
    P("1", "eins"),
    P("10", "zehn"),
    P("11", "elf"),
    P("12", "zwolf"),
    P("13", "dreizehn"),
    P("14", "vierzehn"),
    P("15", "funfzehn"),
    P("16", "sechzehn"),
    P("17", "siebzehn"),
    P("18", "achtzehn"),
    P("19", "neunzehn"),
    P("2", "zwei"),
    P("20", "zwanzig"),
    P("3", "drei"),
    P("4", "vier"),
    P("5", "funf"),
    P("6", "sechs"),
    P("7", "sieben"),
    P("8", "acht"),
    P("9", "neun"),
    P("bgm", "burgermeister"),
    P("bgmstr", "burgermeister"),
    P("bhf", "bahnhof"),
    P("burgerm", "burgermeister"),
    P("das", ""),
    P("dem", ""),
    P("den", ""),
    P("der", ""),
    P("des", ""),
    P("die", ""),
    P("dr", "doktor"),
    P("dritte", "drei"),
    P("erste", "eins"),
    P("ersten", "eins"),
    P("frhr", "freiherr"),
    P("friedr", "friedrich"),
    P("funfte", "funf"),
    P("gen", "general"),
    P("gr", "grosse"),
    P("hbf", "hauptbahnhof"),
    P("hl", "heilige"),
    P("hlg", "heilige"),
    P("ii", "zwei"),
    P("iii", "drei"),
    P("iv", "vier"),
    P("ix", "neun"),
    P("joh", "johann"),
    P("kl", "kleine"),
    P("pl", "platz"),
    P("prof", "professor"),
    P("prom", "promenade"),
    P("skt", "sankt"),
    P("st", "sankt"),
    P("str", "strasse"),
    P("strassse", "strasse"),
    P("und", ""),
    P("vi", "sechs"),
    P("vierte", "vier"),
    P("vii", "sieben"),
    P("viii", "acht"),
    P("wilh", "wilhelm"),
    P("xi", "elf"),
    P("xii", "zwolf"),
    P("xiii", "dreizehn"),
    P("xiv", "vierzehn"),
    P("xix", "neunzehn"),
    P("xv", "funfzehn"),
    P("xvi", "sechzehn"),
    P("xvii", "siebzehn"),
    P("xviii", "achtzehn"),
    P("xx", "zwanzig"),
    P("zweite", "zwei"),
};

static const geo_rule_pair WRITTEN[] = {
    P("bgm", "burgermeister"), P("bgmstr", "burgermeister"),
    P("bhf", "bahnhof"),       P("burgerm", "burgermeister"),
    P("dr", "doktor"),         P("frhr", "freiherr"),
    P("friedr", "friedrich"),  P("gen", "general"),
    P("gr", "grosse"),         P("hbf", "hauptbahnhof"),
    P("hl", "heilige"),        P("hlg", "heilige"),
    P("joh", "johann"),        P("kl", "kleine"),
    P("pl", "platz"),          P("prof", "professor"),
    P("prom", "promenade"),    P("skt", "sankt"),
    P("st", "sankt"),          P("str", "strasse"),
    P("strassse", "strasse"),  P("wilh", "wilhelm"),
};

static const sx_str STREETS[] = {
    W("allee"), W("chaussee"),  W("damm"), W("gasse"), W("kai"), W("park"),    W("pfad"), W("pl"),
    W("platz"), W("promenade"), W("ring"), W("steig"), W("str"), W("strasse"), W("ufer"), W("weg"),
};

static const geo_rule_pair ORDINALS[] = {
    P("bis", "b"),
    P("ter", "t"),
};

static const sx_str FLOORS[] = {
    W("dg"),  W("eg"), W("etage"),  W("hh"),         W("hinterhaus"), W("li"),        W("links"),
    W("og"),  W("re"), W("rechts"), W("stiege"),     W("stock"),      W("stockwerk"), W("top"),
    W("tur"), W("ug"), W("vh"),     W("vorderhaus"), W("whg"),        W("wohnung"),
};

static const sx_str MARKS[] = {
    W("no"),
    W("nr"),
    W("nummer"),
};

/* "Strasse des 17. Juni": a number before these is part of a name. */
static const sx_str FOLLOWS[] = {
    W("april"), W("august"), W("dezember"), W("februar"),  W("januar"),  W("juli"),
    W("juni"),  W("mai"),    W("marz"),     W("november"), W("oktober"), W("september"),
};

const geo_rules GEO_RULES_GERMAN = {
    .code = SX_STR_INIT("de"),
    GEO_ROWS(abbreviations, TERMS),
    GEO_ROWS(street_words, STREETS),
    GEO_ROWS(ordinals, ORDINALS),
    GEO_ROWS(written, WRITTEN),
    GEO_ROWS(floors, FLOORS),
    GEO_ROWS(marks, MARKS),
    GEO_ROWS(follows_name, FOLLOWS),
    .number_digits = 3,
    .letters_are_floors = false,
    .sound = geo_phonetic_german,
};
