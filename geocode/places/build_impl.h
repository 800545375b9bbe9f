/* build_impl.h - what the steps of the build of places share. Internal to geocode/places.
 *
 * A bld_place is a place while it is made: texts are the data set's, lists and its stored shape lie in
 * the arena of the worker that read it (in memory, or in a file: room.c). Places have the order in which they
 * were gathered (nodes, ways, relations, each by id); their numbers of the file come last. */
#ifndef GEOCODE_PLACES_BUILD_IMPL_H
#define GEOCODE_PLACES_BUILD_IMPL_H

#include <pthread.h>

#include "geocode/geometry/measure.h"
#include "geocode/geometry/rings.h"
#include "geocode/places/around.h"
#include "geocode/places/build.h"
#include "geocode/places/ranks.h"
#include "geocode/geometry/relate.h"
#include "geocode/geometry/rtree.h"
#include "geocode/index/spool.h"
#include "geocode/places/style.h"
#include "geocode/words/words.h"

/* Stored bytes of a shape, in a worker's arena. */
typedef struct bld_shape {
    const char *data;
    uint32_t bytes;
    uint8_t kind; /* geo_shape_kind */
} bld_shape;

/* A line of an address. */
typedef struct bld_line {
    uint32_t place;
    uint8_t rank_address;
    bool is_address, from_area;
    double distance; /* degrees */
} bld_line;

/* Hashes of names, sorted. */
typedef struct bld_hashes {
    uint64_t *items;
    uint32_t count;
} bld_hashes;

/* Ranks that mean something. */
enum {
    BLD_RANK_COUNTRY = 4,
    BLD_RANK_AREA_MAX = 25,
    BLD_RANK_STREET = 26, /* and 27 */
    BLD_RANK_CHILD = 28,  /* from here on a place hangs on a street */
    BLD_RANK_POI = 30,
};

typedef struct bld_place {
    int64_t osm_id;
    uint64_t row; /* where it stands in Nominatim's tables: see bld_row() */
    sx_str class_name, type;
    plc_pairs names, address, extratags;
    plc_pairs tagged; /* the address as it is in the data */
    bld_shape shape;
    geo_box box, reach; /* of the shape; of what a node reaches */
    geo_at center;
    double size;     /* square degrees of areas, degrees of lines */
    uint32_t object; /* rank in the data set: osm_dataset_at() */
    uint32_t parent, linked;
    uint32_t number; /* in the file */
    uint32_t line_count;
    bld_line *lines; /* of its address; a worker's arena */
    sx_str postcode, housenumber;
    sx_str own_postcode;  /* as its country writes it; empty: none, or no good one */
    sx_str area_postcode; /* what it gives to those whose address it is part of */
    bld_hashes words;     /* of its names */
    bld_hashes forms;     /* of streets: all ways to write them */
    bld_hashes unknown;   /* of parts of its own address that no place was found for */
    geo_area *area;       /* prepared; of areas that may be part of an address */
    plc_around around;    /* of nodes that may be: how far they reach */
    float importance;
    uint16_t country, grid_country, partition;
    uint8_t kind;         /* osm_kind */
    uint8_t base_address; /* the address rank that it has by its kind */
    uint8_t admin_level;
    uint8_t rank_search, rank_address;
    bool is_area, is_line;
    bool is_location; /* has been worked on, and may be part of others' addresses */
    bool is_done;     /* has been worked on */
    bool is_postcode; /* the area of a postcode: only an object, in no address */
} bld_place;

/* A postcode where there is no place: of an object that is none, or of a boundary=postal_code. */
typedef struct bld_postcode_at {
    sx_str postcode;
    geo_pt center;
    int64_t osm_id;
    bld_shape shape; /* of an area */
    geo_box box;
    uint16_t country;
    bool is_area;
} bld_postcode_at;

/* A way along which numbers are to be filled in. */
typedef struct bld_interpolation {
    int64_t osm_id;
    sx_str type;
    plc_pairs address;
    const int64_t *nodes; /* the data set's, or the arena's */
    uint32_t node_count;
    bld_shape shape;
} bld_interpolation;

/* A piece of it, with numbers. */
typedef struct bld_piece {
    int64_t osm_id;
    plc_pairs address;
    bld_shape shape;
    geo_box box;
    sx_str postcode;
    uint32_t parent;
    int32_t first, last, step;
    uint16_t country;
} bld_piece;

/* A postcode as a place. */
typedef struct bld_postcode {
    sx_str postcode;
    int64_t osm_id; /* of an area */
    geo_pt center;
    plc_around around; /* of one without an area */
    geo_box box;
    bld_shape shape; /* of an area */
    uint32_t parent;
    uint32_t place; /* of an area: its place */
    uint16_t country;
    uint8_t rank_search;
    bool is_area;
} bld_postcode;

typedef struct bld_entrance {
    int64_t node;
    sx_str type;
    plc_pairs tags;
    geo_at at;
} bld_entrance;

/* A member of an associatedStreet relation. */
typedef struct bld_street_member {
    int64_t relation, ref;
    uint8_t kind; /* osm_kind */
    bool is_street;
} bld_street_member;

/* A growing list on the heap. */
#define BLD_LIST(type)                                                                             \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, cap;                                                                         \
    }

/* A text of an address and the hash of what it means. */
typedef struct bld_text_hash {
    sx_str text;
    unsigned use;  /* 0: the row is free */
    uint64_t hash; /* 0: nothing is left of the text */
} bld_text_hash;

enum { BLD_TEXTS = 4096, BLD_CIRCLES = 32 };

/* Around this point there is one country alone. */
typedef struct bld_circle {
    geo_at center;
    int32_t clear_e7;
    uint16_t country;
} bld_circle;

typedef struct bld_worker {
    sx_arena arena;   /* lives as long as the build */
    sx_arena scratch; /* reset for every object */
    sx_buf shape;     /* scratch: one while it is encoded */
    wrd_analyzer *words;
    uint64_t *hashes; /* scratch */
    size_t hash_cap;
    bld_text_hash *texts;
    bld_circle circles[BLD_CIRCLES];
    uint32_t next_circle;
} bld_worker;

/* Places by a hash, newest first. */
typedef struct bld_chain_link {
    uint64_t hash;
    uint32_t place, next; /* index of the next link + 1; 0: the last */
} bld_chain_link;

typedef struct bld_chains {
    uint32_t *slots;
    size_t mask, used;
    bld_chain_link *links;
    size_t count, cap;
} bld_chains;

/* A tree over some places. */
typedef struct bld_tree {
    sx_buf bytes;
    geo_rtree tree;
} bld_tree;

/* Where places and what belongs to them lie beyond the memory given: see room.c. */
typedef struct bld_room {
    geo_temp temp; /* folder NULL: all stays in memory */
    size_t memory_max;
    pthread_mutex_t lock; /* of the extents */
    geo_temp_file lists, places;
    void **extents; /* mapped parts of `lists` */
    size_t extent_count, extent_cap;
    void *places_map; /* NULL: they are on the heap */
} bld_room;

typedef struct bld {
    const osm_dataset *data;
    plc_build_options options;
    plc_writer *writer;
    plc_report *report;
    uint32_t worker_count;
    bld_worker *workers;
    bld_room room;
    BLD_LIST(bld_place) places; /* bld_places_grow() */
    BLD_LIST(bld_postcode_at) postcodes_at;
    BLD_LIST(bld_interpolation) interpolations;
    BLD_LIST(bld_entrance) entrances; /* by node */
    BLD_LIST(bld_street_member) street_members;
    BLD_LIST(bld_postcode) postcodes;
    BLD_LIST(bld_piece) pieces;
    bld_tree locations; /* places that may be part of addresses, as far as they reach */
    bld_tree holders;   /* areas of address rank 1 to 25 */
    bld_tree nodes;     /* place nodes below rank 26 */
    bld_tree streets;   /* named highways of rank 26 and 27 */
    bld_tree buildings; /* areas of rank 30 with an address */
    bld_tree lanes;     /* ways of rank 26, named or not */
    bld_tree postcodes_tree;
    bld_chains location_names; /* full words of locations */
    bld_chains street_names;   /* forms of streets */
    uint32_t *countries;       /* areas of rank 4 and less */
    size_t country_count, country_cap;
    uint32_t *order; /* places by number */
} bld;

/* A job gets [from, to) of the items; any worker, any order. */
typedef sx_status bld_job(bld *b, bld_worker *w, size_t from, size_t to, void *ctx, sx_error *err);

/* Runs a job over `count` items in pieces of `piece`, on all workers. The first error in the order of
 * pieces is returned. */
sx_status bld_run(bld *b, size_t count, size_t piece, bld_job *job, void *ctx, sx_error *err);

static inline sx_str bld_shape_bytes(const bld_shape *s)
{
    return sx_str_of(s->data, s->bytes);
}

/* room.c */
sx_status bld_room_init(bld_room *r, const char *folder, size_t memory_max, sx_error *err);
void bld_room_done(bld_room *r);
/* Before a piece: gives the worker's arena space of the file if its share of the heap is used up. */
sx_status bld_room_for(bld *b, bld_worker *w, sx_error *err);
/* Makes room for `need` places, which may move. */
sx_status bld_places_grow(bld *b, size_t need, sx_error *err);

/* gather.c: encodes a shape into the worker's arena. SX_ELIMIT beyond 4 GB. */
sx_status bld_keep_shape(bld_worker *w, const geo_shape *shape, bld_shape *out, sx_error *err);

/* names.c */
typedef enum bld_with_forms { BLD_WITHOUT_FORMS, BLD_WITH_FORMS } bld_with_forms;
sx_status bld_chains_put(bld_chains *c, uint64_t hash, uint32_t place, sx_error *err);
const bld_chain_link *bld_chains_first(const bld_chains *c, uint64_t hash);
static inline const bld_chain_link *bld_chains_next(const bld_chains *c, const bld_chain_link *l)
{
    return l->next ? &c->links[l->next - 1] : NULL;
}
void bld_chains_done(bld_chains *c);
bool bld_hashes_hold(const bld_hashes *h, uint64_t hash);
/* Fills p->words, and with forms p->forms. */
sx_status bld_name_words(bld_worker *w, bld_place *p, bld_with_forms forms, sx_error *err);
/* What addr:street is looked up by among forms, any other part among words; 0: nothing. */
sx_status bld_street_hash(bld_worker *w, sx_str street, uint64_t *hash, sx_error *err);
sx_status bld_part_hash(bld_worker *w, sx_str value, uint64_t *hash, sx_error *err);

/* Step 1. */
sx_status bld_gather(bld *b, sx_error *err);
/* Step 2. */
sx_status bld_classify(bld *b, sx_error *err);

/* Nominatim's rows are sorted by their shapes when they are imported, and whatever has no order of its
 * own comes in that of the rows: equally near streets, equally good results. Rows rise with this number:
 * the place of the box's middle on PostGIS's Hilbert curve (over the bits of floats between 1 and 2). */
uint64_t bld_row(geo_box box, uint64_t points);
/* The ranks that the place has by its kind, in a country. */
plc_ranks bld_ranks(const bld_place *p, uint16_t country);
/* How well known a place is taken to be, by its extent alone. */
float bld_importance(uint8_t rank_search);

/* The country by the built-in borders alone. */
uint16_t bld_grid_country(geo_at at);

/* locate.c */
typedef bool bld_box_of(const bld_place *p, geo_box *box); /* false: not in the tree */
sx_status bld_tree_build(bld *b, bld_tree *t, bld_box_of *box_of, sx_error *err);
/* Places whose boxes meet `box`, rising, in the worker's scratch arena. */
sx_status bld_find(bld_worker *w, const bld_tree *t, geo_box box, uint32_t **ids, uint32_t *count,
                   sx_error *err);
sx_status bld_decode(const bld_place *p, sx_arena *arena, geo_shape *out, sx_error *err);
/* Inside or on the edge. */
bool bld_area_holds(const bld_place *area, geo_at at);
/* The places of an object: [*first, *first + what is returned). */
size_t bld_find_object(const bld *b, osm_kind kind, int64_t id, size_t *first);
/* By the boundaries of the data, else `built_in`: what the built-in ones say. */
uint16_t bld_country_of(const bld *b, geo_at at, uint16_t built_in);

/* link.c */
/* The node that the area takes over; PLC_NONE: none. */
sx_status bld_find_linked(bld *b, bld_worker *w, const bld_place *area, uint32_t *out,
                          sx_error *err);
sx_status bld_take_names(bld_worker *w, bld_place *area, const bld_place *node, sx_error *err);
sx_status bld_take_tags(bld_worker *w, bld_place *area, const bld_place *node, sx_error *err);
/* In a country of one language, `name` is also the name in that language, and the other way round. */
sx_status bld_add_default_name(bld_worker *w, bld_place *p, sx_error *err);
/* Ways that are worked on before their river have an address of their own all the same. */
typedef enum bld_river_ways { BLD_LATER_WAYS, BLD_ALL_WAYS } bld_river_ways;
void bld_link_rivers(bld *b, bld_river_ways which);

/* lines.c */
typedef enum bld_whole { BLD_CENTER_ONLY, BLD_WHOLE_SHAPE } bld_whole;
/* Fills the lines of a place, its parent (the last of them) and the postcode that they give. */
sx_status bld_address_lines(bld *b, bld_worker *w, bld_place *p, unsigned max_rank, bld_whole whole,
                            sx_str *postcode, sx_error *err);
/* Lines of a house for those parts of its address that its street does not have. */
sx_status bld_extra_lines(bld *b, bld_worker *w, bld_place *p, sx_error *err);
/* A part that names an area: not a number, a street, a postcode. */
bool bld_is_address_part(sx_str key);

/* Step 3. */
sx_status bld_arrange(bld *b, sx_error *err);
/* In which square degree's turn a place is worked on. */
uint32_t bld_sector(const bld_place *p);
bld_whole bld_address_scope(const bld_place *p, unsigned *max_rank);
/* Words, lines, postcode and names of a place that has no street as its parent. */
sx_status bld_finish_place(bld *b, bld_worker *w, bld_place *p, bld_with_forms forms,
                           sx_error *err);

/* Step 4. */
sx_status bld_postcodes(bld *b, sx_error *err);
sx_status bld_postcode_parents(bld *b, sx_error *err);
sx_status bld_number_and_postcode(bld_worker *w, bld_place *p, sx_error *err);
/* The postcode of a country that is nearest and reaches all of the shape; empty if there is none. */
sx_status bld_postcode_near(bld *b, bld_worker *w, uint16_t country, const geo_shape *shape,
                            geo_box box, sx_str *out, sx_error *err);
sx_status bld_nearest_postcode(bld *b, bld_worker *w, bld_place *p, sx_error *err);

/* Step 5. */
sx_status bld_attach(bld *b, sx_error *err);
sx_status bld_find_street(bld *b, bld_worker *w, const plc_pairs *address, uint16_t partition,
                          geo_at center, uint32_t *out, sx_error *err);
sx_status bld_interpolate(bld *b, sx_error *err);

/* Step 6. */
sx_status bld_emit(bld *b, sx_error *err);
uint32_t bld_number_of(const bld *b, uint32_t at);
sx_status bld_put_tags(bld *b, const plc_pairs *names, const plc_pairs *address,
                       const plc_pairs *extratags, uint64_t *at, sx_error *err);
sx_status bld_put_shape(bld *b, const bld_shape *shape, uint64_t *at, sx_error *err);
sx_status bld_add_postcode_places(bld *b, sx_error *err);
sx_status bld_emit_more(bld *b, sx_error *err);

#endif
