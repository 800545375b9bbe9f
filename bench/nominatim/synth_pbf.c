/* synth_pbf.c - writes an OpenStreetMap PBF file of any size, for measuring imports at scale.
 *
 *   synth_pbf NODES FILE [SEED]
 *
 * A country of square municipalities, each with the same number of objects: a grid of streets, buildings
 * (half of them with an address), address nodes, interpolation lines, places of interest, tracks, woods as
 * multipolygons, and its boundary, which it shares with its neighbours; a hundred of them make a county.
 * Nodes, ways and relations stand as 100 : 10 : 0.12, as in OpenStreetMap, most nodes have no tag, and names
 * repeat between municipalities. It lies inside Germany. Ids ascend, as planet files have them; nothing is
 * kept in memory but a block. The same arguments give the same bytes.
 *
 * Format: https://wiki.openstreetmap.org/wiki/PBF_Format. Prints nodes, ways, relations and bytes. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include <sextant/buf.h>
#include <sextant/number.h>
#include <sextant/protobuf.h>

enum {
    NODES_A_BLOCK = 8000,
    OBJECTS_A_BLOCK = 4000,
    BLOCK_STRINGS_MAX = 1 << 15,
    HASH_SLOTS = 1 << 16
};
enum { BLOCK_BYTES_MAX = 30 << 20, STAMP = 1600000000, CHANGESET = 90000000 };

/* What one municipality has. */
enum {
    EDGE = 10, /* nodes of its southern side, the first of which is its corner; so of the western */
    STREETS = 20, /* each way */
    CROSSINGS = STREETS * STREETS,
    BUILDINGS = 900,
    ADDRESSES = 500,
    POIS = 150,
    LINES = 20,  /* interpolation lines, of two nodes each */
    TRACKS = 20, /* the first half are rings, the outlines of woods */
    TRACK_NODES = 250,
    WOODS = TRACKS / 2,
};

/* Node ids in a municipality, in this order. */
enum {
    NODE_SOUTH = 0,
    NODE_WEST = NODE_SOUTH + EDGE,
    NODE_PLACE = NODE_WEST + EDGE - 1,
    NODE_CROSSING,
    NODE_BUILDING = NODE_CROSSING + CROSSINGS,
    NODE_ADDRESS = NODE_BUILDING + 4 * BUILDINGS,
    NODE_POI = NODE_ADDRESS + ADDRESSES,
    NODE_LINE = NODE_POI + POIS,
    NODE_TRACK = NODE_LINE + 2 * LINES,
    NODES = NODE_TRACK + TRACKS * TRACK_NODES,
};
enum {
    WAY_SOUTH,
    WAY_WEST,
    WAY_STREET,
    WAY_BUILDING = WAY_STREET + 2 * STREETS,
    WAY_LINE = WAY_BUILDING + BUILDINGS,
    WAY_TRACK = WAY_LINE + LINES,
    WAYS = WAY_TRACK + TRACKS,
};
enum { COUNTY_SIDE = 10, CELL = 400000 /* 0.04 degrees */ };
static const int64_t SOUTH = 478000000, WEST = 80000000;

static const char *const FIRST[] = {"Linden", "Birken",   "Buchen", "Kirch",  "Bahnhof",
                                    "Schul",  "Markt",    "Mühl",   "Berg",   "Tal",
                                    "Wiesen", "Garten",   "Rosen",  "Ahorn",  "Eichen",
                                    "Tannen", "Schiller", "Goethe", "Mozart", "Bach"};
static const char *const LAST[] = {"straße", "weg",   "gasse", "allee",
                                   "ring",   "platz", "steig", "damm"};
static const char *const TOWN_FIRST[] = {"Neu",   "Alt",   "Ober", "Unter", "Groß",
                                         "Klein", "Hohen", "Wald", "Stein", "Gold"};
static const char *const TOWN_LAST[] = {"hausen", "dorf",  "heim", "bach",  "stadt",
                                        "feld",   "brunn", "burg", "ingen", "au"};
static const char *const POI_KEYS[] = {"amenity", "amenity", "shop", "tourism", "leisure"};
static const char *const POI_TYPES[] = {"restaurant", "school", "supermarket", "hotel",
                                        "playground"};
static const char *const POI_NAMES[] = {"Zur Sonne", "Grundschule", "Markt", "Hotel Krone",
                                        "Spielplatz"};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

typedef struct country {
    int64_t side; /* municipalities in a row */
    uint64_t seed;
} country;

/* A block that is being filled: its strings, and the objects of one kind. */
typedef struct block {
    FILE *file;
    sx_buf strings; /* the fields of the string table */
    uint32_t slots[HASH_SLOTS], offsets[BLOCK_STRINGS_MAX], lengths[BLOCK_STRINGS_MAX];
    sx_buf texts;
    uint32_t string_count, count;
    sx_buf ids, lats, lons, tags, versions, stamps, changesets; /* of dense nodes */
    int64_t id, lat, lon, stamp, changeset;                     /* of the node before */
    sx_buf objects;                                             /* ways or relations */
    sx_buf keys, values;
    sx_buf whole, blob, packed;
    uint64_t nodes, ways, relations, bytes;
} block;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* A shift by up to a metre or so: real coordinates have no pattern. */
static int64_t jitter(const country *c, uint64_t of)
{
    return (int64_t)(mix(of ^ c->seed) % 201) - 100;
}

/* --- Blocks. */

static void block_init(block *b)
{
    sx_buf *all[] = {&b->strings, &b->texts,    &b->ids,    &b->lats,       &b->lons,
                     &b->tags,    &b->versions, &b->stamps, &b->changesets, &b->objects,
                     &b->keys,    &b->values,   &b->whole,  &b->blob,       &b->packed};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        sx_buf_init(all[i], BLOCK_BYTES_MAX);
}

static uint32_t string_of(block *b, const char *text)
{
    size_t len = strlen(text);
    uint64_t hash = len;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    for (size_t slot = mix(hash) % HASH_SLOTS;; slot = (slot + 1) % HASH_SLOTS) {
        uint32_t at = b->slots[slot];
        if (at && b->lengths[at] == len && memcmp(b->texts.data + b->offsets[at], text, len) == 0)
            return at;
        if (at)
            continue;
        at = ++b->string_count;
        if (at >= BLOCK_STRINGS_MAX)
            die("too many strings in a block");
        b->slots[slot] = at;
        b->offsets[at] = (uint32_t)b->texts.len;
        b->lengths[at] = (uint32_t)len;
        sx_buf_bytes(&b->texts, text, len);
        sx_pb_put_str(&b->strings, 1, (sx_str){.data = text, .len = len});
        return at;
    }
}

static void put_list(sx_buf *to, uint32_t field, const sx_buf *list)
{
    sx_pb_put_str(to, field, sx_buf_view(list));
}

static void write_blob(block *b, const char *type, const sx_buf *content)
{
    uLongf room = compressBound(content->len);
    sx_buf_clear(&b->packed);
    char *to = sx_buf_reserve(&b->packed, room);
    if (!to || content->failed ||
        compress2((Bytef *)to, &room, (const Bytef *)content->data, content->len, 6) != Z_OK)
        die("out of memory");
    b->packed.len = room;
    sx_buf_clear(&b->blob);
    sx_pb_put_u64(&b->blob, 2, content->len);
    put_list(&b->blob, 3, &b->packed);
    sx_buf head;
    sx_buf_init(&head, 1024);
    sx_pb_put_str(&head, 1, (sx_str){.data = type, .len = strlen(type)});
    sx_pb_put_u64(&head, 3, b->blob.len);
    unsigned char length[4] = {0, 0, 0, (unsigned char)head.len};
    if (fwrite(length, 1, 4, b->file) != 4 || fwrite(head.data, 1, head.len, b->file) != head.len ||
        fwrite(b->blob.data, 1, b->blob.len, b->file) != b->blob.len)
        die("writing the file");
    b->bytes += 4 + head.len + b->blob.len;
    sx_buf_done(&head);
}

static void put_dense(block *b)
{
    size_t dense = sx_pb_begin(&b->whole, 2);
    put_list(&b->whole, 1, &b->ids);
    size_t info = sx_pb_begin(&b->whole, 5);
    put_list(&b->whole, 1, &b->versions);
    put_list(&b->whole, 2, &b->stamps);
    put_list(&b->whole, 3, &b->changesets);
    sx_pb_end(&b->whole, info);
    put_list(&b->whole, 8, &b->lats);
    put_list(&b->whole, 9, &b->lons);
    put_list(&b->whole, 10, &b->tags);
    sx_pb_end(&b->whole, dense);
}

/* Writes what it holds, and empties it. */
static void flush(block *b)
{
    if (b->count == 0)
        return;
    sx_buf_clear(&b->whole);
    size_t table = sx_pb_begin(&b->whole, 1);
    sx_pb_put_str(&b->whole, 1, (sx_str){.data = "", .len = 0}); /* index 0 ends a node's tags */
    sx_buf_str(&b->whole, sx_buf_view(&b->strings));
    sx_pb_end(&b->whole, table);
    size_t group = sx_pb_begin(&b->whole, 2);
    if (b->ids.len)
        put_dense(b);
    sx_buf_str(&b->whole, sx_buf_view(&b->objects));
    sx_pb_end(&b->whole, group);
    write_blob(b, "OSMData", &b->whole);
    sx_buf *all[] = {&b->strings, &b->texts,    &b->ids,    &b->lats,       &b->lons,
                     &b->tags,    &b->versions, &b->stamps, &b->changesets, &b->objects};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        sx_buf_clear(all[i]);
    memset(b->slots, 0, sizeof(b->slots));
    b->string_count = b->count = 0;
    b->id = b->lat = b->lon = b->stamp = b->changeset = 0;
}

static void add_delta(sx_buf *list, int64_t *before, int64_t value)
{
    sx_pb_add_varint(list, sx_pb_zigzag_of(value - *before));
    *before = value;
}

/* A node; `tags` are keys and values in turn, ended by NULL. */
static void put_node(block *b, int64_t id, int64_t lon, int64_t lat, const char *const *tags)
{
    add_delta(&b->ids, &b->id, id);
    add_delta(&b->lats, &b->lat, lat);
    add_delta(&b->lons, &b->lon, lon);
    sx_pb_add_varint(&b->versions, 1 + mix((uint64_t)id) % 4);
    add_delta(&b->stamps, &b->stamp, STAMP + (int64_t)(mix((uint64_t)id / 50) % 100000000));
    add_delta(&b->changesets, &b->changeset,
              CHANGESET + (int64_t)(mix((uint64_t)id / 50) % 1000000));
    for (; tags && *tags; tags++)
        sx_pb_add_varint(&b->tags, string_of(b, *tags));
    sx_pb_add_varint(&b->tags, 0);
    b->nodes++;
    if (++b->count == NODES_A_BLOCK)
        flush(b);
}

static size_t begin_object(block *b, uint32_t field, int64_t id, const char *const *tags)
{
    size_t mark = sx_pb_begin(&b->objects, field);
    sx_pb_put_i64(&b->objects, 1, id);
    sx_buf_clear(&b->keys);
    sx_buf_clear(&b->values);
    for (; tags && *tags; tags += 2) {
        sx_pb_add_varint(&b->keys, string_of(b, tags[0]));
        sx_pb_add_varint(&b->values, string_of(b, tags[1]));
    }
    put_list(&b->objects, 2, &b->keys);
    put_list(&b->objects, 3, &b->values);
    size_t info = sx_pb_begin(&b->objects, 4);
    sx_pb_put_u64(&b->objects, 1, 1 + mix((uint64_t)id) % 4);
    sx_pb_put_i64(&b->objects, 2, STAMP + (int64_t)(mix((uint64_t)id / 50) % 100000000));
    sx_pb_end(&b->objects, info);
    return mark;
}

static void end_object(block *b, size_t mark)
{
    sx_pb_end(&b->objects, mark);
    if (++b->count == OBJECTS_A_BLOCK)
        flush(b);
}

static void put_way(block *b, int64_t id, const int64_t *refs, size_t count,
                    const char *const *tags)
{
    size_t mark = begin_object(b, 3, id, tags);
    size_t list = sx_pb_begin(&b->objects, 8);
    for (size_t i = 0; i < count; i++)
        sx_pb_add_varint(&b->objects, sx_pb_zigzag_of(refs[i] - (i ? refs[i - 1] : 0)));
    sx_pb_end(&b->objects, list);
    b->ways++;
    end_object(b, mark);
}

typedef struct member {
    int64_t id;
    int type; /* 0 node, 1 way, 2 relation */
    const char *role;
} member;

static void put_relation(block *b, int64_t id, const member *members, size_t count,
                         const char *const *tags)
{
    size_t mark = begin_object(b, 4, id, tags);
    size_t list = sx_pb_begin(&b->objects, 8);
    for (size_t i = 0; i < count; i++)
        sx_pb_add_varint(&b->objects, string_of(b, members[i].role));
    sx_pb_end(&b->objects, list);
    list = sx_pb_begin(&b->objects, 9);
    for (size_t i = 0; i < count; i++)
        sx_pb_add_varint(&b->objects, sx_pb_zigzag_of(members[i].id - (i ? members[i - 1].id : 0)));
    sx_pb_end(&b->objects, list);
    list = sx_pb_begin(&b->objects, 10);
    for (size_t i = 0; i < count; i++)
        sx_pb_add_varint(&b->objects, (uint64_t)members[i].type);
    sx_pb_end(&b->objects, list);
    b->relations++;
    end_object(b, mark);
}

/* --- The country. Cell (x, y) has ids of its own; the cells behind the last row and column have only
 * the sides that those before them need. */

static int64_t cell_of(const country *c, int64_t x, int64_t y)
{
    return y * (c->side + 1) + x;
}

static int64_t node_id(int64_t cell, int64_t n)
{
    return cell * NODES + n + 1;
}

static int64_t way_id(int64_t cell, int64_t n)
{
    return cell * WAYS + n + 1;
}

typedef struct names {
    char town[48], postcode[8], text[96], number[16];
} names;

static void name_town(names *n, const country *c, int64_t cell)
{
    uint64_t h = mix((uint64_t)cell ^ c->seed);
    snprintf(n->town, sizeof(n->town), "%s%s", TOWN_FIRST[h % 10], TOWN_LAST[h / 10 % 10]);
    snprintf(n->postcode, sizeof(n->postcode), "%05" PRIu64, 10000 + (uint64_t)cell % 89999);
}

static const char *street_name(names *n, int64_t cell, int street)
{
    uint64_t h = mix((uint64_t)cell * 64 + (uint64_t)street);
    snprintf(n->text, sizeof(n->text), "%s%s", FIRST[h % COUNT_OF(FIRST)],
             LAST[h / 32 % COUNT_OF(LAST)]);
    return n->text;
}

static const char *number_text(names *n, int number)
{
    snprintf(n->number, sizeof(n->number), "%d", number);
    return n->number;
}

/* Where house `i` of `all` stands: beside a street, at a place of its own. */
static int house_street(int i)
{
    return i % (2 * STREETS);
}

static void house_point(int i, int all, int64_t *dx, int64_t *dy)
{
    int street = house_street(i), along = 100000 + (int)((int64_t)200000 * i / all);
    int across = 100000 + 10000 * (street % STREETS) + (i & 1 ? 3000 : -3000);
    *dx = street < STREETS ? along : across;
    *dy = street < STREETS ? across : along;
}

static void put_edges(block *b, const country *c, int64_t x, int64_t y, int64_t left, int64_t low)
{
    int64_t cell = cell_of(c, x, y);
    for (int i = 0; i < EDGE; i++)
        put_node(b, node_id(cell, NODE_SOUTH + i), left + (int64_t)i * CELL / EDGE,
                 low + (i ? 20 * jitter(c, (uint64_t)(cell * 100 + i)) : 0), NULL);
    for (int i = 1; i < EDGE; i++)
        put_node(b, node_id(cell, NODE_WEST + i - 1),
                 left + 20 * jitter(c, (uint64_t)(cell * 100 + 50 + i)),
                 low + (int64_t)i * CELL / EDGE, NULL);
}

static void put_houses(block *b, const country *c, int64_t cell, int64_t left, int64_t low,
                       names *n)
{
    int64_t dx, dy;
    for (int i = 0; i < BUILDINGS; i++) {
        house_point(i, BUILDINGS, &dx, &dy);
        for (int corner = 0; corner < 4; corner++)
            put_node(b, node_id(cell, NODE_BUILDING + 4 * i + corner),
                     left + dx + (corner == 1 || corner == 2 ? 1500 : 0) +
                         jitter(c, (uint64_t)(cell * 8192 + 4 * i + corner)),
                     low + dy + (corner >= 2 ? 1000 : 0) +
                         jitter(c, (uint64_t)(cell * 8192 + 4000 + 4 * i + corner)),
                     NULL);
    }
    for (int i = 0; i < ADDRESSES; i++) {
        house_point(i, ADDRESSES, &dx, &dy);
        const char *const tags[] = {"addr:city",
                                    n->town,
                                    "addr:housenumber",
                                    number_text(n, 200 + i / 40),
                                    "addr:postcode",
                                    n->postcode,
                                    "addr:street",
                                    street_name(n, cell, house_street(i)),
                                    NULL};
        put_node(b, node_id(cell, NODE_ADDRESS + i),
                 left + dx + 2000 + jitter(c, (uint64_t)(cell * 1000 + i)), low + dy + 900, tags);
    }
    for (int i = 0; i < POIS; i++) {
        house_point(i, POIS, &dx, &dy);
        char name[96];
        snprintf(name, sizeof(name), "%s %d", POI_NAMES[i % 5], i / 5);
        const char *const tags[] = {POI_KEYS[i % 5], POI_TYPES[i % 5], "name", name, NULL};
        put_node(b, node_id(cell, NODE_POI + i),
                 left + dx + 700 + jitter(c, (uint64_t)(cell * 300 + i)), low + dy + 400, tags);
    }
    for (int i = 0; i < 2 * LINES; i++) {
        const char *const tags[] = {"addr:housenumber", number_text(n, i & 1 ? 321 : 301),
                                    "addr:street", street_name(n, cell, i / 2), NULL};
        put_node(b, node_id(cell, NODE_LINE + i), left + (i & 1 ? 340000 : 310000),
                 low + 102000 + 10000 * (i / 2), tags);
    }
}

static void put_tracks(block *b, const country *c, int64_t cell, int64_t left, int64_t low)
{
    for (int t = 0; t < TRACKS; t++)
        for (int i = 0; i < TRACK_NODES; i++) {
            double turn = 2 * M_PI * i / TRACK_NODES;
            int64_t ring = t < WOODS;
            int64_t dx = ring ? 30000 + 34000 * t + (int64_t)(14000 * cos(turn)) : 5000 + 1500 * i;
            int64_t dy = ring ? 50000 + (int64_t)(14000 * sin(turn))
                              : 320000 + 5000 * (t - WOODS) + (int64_t)(2000 * sin(turn));
            put_node(b, node_id(cell, NODE_TRACK + t * TRACK_NODES + i),
                     left + dx + jitter(c, (uint64_t)(cell * 16384 + t * TRACK_NODES + i)),
                     low + dy, NULL);
        }
}

static void put_nodes(block *b, const country *c, int64_t x, int64_t y)
{
    int64_t cell = cell_of(c, x, y), left = WEST + x * CELL, low = SOUTH + y * CELL;
    put_edges(b, c, x, y, left, low);
    if (x == c->side || y == c->side)
        return;
    names n;
    name_town(&n, c, cell);
    const char *const place[] = {"name", n.town, "place", cell % 7 ? "village" : "town", NULL};
    put_node(b, node_id(cell, NODE_PLACE), left + CELL / 2 + 5000, low + CELL / 2 + 5000, place);
    for (int i = 0; i < CROSSINGS; i++)
        put_node(b, node_id(cell, NODE_CROSSING + i),
                 left + 100000 + 10000 * (i % STREETS) + jitter(c, (uint64_t)(cell * 1000 + i)),
                 low + 100000 + 10000 * (i / STREETS) +
                     jitter(c, (uint64_t)(cell * 1000 + 500 + i)),
                 NULL);
    put_houses(b, c, cell, left, low, &n);
    put_tracks(b, c, cell, left, low);
}

static void put_sides(block *b, const country *c, int64_t x, int64_t y)
{
    int64_t cell = cell_of(c, x, y), refs[EDGE + 1];
    static const char *const tags[] = {"boundary", "administrative", "admin_level", "8", NULL};
    if (x < c->side) {
        for (int i = 0; i < EDGE; i++)
            refs[i] = node_id(cell, NODE_SOUTH + i);
        refs[EDGE] = node_id(cell_of(c, x + 1, y), NODE_SOUTH);
        put_way(b, way_id(cell, WAY_SOUTH), refs, EDGE + 1, tags);
    }
    if (y < c->side) {
        refs[0] = node_id(cell, NODE_SOUTH);
        for (int i = 1; i < EDGE; i++)
            refs[i] = node_id(cell, NODE_WEST + i - 1);
        refs[EDGE] = node_id(cell_of(c, x, y + 1), NODE_SOUTH);
        put_way(b, way_id(cell, WAY_WEST), refs, EDGE + 1, tags);
    }
}

static void put_ways(block *b, const country *c, int64_t x, int64_t y)
{
    put_sides(b, c, x, y);
    if (x == c->side || y == c->side)
        return;
    int64_t cell = cell_of(c, x, y), refs[TRACK_NODES + 1];
    names n;
    name_town(&n, c, cell);
    for (int s = 0; s < 2 * STREETS; s++) {
        for (int i = 0; i < STREETS; i++)
            refs[i] = node_id(
                cell, NODE_CROSSING + (s < STREETS ? s * STREETS + i : i * STREETS + s - STREETS));
        const char *const tags[] = {"highway", s % 5 ? "residential" : "secondary",
                                    "name",    street_name(&n, cell, s),
                                    "surface", "asphalt",
                                    NULL};
        put_way(b, way_id(cell, WAY_STREET + s), refs, STREETS, tags);
    }
    for (int i = 0; i < BUILDINGS; i++) {
        for (int corner = 0; corner < 5; corner++)
            refs[corner] = node_id(cell, NODE_BUILDING + 4 * i + corner % 4);
        const char *const tags[] = {"building",
                                    i % 3 ? "house" : "yes",
                                    i & 1 ? "addr:housenumber" : NULL,
                                    number_text(&n, 1 + i / 40),
                                    "addr:street",
                                    street_name(&n, cell, house_street(i)),
                                    "addr:city",
                                    n.town,
                                    "addr:postcode",
                                    n.postcode,
                                    NULL};
        put_way(b, way_id(cell, WAY_BUILDING + i), refs, 5, tags);
    }
    for (int i = 0; i < LINES; i++) {
        static const char *const tags[] = {"addr:interpolation", "odd", NULL};
        refs[0] = node_id(cell, NODE_LINE + 2 * i);
        refs[1] = refs[0] + 1;
        put_way(b, way_id(cell, WAY_LINE + i), refs, 2, tags);
    }
    for (int t = 0; t < TRACKS; t++) {
        static const char *const tags[] = {"highway", "track", "tracktype", "grade2", NULL};
        for (int i = 0; i <= TRACK_NODES; i++)
            refs[i] = node_id(cell, NODE_TRACK + t * TRACK_NODES + i % TRACK_NODES);
        put_way(b, way_id(cell, WAY_TRACK + t), refs, t < WOODS ? TRACK_NODES + 1 : TRACK_NODES,
                t < WOODS ? NULL : tags);
    }
}

/* The sides of the square of municipalities that begins at (x, y). */
static size_t outline(const country *c, int64_t x, int64_t y, int64_t side, member *to)
{
    size_t n = 0;
    for (int64_t i = 0; i < side; i++) {
        to[n++] = (member){way_id(cell_of(c, x + i, y), WAY_SOUTH), 1, "outer"};
        to[n++] = (member){way_id(cell_of(c, x + side, y + i), WAY_WEST), 1, "outer"};
        to[n++] = (member){way_id(cell_of(c, x + i, y + side), WAY_SOUTH), 1, "outer"};
        to[n++] = (member){way_id(cell_of(c, x, y + i), WAY_WEST), 1, "outer"};
    }
    return n;
}

static void put_boundary(block *b, int64_t id, const member *members, size_t count,
                         const char *level, const char *name)
{
    const char *const tags[] = {
        "type", "boundary", "boundary", "administrative", "admin_level", level, "name", name, NULL};
    put_relation(b, id, members, count, tags);
}

static void put_relations(block *b, const country *c)
{
    member members[4 * COUNTY_SIDE + 1];
    int64_t id = 0;
    for (int64_t y = 0; y < c->side; y++)
        for (int64_t x = 0; x < c->side; x++) {
            int64_t cell = cell_of(c, x, y);
            names n;
            name_town(&n, c, cell);
            size_t count = outline(c, x, y, 1, members);
            members[count++] = (member){node_id(cell, NODE_PLACE), 0, "label"};
            put_boundary(b, ++id, members, count, "8", n.town);
            for (int w = 0; w < WOODS; w++) {
                snprintf(n.text, sizeof(n.text), "%s Wald %d", n.town, w);
                const char *const tags[] = {"type", "multipolygon", "landuse", "forest",
                                            "name", n.text,         NULL};
                const member ring = {way_id(cell, WAY_TRACK + w), 1, "outer"};
                put_relation(b, ++id, &ring, 1, tags);
            }
        }
    for (int64_t y = 0; y + COUNTY_SIDE <= c->side; y += COUNTY_SIDE)
        for (int64_t x = 0; x + COUNTY_SIDE <= c->side; x += COUNTY_SIDE) {
            char name[32];
            snprintf(name, sizeof(name), "Kreis %" PRId64, id);
            put_boundary(b, ++id, members, outline(c, x, y, COUNTY_SIDE, members), "6", name);
        }
    member *all = malloc(4 * (size_t)c->side * sizeof(*all));
    if (!all)
        die("out of memory");
    put_boundary(b, ++id, all, outline(c, 0, 0, c->side, all), "4", "Musterland");
    free(all);
}

static void put_header(block *b)
{
    sx_buf head;
    sx_buf_init(&head, 1024);
    sx_pb_put_str(&head, 4, SX_STR("OsmSchema-V0.6"));
    sx_pb_put_str(&head, 4, SX_STR("DenseNodes"));
    sx_pb_put_str(&head, 5, SX_STR("Sort.Type_then_ID"));
    sx_pb_put_str(&head, 16, SX_STR("synth_pbf"));
    write_blob(b, "OSMHeader", &head);
    sx_buf_done(&head);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: synth_pbf NODES FILE [SEED]\n", stderr);
        return 2;
    }
    double wanted = strtod(argv[1], NULL);
    if (!(wanted >= 1 && wanted <= 1e11)) {
        fprintf(stderr, "synth_pbf: '%s' is no number of nodes between 1 and 100000000000\n",
                argv[1]);
        return 2;
    }
    country c = {.side = (int64_t)llround(sqrt(wanted / NODES)),
                 .seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1};
    if (c.side < 1)
        c.side = 1;
    static block b;
    block_init(&b);
    b.file = fopen(argv[2], "wb");
    if (!b.file)
        die(argv[2]);
    put_header(&b);
    for (int64_t y = 0; y <= c.side; y++)
        for (int64_t x = 0; x <= c.side; x++)
            put_nodes(&b, &c, x, y);
    flush(&b);
    for (int64_t y = 0; y <= c.side; y++)
        for (int64_t x = 0; x <= c.side; x++)
            put_ways(&b, &c, x, y);
    flush(&b);
    put_relations(&b, &c);
    flush(&b);
    if (fclose(b.file))
        die(argv[2]);
    printf("nodes %" PRIu64 " objects\nways %" PRIu64 " objects\nrelations %" PRIu64
           " objects\nfile %" PRIu64 " bytes\n",
           b.nodes, b.ways, b.relations, b.bytes);
    return 0;
}
