/* search_impl.h - what the files of the search share: plans, what is found, and the searcher.
 *
 * A query's assignments become plans (search_build.c): which words must be in a place's name and address,
 * and what each way of having them costs. Plans are run from the cheapest on (search_run.c and
 * search_kinds.c) until nothing better can come; what they find is ranked and cut (search_rank.c). */
#ifndef GEOCODE_NOMINATIM_SEARCH_IMPL_H
#define GEOCODE_NOMINATIM_SEARCH_IMPL_H

#include "geocode/nominatim/query.h"
#include "geocode/nominatim/search.h"

enum {
    NOM_PLANS_MAX = 50, /* that are run */
    NOM_PLANS_MADE_MAX = 8192,
    NOM_RANKS_MAX = 24,    /* ways of one name or address part */
    NOM_FOUND_MAX = 20000, /* results of all plans together */
    NOM_CANDIDATES_MAX = 1000,
    NOM_CANDIDATES_QUALIFIED_MAX = 5000,
    NOM_CANDIDATES_ADDRESS_MAX = 10000,
    NOM_NEAR_MAX = 5, /* places around which a category is searched */
};

/* A choice among several, with its penalty. */
typedef struct nom_weighted {
    sx_str text;             /* house number, postcode */
    sx_str class_name, type; /* category */
    uint16_t country;
    double penalty;
} nom_weighted;

typedef struct nom_choices {
    nom_weighted *items;
    uint32_t count;
} nom_choices;

typedef struct nom_tokens {
    uint32_t *items;
    uint32_t count;
} nom_tokens;

/* A way of having a part: all of these tokens. */
typedef struct nom_rank {
    double penalty;
    nom_tokens tokens;
} nom_rank;

typedef struct nom_ranking {
    bool address; /* tokens are looked for in the address, else in the name */
    double otherwise;
    nom_rank *ranks; /* the first that fits counts */
    uint32_t count;
} nom_ranking;

typedef enum nom_plan_kind {
    NOM_PLAN_COUNTRY,
    NOM_PLAN_PLACE,
    NOM_PLAN_ADDRESS, /* with a house number */
    NOM_PLAN_POSTCODE,
    NOM_PLAN_POI, /* a category in an area */
} nom_plan_kind;

typedef struct nom_plan {
    nom_plan_kind kind;
    double penalty;
    uint32_t order; /* in which it was made */
    nom_choices countries, numbers, postcodes, qualifiers;
    nom_choices near; /* not empty: categories near what the plan finds, which costs near_penalty */
    double near_penalty;
    nom_tokens name_all, name_any, address_all, address_any;
    nom_ranking *rankings;
    uint32_t ranking_count;
    bool has_address;
} nom_plan;

/* What is asked for besides the words; a country found changes it. */
typedef struct nom_details {
    const nom_search_query *query;
    uint8_t rank_min, rank_max;
    uint32_t layers; /* 0: any */
    uint32_t limit;  /* of one plan, and before duplicates are dropped */
    bool has_viewbox, bounded;
    geo_box viewbox, viewbox2;
    bool has_near;
    geo_pt near;
    double near_radius;      /* below 0: none */
    sx_str class_name, type; /* a category that is asked for; empty: any */
} nom_details;

typedef struct nom_found {
    nom_hit hit;
    double penalty;    /* how much was assumed: Nominatim's accuracy */
    double importance; /* below 0: the distance to what was asked for; 0: by rank */
    uint8_t rank_search, rank_address;
    uint16_t country;
    double box_area;
    uint64_t order; /* of equal categories */
} nom_found;

static inline double nom_found_ranking(const nom_found *f)
{
    double importance = f->importance;
    if (importance >= 0 && importance < 1e-12)
        importance = nom_rank_importance(f->rank_search);
    return f->penalty - importance;
}

typedef struct nom_founds {
    nom_found *items;
    size_t count, cap;
} nom_founds;

/* Places that bear an address token, as far as others have them in their addresses. */
typedef struct nom_bearers {
    uint32_t token;
    const uint32_t *places;
    uint32_t count;
    uint32_t last_parent; /* what was asked last, and the answer */
    bool last_answer;
} nom_bearers;

enum { NOM_BEARERS_MAX = 256, NOM_PLAIN_SLOTS = 2048, NOM_PLAIN_BYTES = 240 };

/* The name and address of a place in their normal form, kept from one query to the next: results of one
 * thread's queries are much the same. */
typedef struct nom_plain {
    uint64_t generation; /* of the words opened; 0: the slot is empty */
    uint32_t place;
    uint16_t len;
    char text[NOM_PLAIN_BYTES];
} nom_plain;

struct nom_searcher {
    sx_arena arena; /* of one query */
    nom_ask ask;
    nom_bearers bearers[NOM_BEARERS_MAX];
    uint32_t bearer_count;
    nom_plain plain[NOM_PLAIN_SLOTS];
};

/* One search under way. */
typedef struct nom_run {
    const nom_index *ix;
    const nom_words *w;
    nom_searcher *s;
    nom_details details;
    sx_error *err;
    bool failed; /* no memory */
} nom_run;

/* --- search_build.c: plans of a query, best first; at most NOM_PLANS_MAX. */
sx_status nom_plans_build(nom_run *run, nom_plan **plans, uint32_t *count);

/* --- search_run.c: finds what a plan says. */
void nom_plan_run(nom_run *run, const nom_plan *plan, nom_founds *out);
void nom_run_places(nom_run *run, const nom_plan *plan, nom_founds *out);
void nom_run_addresses(nom_run *run, const nom_plan *plan, nom_founds *out);

/* The rows that hold the plan's words, by importance, at most `most`. */
typedef struct nom_candidate {
    uint32_t place;
    double penalty;
} nom_candidate;
nom_candidate *nom_candidates(nom_run *run, const nom_plan *plan, uint32_t most, uint32_t *count);

/* Whether a place's address holds a token. */
bool nom_address_has(nom_run *run, uint32_t place, uint32_t token);

/* --- search_kinds.c: countries, postcodes, categories. */
void nom_run_countries(nom_run *run, const nom_plan *plan, nom_founds *out);
void nom_run_postcodes(nom_run *run, const nom_plan *plan, nom_founds *out);
void nom_run_pois(nom_run *run, const nom_plan *plan, nom_founds *out);
void nom_run_near(nom_run *run, const nom_plan *plan, nom_founds *base, nom_founds *out);

/* --- search_filter.c: conditions on places. */
bool nom_in_countries(const nom_choices *countries, uint16_t country);
bool nom_has_category(const nom_run *run, const nom_choices *categories, const plc_disk_place *p);
bool nom_in_layers(const nom_run *run, const plc_disk_place *p, uint32_t place);
bool nom_is_excluded(const nom_run *run, nom_source source, uint32_t id);
/* `p` may be NULL: what has a box only. */
bool nom_in_area(const nom_run *run, const plc_disk_place *p, geo_box box);
double nom_viewbox_penalty(const nom_run *run, geo_box box);
double nom_bias_penalty(const nom_run *run, geo_at at);
double nom_degrees_between(geo_at a, geo_pt b);
geo_box nom_place_box(const plc_disk_place *p);
static inline geo_at nom_place_at(const plc_disk_place *p)
{
    return (geo_at){p->lon_e7, p->lat_e7};
}
double nom_importance_of(const plc_disk_place *p);
uint64_t nom_order_of(const plc_disk_place *p);
void nom_found_put(nom_run *run, nom_founds *out, nom_found found);
nom_found nom_found_place(const nom_run *run, uint32_t place, double penalty);

/* --- search_rank.c: sorts and cuts what was found. */
void nom_rank_founds(nom_run *run, const nom_locale *locale, nom_founds *founds, bool by_words);
void nom_drop_far(nom_founds *founds);
void nom_drop_duplicates(nom_run *run, const nom_locale *locale, nom_founds *founds, uint32_t most);

#endif
