/* interpolate.c - where a house number would be that nobody has recorded. See reading.h. */
#include "geocode/search/reading.h"

static const double APART_MAX_M = 1000; /* neighbours farther apart tell nothing */

/* A house number as a place on a line: 12, 12b, 12t ... before 13. */
static double place_of(uint32_t number, sx_str suffix)
{
    if (suffix.len == 0)
        return number;
    char c = suffix.data[0];
    double letter = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' : 25;
    return number + (letter + 1) / 30;
}

typedef struct neighbour {
    bool known;
    double place;
    int32_t lon_e7, lat_e7;
} neighbour;

enum { LOOKS_MAX = 24 }; /* entries looked at on each side: beyond it there is no neighbour */

/* The first entry that lies above `wanted`; they rise. */
static uint32_t first_above(const geo_index *ix, uint32_t doc, double wanted)
{
    uint32_t low = 0, high = ix->docs[doc].number_count;
    geo_housenumber n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (!geo_number_at(ix, doc, middle, &n))
            return 0;
        if (n.number == 0 || place_of(n.number, n.suffix) <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The nearest below (0) and above (1), of the number's own side and of either. */
static void find_neighbours(const geo_index *ix, uint32_t doc, const geo_number *number,
                            neighbour own[2], neighbour any[2])
{
    uint32_t count = ix->docs[doc].number_count;
    uint32_t above = first_above(ix, doc, place_of(number->number, number->suffix));
    for (unsigned side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < LOOKS_MAX && !own[side].known; i++) {
            geo_housenumber n;
            uint32_t at = side ? above + i : above - 1 - i; /* below the first: beyond all */
            if (at >= count || !geo_number_at(ix, doc, at, &n) || n.number == 0)
                break;
            neighbour here = {true, place_of(n.number, n.suffix), n.lon_e7, n.lat_e7};
            if (!any[side].known)
                any[side] = here;
            if (n.number % 2 == number->number % 2)
                own[side] = here;
        }
    }
}

static bool between(const neighbour n[2], double wanted, int32_t *lon_e7, int32_t *lat_e7)
{
    if (!n[0].known || !n[1].known ||
        geo_distance_m(n[0].lat_e7 / 1e7, n[0].lon_e7 / 1e7, n[1].lat_e7 / 1e7, n[1].lon_e7 / 1e7) >
            APART_MAX_M)
        return false;
    double gap = n[1].place - n[0].place, share = gap > 0 ? (wanted - n[0].place) / gap : 0;
    *lon_e7 = n[0].lon_e7 + (int32_t)(share * ((double)n[1].lon_e7 - n[0].lon_e7));
    *lat_e7 = n[0].lat_e7 + (int32_t)(share * ((double)n[1].lat_e7 - n[0].lat_e7));
    return true;
}

bool geo_number_between(const geo_index *ix, uint32_t doc, const geo_number *number,
                        int32_t *lon_e7, int32_t *lat_e7)
{
    neighbour own[2] = {{0}}, any[2] = {{0}};
    double wanted = place_of(number->number, number->suffix);
    if (doc >= ix->doc_count || number->number == 0)
        return false;
    find_neighbours(ix, doc, number, own, any);
    return between(own, wanted, lon_e7, lat_e7) || between(any, wanted, lon_e7, lat_e7);
}
