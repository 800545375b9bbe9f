/* places_docs.c - see places_docs.h. Two passes: the first sorts places into documents by way of a
 * grouper, in the order of language, kind, town and name; the second makes the documents. */
#include "geocode/import/places_docs.h"

#include <string.h>

#include "geocode/import/grouper.h"
#include "geocode/import/places_parts.h"

enum {
    KEY_BYTES = 6, /* of a group, before a street's name */
    PLACES_A_LOOK = 512,
    ID_BYTES = 24,
};

/* One import of documents. */
typedef struct maker {
    geo_intake *in;
    const plc_index *ix;
    geo_grouper *groups;
    geo_postcodes postcodes;
    const geo_source *source;
    bool one_language;
    bool (*look)(void *context, uint64_t done);
    void *context;
    uint64_t since_look;
} maker;

geo_language geo_country_language(uint16_t country)
{
    static const struct {
        geo_language language;
        const char *countries; /* with a space between */
    } ROWS[] = {
        {GEO_LANGUAGE_FRENCH, "fr mc be lu re gp mq gf yt nc pf bl mf pm wf sn ci bj bf cm cd cg "
                              "ga gn ml ne tg td cf dj km mg ht"},
        {GEO_LANGUAGE_SPANISH, "es ad mx ar cl co pe ve ec bo py uy cr pa ni hn sv gt do cu pr gq"},
        {GEO_LANGUAGE_GERMAN, "de at ch li"},
    };
    char code[3];
    plc_country_text(country, code);
    for (size_t i = 0; code[0] && i < SX_COUNT_OF(ROWS); i++) {
        for (const char *at = ROWS[i].countries; *at; at += 2 + (at[2] == ' ')) {
            if (at[0] == code[0] && at[1] == code[1])
                return ROWS[i].language;
        }
    }
    return GEO_LANGUAGE_NONE;
}

static sx_status look(maker *m, uint64_t done, sx_error *err)
{
    if (++m->since_look % PLACES_A_LOOK || !m->look || m->look(m->context, done))
        return SX_OK;
    return sx_fail(err, SX_ECANCELED, "the import was stopped");
}

/* --- The first pass. */

/* What a place becomes; NULL: nothing. */
static const char *type_of(const plc_index *ix, const plc_disk_place *p)
{
    static const struct {
        uint8_t rank; /* the greatest address rank of the type */
        const char *type;
    } TYPES[] = {{4, "country"},       {9, "region"},    {12, "county"},
                 {16, "municipality"}, {25, "locality"}, {27, "street"}};
    if (p->flags & (PLC_LINKED | PLC_LONELY) || p->rank_address == 0)
        return NULL;
    for (size_t i = 0; i < SX_COUNT_OF(TYPES); i++) {
        if (p->rank_address <= TYPES[i].rank)
            return geo_places_name(ix, p).len ? TYPES[i].type : NULL;
    }
    return NULL;
}

static bool is_street(const plc_disk_place *p)
{
    return p->rank_address >= GEO_RANK_STREET;
}

static void put_u32(char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (char)(value >> (24 - 8 * i));
}

/* Places in their order; streets by town and name. */
static sx_status add_place(maker *m, uint32_t place, const plc_disk_place *p, sx_error *err)
{
    sx_buf key;
    sx_buf_init(&key, 0);
    char head[KEY_BYTES] = {
        (char)(m->one_language ? m->source->language : (unsigned)geo_country_language(p->country)),
        (char)is_street(p)};
    geo_where where;
    geo_places_where(m->ix, place, &where);
    put_u32(head + 2, is_street(p) ? where.town : place);
    sx_buf_bytes(&key, head, sizeof(head));
    if (is_street(p))
        sx_buf_str(&key, geo_places_name(m->ix, p));
    sx_status status = sx_buf_status(&key, "the places of the import", err);
    if (status == SX_OK)
        status =
            geo_grouper_add(m->groups, sx_buf_view(&key), sx_str_of(&place, sizeof(place)), err);
    if (status == SX_OK && is_street(p) && where.town != PLC_NONE)
        status = geo_postcodes_count(&m->postcodes, where.town, p->postcode, err);
    sx_buf_done(&key);
    return status;
}

static sx_status sort_places(maker *m, sx_error *err)
{
    sx_status status = SX_OK;
    for (uint32_t i = 0; status == SX_OK && i < m->ix->place_count; i++) {
        const plc_disk_place *p = m->ix->places + i;
        if (type_of(m->ix, p))
            status = add_place(m, i, p, err);
        if (status == SX_OK)
            status = look(m, i / 2, err);
    }
    geo_postcodes_sort(&m->postcodes);
    return status == SX_OK ? geo_grouper_finish(m->groups, err) : status;
}

/* --- The second pass. */

/* The place, or the pieces of a street, that become one document. */
typedef struct group {
    sx_buf key;
    uint32_t *pieces; /* the intake's arena */
    size_t count, cap;
} group;

/* A street lies at the middle of the piece that is nearest to the middle of all. */
static const plc_disk_place *middle(const maker *m, const group *g)
{
    double lon = 0, lat = 0, best = 0;
    const plc_disk_place *nearest = NULL;
    for (size_t i = 0; i < g->count; i++) {
        lon += m->ix->places[g->pieces[i]].lon_e7;
        lat += m->ix->places[g->pieces[i]].lat_e7;
    }
    lon /= (double)g->count;
    lat /= (double)g->count;
    for (size_t i = 0; i < g->count; i++) {
        const plc_disk_place *p = m->ix->places + g->pieces[i];
        double east = p->lon_e7 - lon, north = p->lat_e7 - lat;
        double distance = east * east + north * north;
        if (!nearest || distance < best) {
            nearest = p;
            best = distance;
        }
    }
    return nearest;
}

/* The object that names the document: of several pieces that of the least kind and number. */
static sx_str id_of(const maker *m, const group *g, sx_arena *arena)
{
    const plc_disk_place *least = NULL;
    for (size_t i = 0; i < g->count; i++) {
        const plc_disk_place *p = m->ix->places + g->pieces[i];
        if (!least || p->osm_kind < least->osm_kind ||
            (p->osm_kind == least->osm_kind && p->osm_id < least->osm_id))
            least = p;
    }
    return geo_places_id(arena, least->osm_kind, least->osm_id);
}

/* Importance as the BAN's: a street has its town's and more for each number. Where nobody counted the
 * inhabitants, what Nominatim takes a place of its rank for. */
static double importance_of(const maker *m, const plc_disk_place *p, const geo_where *where,
                            uint32_t numbers)
{
    double own = p->importance > 0 ? (double)p->importance : 0;
    const plc_disk_place *town = plc_place(m->ix, where->town);
    uint64_t people =
        geo_places_population(m->ix, is_street(p) ? where->town : (uint32_t)(p - m->ix->places));
    if (people)
        own = geo_importance((double)people / 3);
    else if (is_street(p) && town)
        own = town->importance > 0 ? (double)town->importance : 0;
    if (numbers)
        own += geo_importance(numbers);
    return geo_round(own < 1 ? own : 1, 5);
}

static void put_where(maker *m, geo_props *p, const plc_disk_place *at, const geo_where *where,
                      const geo_names *names, sx_str type)
{
    sx_str name = names->list[0];
    bool is_town = sx_str_eq(type, SX_STR("municipality"));
    const plc_disk_place *district = plc_place(m->ix, where->district);
    const plc_disk_place *town = plc_place(m->ix, where->town);
    char code[3];
    if (is_town)
        geo_props_text(p, SX_STR("city"), name);
    else if (town && at->rank_address > 16)
        geo_props_text(p, SX_STR("city"), geo_places_name(m->ix, town));
    if (district && at->rank_address > district->rank_address)
        geo_props_text(p, SX_STR("district"), geo_places_name(m->ix, district));
    geo_props_text(p, SX_STR("context"), geo_places_context(m->ix, at, p->arena));
    plc_country_text(at->country, code);
    geo_props_text(p, SX_STR("country"), sx_arena_copy(p->arena, sx_str_z(code)));
}

/* The postcodes of a town's streets; of anything else, those of its pieces. */
static uint32_t postcodes_of(const maker *m, const group *g, bool is_town,
                             sx_str out[GEO_POSTCODES_MAX])
{
    uint32_t count = 0;
    for (size_t i = 0; i < g->count; i++)
        geo_add_once(out, &count, GEO_POSTCODES_MAX,
                     plc_string(m->ix, m->ix->places[g->pieces[i]].postcode));
    if (is_town)
        geo_postcodes_of(&m->postcodes, m->ix, g->pieces[0], out, &count);
    return count;
}

static sx_status add_document(maker *m, const group *g, sx_error *err)
{
    sx_arena *arena = &m->in->arena;
    const plc_disk_place *at = middle(m, g);
    geo_props p = {.arena = arena};
    geo_where where;
    geo_places_where(m->ix, (uint32_t)(at - m->ix->places), &where);
    const char *type = type_of(m->ix, at);
    geo_names names = {.count = 0};
    geo_in_doc doc = {.id = id_of(m, g, arena),
                      .type = sx_str_z(type),
                      .lon = at->lon_e7 / 1e7,
                      .lat = at->lat_e7 / 1e7,
                      .flags = GEO_DOC_OF_PLACES};
    uint32_t names_max = m->in->limits.names_max;
    for (size_t i = 0; i < g->count; i++)
        geo_places_names(m->ix, m->ix->places + g->pieces[i], names_max, &names);
    sx_status status = geo_places_numbers(m->in, m->ix, g->pieces, g->count, &doc, err);
    if (status != SX_OK)
        return status;
    doc.importance = importance_of(m, at, &where, doc.number_count);
    sx_str postcodes[GEO_POSTCODES_MAX];
    uint32_t postcode_count =
        postcodes_of(m, g, sx_str_eq(doc.type, SX_STR("municipality")), postcodes);
    geo_props_text(&p, SX_STR("id"), doc.id);
    geo_props_text(&p, SX_STR("type"), doc.type);
    geo_props_texts(&p, SX_STR("name"), names.list, names.count);
    geo_props_texts(&p, SX_STR("postcode"), postcodes, postcode_count);
    put_where(m, &p, at, &where, &names, doc.type);
    geo_props_number(&p, SX_STR("lon"), doc.lon, 7);
    geo_props_number(&p, SX_STR("lat"), doc.lat, 7);
    geo_props_number(&p, SX_STR("importance"), doc.importance, 5);
    doc.properties = p.items;
    doc.property_count = p.count;
    if (p.failed || !doc.id.data)
        return sx_fail_memory(err, "a document");
    status = geo_intake_add(m->in, &doc, err);
    if (status == SX_ELIMIT ||
        status == SX_EINVAL) { /* a name of 5,000 letters: found as a place */
        m->in->left_out++;
        status = SX_OK;
    }
    return status;
}

/* A group whose language differs from the one before begins a source. */
static sx_status begin_group(maker *m, group *g, sx_str key, int *language, sx_error *err)
{
    sx_buf_clear(&g->key);
    sx_buf_str(&g->key, key);
    sx_arena_reset(&m->in->arena);
    g->pieces = NULL;
    g->count = g->cap = 0;
    if (*language == key.data[0])
        return sx_buf_status(&g->key, "a document", err);
    *language = key.data[0];
    geo_source source = *m->source;
    source.language = (unsigned)*language;
    sx_status status = geo_builder_source(m->in->builder, &source, err);
    return status == SX_OK ? sx_buf_status(&g->key, "a document", err) : status;
}

static sx_status add_piece(maker *m, group *g, sx_str value, sx_error *err)
{
    if (!sx_arena_grow(&m->in->arena, &g->pieces, &g->cap, g->count + 1, sizeof(*g->pieces)))
        return sx_fail_memory(err, "the pieces of a street");
    memcpy(&g->pieces[g->count++], value.data, sizeof(*g->pieces));
    return SX_OK;
}

static sx_status make_documents(maker *m, sx_error *err)
{
    sx_str key, value;
    group g = {.count = 0};
    int language = -1;
    uint64_t done = m->ix->place_count / 2;
    sx_buf_init(&g.key, 0);
    sx_status status = SX_OK;
    while (status == SX_OK) {
        sx_status got = geo_grouper_next(m->groups, &key, &value, err);
        if (got != SX_OK && got != SX_END)
            status = got;
        bool other = got == SX_END || !sx_str_eq(key, sx_buf_view(&g.key));
        if (status == SX_OK && g.count && other) {
            status = add_document(m, &g, err);
            done += g.count / 2;
        }
        if (got != SX_OK || status != SX_OK)
            break;
        if (other)
            status = begin_group(m, &g, key, &language, err);
        if (status == SX_OK)
            status = add_piece(m, &g, value, err);
        if (status == SX_OK)
            status = look(m, done, err);
    }
    sx_buf_done(&g.key);
    return status;
}

sx_status geo_places_documents(geo_intake *in, const plc_index *places, const geo_source *source,
                               bool one_language, bool (*look_at)(void *context, uint64_t done),
                               void *context, sx_error *err)
{
    maker m = {.in = in,
               .ix = places,
               .source = source,
               .one_language = one_language,
               .look = look_at,
               .context = context};
    geo_postcodes_init(&m.postcodes);
    m.groups = geo_grouper_new(in->folder, in->limits.rows_bytes_max, err);
    sx_status status = m.groups ? sort_places(&m, err) : SX_ENOMEM;
    if (status == SX_OK)
        status = make_documents(&m, err);
    geo_grouper_free(m.groups);
    geo_postcodes_done(&m.postcodes);
    return status;
}
