/* ranks.c - the table of ranks. Rows of a class lie together: those for one country first, then those
 * for a type, last the one for any other type. */
#include "geocode/places/ranks.h"

#include <stdio.h>

#include "geocode/places/places.h"

typedef struct rank_row {
    sx_str class_name;
    const char *country; /* NULL: anywhere */
    sx_str type;         /* empty: any other */
    plc_ranks ranks;
} rank_row;

static const rank_row RANKS[] = {
    {SX_STR_INIT("boundary"), "au", SX_STR_INIT("administrative6"), {12, 0}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative10"), {18, 18}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative3"), {5, 0}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative4"), {6, 6}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative5"), {7, 0}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative6"), {8, 8}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative7"), {12, 12}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative8"), {14, 14}},
    {SX_STR_INIT("boundary"), "be", SX_STR_INIT("administrative9"), {16, 16}},
    {SX_STR_INIT("boundary"), "br", SX_STR_INIT("administrative5"), {10, 0}},
    {SX_STR_INIT("boundary"), "br", SX_STR_INIT("administrative6"), {12, 0}},
    {SX_STR_INIT("boundary"), "br", SX_STR_INIT("administrative7"), {14, 0}},
    {SX_STR_INIT("boundary"), "cz", SX_STR_INIT("administrative10"), {16, 16}},
    {SX_STR_INIT("boundary"), "cz", SX_STR_INIT("administrative5"), {12, 12}},
    {SX_STR_INIT("boundary"), "cz", SX_STR_INIT("administrative6"), {13, 0}},
    {SX_STR_INIT("boundary"), "cz", SX_STR_INIT("administrative7"), {14, 0}},
    {SX_STR_INIT("boundary"), "cz", SX_STR_INIT("administrative8"), {14, 14}},
    {SX_STR_INIT("boundary"), "cz", SX_STR_INIT("administrative9"), {15, 15}},
    {SX_STR_INIT("boundary"), "de", SX_STR_INIT("administrative5"), {10, 0}},
    {SX_STR_INIT("boundary"), "es", SX_STR_INIT("administrative10"), {22, 22}},
    {SX_STR_INIT("boundary"), "es", SX_STR_INIT("administrative5"), {10, 0}},
    {SX_STR_INIT("boundary"), "es", SX_STR_INIT("administrative6"), {10, 10}},
    {SX_STR_INIT("boundary"), "es", SX_STR_INIT("administrative7"), {12, 12}},
    {SX_STR_INIT("boundary"), "id", SX_STR_INIT("administrative10"), {24, 24}},
    {SX_STR_INIT("boundary"), "id", SX_STR_INIT("administrative5"), {12, 12}},
    {SX_STR_INIT("boundary"), "id", SX_STR_INIT("administrative6"), {14, 14}},
    {SX_STR_INIT("boundary"), "id", SX_STR_INIT("administrative7"), {16, 16}},
    {SX_STR_INIT("boundary"), "id", SX_STR_INIT("administrative8"), {20, 20}},
    {SX_STR_INIT("boundary"), "id", SX_STR_INIT("administrative9"), {22, 22}},
    {SX_STR_INIT("boundary"), "jp", SX_STR_INIT("administrative10"), {22, 22}},
    {SX_STR_INIT("boundary"), "jp", SX_STR_INIT("administrative11"), {24, 24}},
    {SX_STR_INIT("boundary"), "jp", SX_STR_INIT("administrative7"), {16, 16}},
    {SX_STR_INIT("boundary"), "jp", SX_STR_INIT("administrative8"), {18, 18}},
    {SX_STR_INIT("boundary"), "jp", SX_STR_INIT("administrative9"), {20, 20}},
    {SX_STR_INIT("boundary"), "nl", SX_STR_INIT("administrative10"), {16, 16}},
    {SX_STR_INIT("boundary"), "nl", SX_STR_INIT("administrative7"), {13, 0}},
    {SX_STR_INIT("boundary"), "nl", SX_STR_INIT("administrative8"), {14, 14}},
    {SX_STR_INIT("boundary"), "nl", SX_STR_INIT("administrative9"), {15, 0}},
    {SX_STR_INIT("boundary"), "no", SX_STR_INIT("administrative3"), {8, 8}},
    {SX_STR_INIT("boundary"), "no", SX_STR_INIT("administrative4"), {12, 12}},
    {SX_STR_INIT("boundary"), "ru", SX_STR_INIT("administrative5"), {10, 0}},
    {SX_STR_INIT("boundary"), "ru", SX_STR_INIT("administrative7"), {13, 0}},
    {SX_STR_INIT("boundary"), "ru", SX_STR_INIT("administrative8"), {14, 14}},
    {SX_STR_INIT("boundary"), "se", SX_STR_INIT("administrative3"), {8, 8}},
    {SX_STR_INIT("boundary"), "se", SX_STR_INIT("administrative4"), {12, 12}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative10"), {20, 20}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative11"), {22, 22}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative12"), {24, 24}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative2"), {4, 4}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative3"), {6, 6}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative4"), {8, 8}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative5"), {10, 10}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative6"), {12, 12}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative7"), {14, 14}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative8"), {16, 16}},
    {SX_STR_INIT("boundary"), NULL, SX_STR_INIT("administrative9"), {18, 18}},
    {SX_STR_INIT("boundary"), NULL, {"", 0}, {25, 0}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("bridleway"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("construction"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("cycleway"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("footway"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("living_street"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("motorway"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("motorway_link"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("path"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("pedestrian"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("primary"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("primary_link"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("residential"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("road"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("secondary"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("secondary_link"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("service"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("steps"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("tertiary"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("tertiary_link"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("track"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("trunk"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("trunk_link"), {27, 27}},
    {SX_STR_INIT("highway"), NULL, SX_STR_INIT("unclassified"), {26, 26}},
    {SX_STR_INIT("highway"), NULL, {"", 0}, {30, 30}},
    {SX_STR_INIT("historic"), NULL, SX_STR_INIT("neighbourhood"), {22, 0}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("allotments"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("commercial"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("farm"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("farmyard"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("industrial"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("residential"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, SX_STR_INIT("retail"), {24, 24}},
    {SX_STR_INIT("landuse"), NULL, {"", 0}, {24, 0}},
    {SX_STR_INIT("leisure"), NULL, SX_STR_INIT("common"), {25, 0}},
    {SX_STR_INIT("leisure"), NULL, SX_STR_INIT("garden"), {25, 0}},
    {SX_STR_INIT("leisure"), NULL, SX_STR_INIT("nature_reserve"), {24, 0}},
    {SX_STR_INIT("leisure"), NULL, SX_STR_INIT("park"), {24, 0}},
    {SX_STR_INIT("mountain_pass"), NULL, {"", 0}, {20, 0}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("cave_entrance"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("geyser"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("hot_spring"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("mountain_range"), {18, 0}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("peak"), {18, 0}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("rock"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("sea"), {4, 0}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("spring"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("stone"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("tree"), {30, 30}},
    {SX_STR_INIT("natural"), NULL, SX_STR_INIT("volcano"), {18, 0}},
    {SX_STR_INIT("natural"), NULL, {"", 0}, {22, 0}},
    {SX_STR_INIT("place"), "ca", SX_STR_INIT("county"), {12, 0}},
    {SX_STR_INIT("place"), "de", SX_STR_INIT("county"), {12, 0}},
    {SX_STR_INIT("place"), "de", SX_STR_INIT("region"), {10, 0}},
    {SX_STR_INIT("place"), "es", SX_STR_INIT("civil_parish"), {18, 18}},
    {SX_STR_INIT("place"), "es", SX_STR_INIT("province"), {10, 10}},
    {SX_STR_INIT("place"), "id", SX_STR_INIT("municipality"), {18, 18}},
    {SX_STR_INIT("place"), "ru", SX_STR_INIT("municipality"), {18, 18}},
    {SX_STR_INIT("place"), "sa", SX_STR_INIT("municipality"), {18, 18}},
    {SX_STR_INIT("place"), "sa", SX_STR_INIT("province"), {12, 12}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("allotments"), {22, 22}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("borough"), {18, 18}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("city"), {16, 16}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("city_block"), {25, 25}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("continent"), {2, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("country"), {4, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("county"), {12, 12}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("croft"), {20, 20}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("district"), {12, 12}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("farm"), {22, 25}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("hamlet"), {20, 20}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("house"), {30, 30}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("houses"), {28, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("island"), {17, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("islet"), {20, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("isolated_dwelling"), {22, 25}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("locality"), {25, 25}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("mountain_pass"), {25, 25}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("municipality"), {14, 14}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("neighbourhood"), {24, 24}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("province"), {8, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("quarter"), {20, 22}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("region"), {18, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("sea"), {2, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("square"), {25, 25}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("state"), {8, 0}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("subdivision"), {22, 22}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("suburb"), {19, 20}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("town"), {18, 16}},
    {SX_STR_INIT("place"), NULL, SX_STR_INIT("village"), {19, 16}},
    {SX_STR_INIT("place"), NULL, {"", 0}, {22, 0}},
    {SX_STR_INIT("water"), NULL, SX_STR_INIT("fountain"), {24, 0}},
    {SX_STR_INIT("water"), NULL, SX_STR_INIT("lake"), {20, 0}},
    {SX_STR_INIT("water"), NULL, SX_STR_INIT("pond"), {24, 0}},
    {SX_STR_INIT("water"), NULL, SX_STR_INIT("reservoir"), {20, 0}},
    {SX_STR_INIT("water"), NULL, SX_STR_INIT("wastewater"), {24, 0}},
    {SX_STR_INIT("water"), NULL, {"", 0}, {22, 0}},
    {SX_STR_INIT("waterway"), NULL, SX_STR_INIT("ditch"), {22, 0}},
    {SX_STR_INIT("waterway"), NULL, SX_STR_INIT("drain"), {22, 0}},
    {SX_STR_INIT("waterway"), NULL, SX_STR_INIT("river"), {19, 0}},
    {SX_STR_INIT("waterway"), NULL, SX_STR_INIT("stream"), {22, 0}},
    {SX_STR_INIT("waterway"), NULL, {"", 0}, {20, 0}},
};

static const plc_ranks UNKNOWN = {30, 30};

/* Countries so large or small that sizes mean something else there. */
typedef struct size_row {
    const char *countries; /* two letters each */
    double factor;
} size_row;

static const size_row SIZES[] = {
    {"caauru", 1.0 / 5},
    {"brkzcnusnegbzasaidehmltm", 1.0 / 3},
    {"boarsdmninetcdmzlyclzm", 1.0 / 2},
    {"sgwsstkn", 5},
    {"dmmtlcggscnr", 20},
};

static const rank_row *find_row(sx_str class_name, uint16_t country, sx_str type, bool by_type_only)
{
    char code[3];
    plc_country_text(country, code);
    for (size_t i = 0; i < SX_COUNT_OF(RANKS); i++) {
        const rank_row *row = &RANKS[i];
        if (!sx_str_eq(class_name, row->class_name) ||
            (row->country && memcmp(row->country, code, 3) != 0))
            continue;
        if (row->type.len ? sx_str_eq(type, row->type) : !by_type_only)
            return row;
    }
    return NULL;
}

plc_ranks plc_rank_of(const plc_rank_query *q)
{
    char text[32];
    sx_str type = q->type;
    if (q->extent == PLC_NODE && sx_str_eq(q->class_name, SX_STR("highway")))
        return UNKNOWN;
    if (q->extent != PLC_ANY_AREA && sx_str_eq(q->class_name, SX_STR("landuse")))
        return UNKNOWN;
    if (sx_str_eq(q->class_name, SX_STR("boundary")) &&
        sx_str_eq(q->type, SX_STR("administrative"))) {
        (void)snprintf(text, sizeof text, "administrative%u", q->admin_level);
        type = sx_str_z(text);
    }
    const rank_row *row = find_row(q->class_name, q->country, type, false);
    plc_ranks ranks = row ? row->ranks : UNKNOWN;
    /* A river is worked on before the ways it consists of. */
    if (q->extent == PLC_RELATION && sx_str_eq(q->class_name, SX_STR("waterway")))
        ranks.search--;
    if (q->is_capital)
        ranks.search--;
    return ranks;
}

bool plc_rank_of_part(sx_str part, uint16_t country, uint8_t *from, uint8_t *to, double *extent)
{
    static const struct {
        uint8_t most, from;
    } BANDS[] = {{4, 4}, {9, 5}, {12, 10}, {16, 13}, {21, 17}, {24, 22}, {255, 25}};
    static const struct {
        uint8_t most;
        double degrees;
    } EXTENTS[] = {{4, 5.0}, {8, 1.8}, {12, 0.6}, {17, 0.16}, {18, 0.08}, {19, 0.04}, {255, 0.02}};

    const rank_row *row = find_row(SX_STR("place"), country, part, true);
    if (!row || row->ranks.address == 0)
        return false;
    size_t i = 0, k = 0;
    while (row->ranks.address > BANDS[i].most)
        i++;
    while (row->ranks.search > EXTENTS[k].most)
        k++;
    *from = BANDS[i].from;
    *to = BANDS[i].most == 255 ? 25 : BANDS[i].most;
    *extent = EXTENTS[k].degrees;
    return true;
}

double plc_node_reach_m(uint8_t rank_search)
{
    return rank_search <= 16   ? 15000
           : rank_search <= 18 ? 4000
           : rank_search <= 19 ? 2000
           : rank_search <= 20 ? 1000
                               : 500;
}

uint8_t plc_rank_of_size(double area, uint16_t country)
{
    static const struct {
        double least;
        uint8_t rank;
    } STEPS[] = {{1, 7}, {0.1, 9}, {0.01, 13}, {0.001, 17}, {0.0001, 19}, {0.000005, 21}};
    char code[3];
    plc_country_text(country, code);
    for (size_t i = 0; country && i < SX_COUNT_OF(SIZES); i++) {
        for (const char *c = SIZES[i].countries; *c; c += 2) {
            if (memcmp(c, code, 2) == 0)
                area *= SIZES[i].factor;
        }
    }
    for (size_t i = 0; i < SX_COUNT_OF(STEPS); i++) {
        if (area > STEPS[i].least)
            return STEPS[i].rank;
    }
    return 23;
}
