/* ranks.h - how large and how telling a place is, by its kind.
 *
 * The search rank is the extent (4 a country, 30 a house); the address rank is its level in an
 * address, 0 for what never is part of one. Both depend on class and type, of administrative
 * boundaries on the level, and in some countries on what that level means there. Source: the levels
 * that Nominatim 5.3 imports with (address-levels). Pure; any thread. */
#ifndef GEOCODE_PLACES_RANKS_H
#define GEOCODE_PLACES_RANKS_H

#include <sextant/str.h>

typedef struct plc_ranks {
    uint8_t search, address;
} plc_ranks;

/* What an object's shape has to do with its rank. */
typedef enum plc_extent { PLC_NODE, PLC_WAY, PLC_RELATION, PLC_ANY_AREA } plc_extent;

typedef struct plc_rank_query {
    sx_str class_name, type;
    plc_extent extent; /* PLC_ANY_AREA of polygons, whichever object they are */
    uint16_t country;  /* plc_country_of(); 0: none */
    uint8_t admin_level;
    bool is_capital; /* capital=yes: one rank larger */
} plc_rank_query;

plc_ranks plc_rank_of(const plc_rank_query *q);

/* Which address ranks a part of an address ("city", "suburb") may mean, and how many degrees away the
 * place may be. False: the part means no rank. */
bool plc_rank_of_part(sx_str part, uint16_t country, uint8_t *from, uint8_t *to, double *extent);

/* How far around a node of this search rank belongs to it, in metres: half the side of a box. */
double plc_node_reach_m(uint8_t rank_search);

/* A guess at the address rank of something that has none, by its size: `area` in square degrees, of
 * lines a tenth of the square of the length. */
uint8_t plc_rank_of_size(double area, uint16_t country);

#endif
