/* classify.c - step 2 of the build: where the places are, and what that makes of their ranks.
 *
 * The country comes from the built-in borders first. It decides the ranks with which countries and
 * boundaries are then arranged; where the data hold a country's own boundary, that one counts from
 * there on (arrange.c). */
#include <math.h>

#include "geocode/places/build_impl.h"
#include "geocode/places/countries.h"

enum { PIECE = 1024 };

plc_ranks bld_ranks(const bld_place *p, uint16_t country)
{
    plc_rank_query q = {.class_name = p->class_name,
                        .type = p->type,
                        .extent = p->is_area ? PLC_ANY_AREA : (plc_extent)p->kind,
                        .country = country,
                        .admin_level = p->admin_level};
    q.is_capital = sx_str_eq(plc_pairs_get(&p->extratags, SX_STR("capital")), SX_STR("yes"));
    return plc_rank_of(&q);
}

/* A box kept in floats holds the one that it stands for. */
static double outward(double value, float limit)
{
    float f = (float)value;
    bool is_inside = limit < 0 ? f > value : f < value;
    return (double)(is_inside ? nextafterf(f, limit) : f);
}

static uint32_t bits_of(double middle, double scale)
{
    float f = (float)middle;
    f = (float)(1.5 + (double)f / scale);
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

uint64_t bld_row(geo_box box, uint64_t points)
{
    enum { WITHOUT_BOX = 2 }; /* points, and lines between two, are looked at themselves */
    geo_pt low = geo_pt_of((geo_at){box.lon_min, box.lat_min});
    geo_pt high = geo_pt_of((geo_at){box.lon_max, box.lat_max});
    if (points > WITHOUT_BOX) {
        low = (geo_pt){outward(low.lon, -INFINITY), outward(low.lat, -INFINITY)};
        high = (geo_pt){outward(high.lon, INFINITY), outward(high.lat, INFINITY)};
    }
    uint32_t x = bits_of((low.lat + high.lat) / 2, 256), y = bits_of((low.lon + high.lon) / 2, 512);
    uint64_t row = 0;
    for (uint32_t side = 1u << 31; side; side >>= 1) {
        uint32_t right = (x & side) != 0, upper = (y & side) != 0;
        row = row << 2 | ((3 * right) ^ upper);
        if (!upper) {
            uint32_t turned = right ? ~x : x;
            x = right ? ~y : y;
            y = turned;
        }
    }
    return row;
}

float bld_importance(uint8_t rank_search)
{
    return (float)(0.40001 - rank_search / 75.0);
}

/* By the built-in borders; circles in which there are none are kept, since places lie together. */
static uint16_t country_at(bld_worker *w, geo_at at)
{
    for (uint32_t i = 0; i < BLD_CIRCLES; i++) {
        bld_circle *c = &w->circles[i];
        double dx = (double)at.lon_e7 - c->center.lon_e7, dy = (double)at.lat_e7 - c->center.lat_e7;
        if (dx * dx + dy * dy < (double)c->clear_e7 * c->clear_e7) {
            bld_circle hit = *c; /* asked for last, looked at first */
            *c = w->circles[0];
            w->circles[0] = hit;
            return hit.country;
        }
    }
    bld_circle *c = &w->circles[w->next_circle++ % BLD_CIRCLES];
    c->center = at;
    c->country = plc_country_around(at.lon_e7, at.lat_e7, &c->clear_e7);
    return c->country;
}

static sx_status classify_piece(bld *b, bld_worker *w, size_t from, size_t to, void *ctx,
                                sx_error *err)
{
    (void)ctx;
    (void)err;
    for (size_t i = from; i < to; i++) {
        bld_place *p = &b->places.items[i];
        p->country = p->grid_country = country_at(w, p->center);
        plc_ranks ranks = bld_ranks(p, p->country);
        p->rank_search = ranks.search;
        p->rank_address = ranks.address;
        p->importance = bld_importance(ranks.search);
        if (ranks.search < BLD_RANK_COUNTRY) /* a sea, a continent */
            p->country = p->grid_country = 0;
    }
    return SX_OK;
}

sx_status bld_classify(bld *b, sx_error *err)
{
    return bld_run(b, b->places.count, PIECE, classify_piece, NULL, err);
}

uint16_t bld_grid_country(geo_at at)
{
    return plc_country_at(at.lon_e7, at.lat_e7);
}
