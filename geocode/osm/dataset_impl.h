/* dataset_impl.h - how a data set holds its objects: between dataset.c, which gives them out, merge.c,
 * which makes them, and write.c.
 *
 * A record, aligned to 8, in a chunk of the store:
 *
 *     record      40 bytes
 *     refs        ways: ref_count of int64_t, used in place
 *     members     relations: ref_count of `packed_member`
 *     lengths     tag_count pairs of uint16_t: bytes of key and value
 *     texts       keys and values in turn, then the members' roles */
#ifndef GEOCODE_OSM_DATASET_IMPL_H
#define GEOCODE_OSM_DATASET_IMPL_H

#include "geocode/index/sorter.h"
#include "geocode/osm/dataset.h"
#include "geocode/osm/locations.h"
#include "geocode/osm/store.h"

typedef struct osm_record {
    uint64_t order; /* file << 48 | block: later ones are newer when versions do not tell */
    int64_t changed_ms;
    uint32_t version;
    uint32_t part_count; /* refs or members */
    int32_t lon_e7, lat_e7;
    uint16_t tag_count;
    uint8_t kind;
    bool deleted;
    uint32_t spare;
} osm_record;

_Static_assert(sizeof(osm_record) == 40, "a record keeps what follows aligned");

typedef struct osm_packed_member {
    int64_t ref;
    uint32_t kind, role_len;
} osm_packed_member;

/* One kind's objects by id. An entry is {id with its sign turned, address}, so that it sorts as
 * unsigned. */
typedef struct osm_table {
    geo_sort_record *entries;
    size_t count, cap;
} osm_table;

struct osm_dataset {
    osm_dataset_options options;
    geo_temp temp;
    osm_store store;
    osm_locations *locations;
    osm_table tables[OSM_KINDS];
    osm_report report;
    osm_header header;
};

static inline uint64_t osm_key_of(int64_t id)
{
    return (uint64_t)id ^ UINT64_C(1) << 63;
}

static inline int64_t osm_id_of(uint64_t key)
{
    return (int64_t)(key ^ UINT64_C(1) << 63);
}

static inline const osm_record *osm_record_at(const osm_dataset *d, osm_address at)
{
    return (const osm_record *)(const void *)osm_store_at(&d->store, at);
}

/* dataset.c: the rank of the first object whose id is not below `id`. */
size_t osm_dataset_rank_from(const osm_dataset *d, osm_kind kind, int64_t id);

/* merge.c: reads all files and leaves the set sorted, each object once. */
sx_status osm_dataset_fill(osm_dataset *d, const char *const *paths, size_t count, sx_error *err);

#endif
