/* ban_areas.c - what the BAN's CSV leaves out: the department and region of a commune's code, and the
 * city that an arrondissement belongs to. As INSEE's official geographic code has them (2024). */
#include "geocode/import/ban.h"

static const struct {
    sx_str code, context;
} DEPARTMENTS[] = {
    {SX_STR_INIT("01"), SX_STR_INIT("01, Ain, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("02"), SX_STR_INIT("02, Aisne, Hauts-de-France")},
    {SX_STR_INIT("03"), SX_STR_INIT("03, Allier, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("04"), SX_STR_INIT("04, Alpes-de-Haute-Provence, Provence-Alpes-Côte d'Azur")},
    {SX_STR_INIT("05"), SX_STR_INIT("05, Hautes-Alpes, Provence-Alpes-Côte d'Azur")},
    {SX_STR_INIT("06"), SX_STR_INIT("06, Alpes-Maritimes, Provence-Alpes-Côte d'Azur")},
    {SX_STR_INIT("07"), SX_STR_INIT("07, Ardèche, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("08"), SX_STR_INIT("08, Ardennes, Grand Est")},
    {SX_STR_INIT("09"), SX_STR_INIT("09, Ariège, Occitanie")},
    {SX_STR_INIT("10"), SX_STR_INIT("10, Aube, Grand Est")},
    {SX_STR_INIT("11"), SX_STR_INIT("11, Aude, Occitanie")},
    {SX_STR_INIT("12"), SX_STR_INIT("12, Aveyron, Occitanie")},
    {SX_STR_INIT("13"), SX_STR_INIT("13, Bouches-du-Rhône, Provence-Alpes-Côte d'Azur")},
    {SX_STR_INIT("14"), SX_STR_INIT("14, Calvados, Normandie")},
    {SX_STR_INIT("15"), SX_STR_INIT("15, Cantal, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("16"), SX_STR_INIT("16, Charente, Nouvelle-Aquitaine")},
    {SX_STR_INIT("17"), SX_STR_INIT("17, Charente-Maritime, Nouvelle-Aquitaine")},
    {SX_STR_INIT("18"), SX_STR_INIT("18, Cher, Centre-Val de Loire")},
    {SX_STR_INIT("19"), SX_STR_INIT("19, Corrèze, Nouvelle-Aquitaine")},
    {SX_STR_INIT("21"), SX_STR_INIT("21, Côte-d'Or, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("22"), SX_STR_INIT("22, Côtes-d'Armor, Bretagne")},
    {SX_STR_INIT("23"), SX_STR_INIT("23, Creuse, Nouvelle-Aquitaine")},
    {SX_STR_INIT("24"), SX_STR_INIT("24, Dordogne, Nouvelle-Aquitaine")},
    {SX_STR_INIT("25"), SX_STR_INIT("25, Doubs, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("26"), SX_STR_INIT("26, Drôme, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("27"), SX_STR_INIT("27, Eure, Normandie")},
    {SX_STR_INIT("28"), SX_STR_INIT("28, Eure-et-Loir, Centre-Val de Loire")},
    {SX_STR_INIT("29"), SX_STR_INIT("29, Finistère, Bretagne")},
    {SX_STR_INIT("2A"), SX_STR_INIT("2A, Corse-du-Sud, Corse")},
    {SX_STR_INIT("2B"), SX_STR_INIT("2B, Haute-Corse, Corse")},
    {SX_STR_INIT("30"), SX_STR_INIT("30, Gard, Occitanie")},
    {SX_STR_INIT("31"), SX_STR_INIT("31, Haute-Garonne, Occitanie")},
    {SX_STR_INIT("32"), SX_STR_INIT("32, Gers, Occitanie")},
    {SX_STR_INIT("33"), SX_STR_INIT("33, Gironde, Nouvelle-Aquitaine")},
    {SX_STR_INIT("34"), SX_STR_INIT("34, Hérault, Occitanie")},
    {SX_STR_INIT("35"), SX_STR_INIT("35, Ille-et-Vilaine, Bretagne")},
    {SX_STR_INIT("36"), SX_STR_INIT("36, Indre, Centre-Val de Loire")},
    {SX_STR_INIT("37"), SX_STR_INIT("37, Indre-et-Loire, Centre-Val de Loire")},
    {SX_STR_INIT("38"), SX_STR_INIT("38, Isère, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("39"), SX_STR_INIT("39, Jura, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("40"), SX_STR_INIT("40, Landes, Nouvelle-Aquitaine")},
    {SX_STR_INIT("41"), SX_STR_INIT("41, Loir-et-Cher, Centre-Val de Loire")},
    {SX_STR_INIT("42"), SX_STR_INIT("42, Loire, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("43"), SX_STR_INIT("43, Haute-Loire, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("44"), SX_STR_INIT("44, Loire-Atlantique, Pays de la Loire")},
    {SX_STR_INIT("45"), SX_STR_INIT("45, Loiret, Centre-Val de Loire")},
    {SX_STR_INIT("46"), SX_STR_INIT("46, Lot, Occitanie")},
    {SX_STR_INIT("47"), SX_STR_INIT("47, Lot-et-Garonne, Nouvelle-Aquitaine")},
    {SX_STR_INIT("48"), SX_STR_INIT("48, Lozère, Occitanie")},
    {SX_STR_INIT("49"), SX_STR_INIT("49, Maine-et-Loire, Pays de la Loire")},
    {SX_STR_INIT("50"), SX_STR_INIT("50, Manche, Normandie")},
    {SX_STR_INIT("51"), SX_STR_INIT("51, Marne, Grand Est")},
    {SX_STR_INIT("52"), SX_STR_INIT("52, Haute-Marne, Grand Est")},
    {SX_STR_INIT("53"), SX_STR_INIT("53, Mayenne, Pays de la Loire")},
    {SX_STR_INIT("54"), SX_STR_INIT("54, Meurthe-et-Moselle, Grand Est")},
    {SX_STR_INIT("55"), SX_STR_INIT("55, Meuse, Grand Est")},
    {SX_STR_INIT("56"), SX_STR_INIT("56, Morbihan, Bretagne")},
    {SX_STR_INIT("57"), SX_STR_INIT("57, Moselle, Grand Est")},
    {SX_STR_INIT("58"), SX_STR_INIT("58, Nièvre, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("59"), SX_STR_INIT("59, Nord, Hauts-de-France")},
    {SX_STR_INIT("60"), SX_STR_INIT("60, Oise, Hauts-de-France")},
    {SX_STR_INIT("61"), SX_STR_INIT("61, Orne, Normandie")},
    {SX_STR_INIT("62"), SX_STR_INIT("62, Pas-de-Calais, Hauts-de-France")},
    {SX_STR_INIT("63"), SX_STR_INIT("63, Puy-de-Dôme, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("64"), SX_STR_INIT("64, Pyrénées-Atlantiques, Nouvelle-Aquitaine")},
    {SX_STR_INIT("65"), SX_STR_INIT("65, Hautes-Pyrénées, Occitanie")},
    {SX_STR_INIT("66"), SX_STR_INIT("66, Pyrénées-Orientales, Occitanie")},
    {SX_STR_INIT("67"), SX_STR_INIT("67, Bas-Rhin, Grand Est")},
    {SX_STR_INIT("68"), SX_STR_INIT("68, Haut-Rhin, Grand Est")},
    {SX_STR_INIT("69"), SX_STR_INIT("69, Rhône, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("70"), SX_STR_INIT("70, Haute-Saône, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("71"), SX_STR_INIT("71, Saône-et-Loire, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("72"), SX_STR_INIT("72, Sarthe, Pays de la Loire")},
    {SX_STR_INIT("73"), SX_STR_INIT("73, Savoie, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("74"), SX_STR_INIT("74, Haute-Savoie, Auvergne-Rhône-Alpes")},
    {SX_STR_INIT("75"), SX_STR_INIT("75, Paris, Île-de-France")},
    {SX_STR_INIT("76"), SX_STR_INIT("76, Seine-Maritime, Normandie")},
    {SX_STR_INIT("77"), SX_STR_INIT("77, Seine-et-Marne, Île-de-France")},
    {SX_STR_INIT("78"), SX_STR_INIT("78, Yvelines, Île-de-France")},
    {SX_STR_INIT("79"), SX_STR_INIT("79, Deux-Sèvres, Nouvelle-Aquitaine")},
    {SX_STR_INIT("80"), SX_STR_INIT("80, Somme, Hauts-de-France")},
    {SX_STR_INIT("81"), SX_STR_INIT("81, Tarn, Occitanie")},
    {SX_STR_INIT("82"), SX_STR_INIT("82, Tarn-et-Garonne, Occitanie")},
    {SX_STR_INIT("83"), SX_STR_INIT("83, Var, Provence-Alpes-Côte d'Azur")},
    {SX_STR_INIT("84"), SX_STR_INIT("84, Vaucluse, Provence-Alpes-Côte d'Azur")},
    {SX_STR_INIT("85"), SX_STR_INIT("85, Vendée, Pays de la Loire")},
    {SX_STR_INIT("86"), SX_STR_INIT("86, Vienne, Nouvelle-Aquitaine")},
    {SX_STR_INIT("87"), SX_STR_INIT("87, Haute-Vienne, Nouvelle-Aquitaine")},
    {SX_STR_INIT("88"), SX_STR_INIT("88, Vosges, Grand Est")},
    {SX_STR_INIT("89"), SX_STR_INIT("89, Yonne, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("90"), SX_STR_INIT("90, Territoire de Belfort, Bourgogne-Franche-Comté")},
    {SX_STR_INIT("91"), SX_STR_INIT("91, Essonne, Île-de-France")},
    {SX_STR_INIT("92"), SX_STR_INIT("92, Hauts-de-Seine, Île-de-France")},
    {SX_STR_INIT("93"), SX_STR_INIT("93, Seine-Saint-Denis, Île-de-France")},
    {SX_STR_INIT("94"), SX_STR_INIT("94, Val-de-Marne, Île-de-France")},
    {SX_STR_INIT("95"), SX_STR_INIT("95, Val-d'Oise, Île-de-France")},
    {SX_STR_INIT("971"), SX_STR_INIT("971, Guadeloupe")},
    {SX_STR_INIT("972"), SX_STR_INIT("972, Martinique")},
    {SX_STR_INIT("973"), SX_STR_INIT("973, Guyane")},
    {SX_STR_INIT("974"), SX_STR_INIT("974, La Réunion")},
    {SX_STR_INIT("975"), SX_STR_INIT("975, Saint-Pierre-et-Miquelon")},
    {SX_STR_INIT("976"), SX_STR_INIT("976, Mayotte")},
    {SX_STR_INIT("977"), SX_STR_INIT("977, Saint-Barthélemy")},
    {SX_STR_INIT("978"), SX_STR_INIT("978, Saint-Martin")},
    {SX_STR_INIT("984"), SX_STR_INIT("984, Terres australes et antarctiques françaises")},
    {SX_STR_INIT("986"), SX_STR_INIT("986, Wallis et Futuna")},
    {SX_STR_INIT("987"), SX_STR_INIT("987, Polynésie française")},
    {SX_STR_INIT("988"), SX_STR_INIT("988, Nouvelle-Calédonie")},
    {SX_STR_INIT("989"), SX_STR_INIT("989, Île de Clipperton")},
};

/* Communes with municipal arrondissements, which have codes of their own. */
static const struct {
    sx_str first, last;
    geo_ban_city city;
} CITIES[] = {
    {SX_STR_INIT("13201"), SX_STR_INIT("13216"), {SX_STR_INIT("13055"), SX_STR_INIT("Marseille")}},
    {SX_STR_INIT("69381"), SX_STR_INIT("69389"), {SX_STR_INIT("69123"), SX_STR_INIT("Lyon")}},
    {SX_STR_INIT("75101"), SX_STR_INIT("75120"), {SX_STR_INIT("75056"), SX_STR_INIT("Paris")}},
};

sx_str geo_ban_context(sx_str commune)
{
    for (size_t i = 0; i < SX_COUNT_OF(DEPARTMENTS); i++) {
        if (commune.len == 5 && sx_str_starts(commune, DEPARTMENTS[i].code))
            return DEPARTMENTS[i].context;
    }
    return sx_str_of("", 0);
}

const geo_ban_city *geo_ban_city_of(sx_str commune)
{
    for (size_t i = 0; i < SX_COUNT_OF(CITIES); i++) {
        if (commune.len == 5 && sx_str_cmp(commune, CITIES[i].first) >= 0 &&
            sx_str_cmp(commune, CITIES[i].last) <= 0)
            return &CITIES[i].city;
    }
    return NULL;
}
