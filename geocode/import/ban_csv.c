/* ban_csv.c - rows of the official CSV files of the Base Adresse Nationale: adresses-XX.csv, one house
 * number a row, and lieux-dits-XX.csv, one named place a row. Columns are found by the header, in any
 * order. Rows are grouped into streets by the beginning of their id ("75101_0630" of
 * "75101_0630_00012_b"), wherever in the file they stand (grouper.h); the documents are made once
 * the file was read (ban_docs.c). */
#include <math.h>
#include <string.h>

#include <sextant/csv.h>
#include <sextant/mem.h>
#include <sextant/number.h>
#include <sextant/utf8.h>

#include "geocode/import/ban.h"
#include "geocode/text/fold.h"

enum { HEADER_COLUMNS_MAX = 256, KEY_BYTES_MAX = 512, ARENA_BYTES = 1 << 16 };

static const sx_str NAMES[GEO_BAN_COLUMNS] = {
    [GEO_BAN_ID] = SX_STR_INIT("id"),
    [GEO_BAN_FANTOIR] = SX_STR_INIT("id_fantoir"),
    [GEO_BAN_NUMBER] = SX_STR_INIT("numero"),
    [GEO_BAN_SUFFIX] = SX_STR_INIT("rep"),
    [GEO_BAN_STREET] = SX_STR_INIT("nom_voie"),
    [GEO_BAN_POSTCODE] = SX_STR_INIT("code_postal"),
    [GEO_BAN_COMMUNE_CODE] = SX_STR_INIT("code_insee"),
    [GEO_BAN_COMMUNE] = SX_STR_INIT("nom_commune"),
    [GEO_BAN_OLD_CODE] = SX_STR_INIT("code_insee_ancienne_commune"),
    [GEO_BAN_OLD_COMMUNE] = SX_STR_INIT("nom_ancienne_commune"),
    [GEO_BAN_X] = SX_STR_INIT("x"),
    [GEO_BAN_Y] = SX_STR_INIT("y"),
    [GEO_BAN_LON] = SX_STR_INIT("lon"),
    [GEO_BAN_LAT] = SX_STR_INIT("lat"),
    [GEO_BAN_ALIAS] = SX_STR_INIT("alias"),
    [GEO_BAN_PLACE] = SX_STR_INIT("nom_ld"),
};
static const sx_str PLACE_NAME = SX_STR_INIT("nom_lieu_dit");

typedef struct reader {
    geo_ban ban;
    sx_csv_reader *csv;
    bool has_header;
    size_t column_count;          /* of the header */
    uint16_t at[GEO_BAN_COLUMNS]; /* the column's place, from 1; 0: the file has none */
    sx_buf packed;
} reader;

static int column_of(sx_str name, bool places)
{
    if (places && sx_str_eq(name, PLACE_NAME))
        return GEO_BAN_PLACE;
    for (int i = 0; i < GEO_BAN_COLUMNS; i++) {
        if (sx_str_eq(NAMES[i], name) && !(places && i == GEO_BAN_PLACE))
            return i;
    }
    return -1;
}

bool geo_ban_header(sx_str line, bool places)
{
    unsigned found = 0;
    sx_str rest = line, name;
    bool more = true;
    while (more) {
        more = sx_str_cut(rest, ';', &name, &rest);
        if (name.len > 1 && name.data[0] == '"' && name.data[name.len - 1] == '"')
            name = sx_str_of(name.data + 1, name.len - 2);
        int column = column_of(name, places);
        found |= column >= 0 ? 1u << column : 0;
    }
    unsigned need = 1u << GEO_BAN_ID | 1u << GEO_BAN_LON | 1u << GEO_BAN_LAT |
                    1u << (places ? GEO_BAN_PLACE : GEO_BAN_STREET);
    return (found & need) == need;
}

static void *open_rows(geo_intake *in, bool places, sx_error *err)
{
    reader *r = sx_calloc(1, sizeof(*r));
    if (!r) {
        sx_fail_memory(err, "a reader");
        return NULL;
    }
    r->ban = (geo_ban){.in = in, .places = places};
    sx_arena_init(&r->ban.arena, ARENA_BYTES, 0);
    sx_map_init(&r->ban.communes, NULL);
    sx_buf_init(&r->packed, 0);
    r->ban.rows = geo_grouper_new(in->folder, in->limits.rows_bytes_max, err);
    r->csv =
        r->ban.rows
            ? sx_csv_reader_new(&(sx_csv_options){.delimiter = ';',
                                                  .strict = true,
                                                  .fields_max = HEADER_COLUMNS_MAX,
                                                  .record_bytes_max = in->limits.line_bytes_max},
                                err)
            : NULL;
    if (r->csv)
        return r;
    GEO_READER_BAN.close(r);
    return NULL;
}

static void *open_addresses(geo_intake *in, sx_error *err)
{
    return open_rows(in, false, err);
}

static void *open_places(geo_intake *in, sx_error *err)
{
    return open_rows(in, true, err);
}

static void close_rows(void *p)
{
    reader *r = p;
    sx_csv_reader_free(r->csv);
    geo_grouper_free(r->ban.rows);
    sx_map_done(&r->ban.communes);
    sx_arena_done(&r->ban.arena);
    sx_buf_done(&r->packed);
    sx_free(r);
}

static void take_header(reader *r, const sx_csv_record *record)
{
    r->has_header = true;
    r->column_count = record->count;
    for (size_t i = 0; i < record->count; i++) {
        int column = column_of(record->fields[i], r->ban.places);
        if (column >= 0 && r->at[column] == 0)
            r->at[column] = (uint16_t)(i + 1);
    }
}

/* The byte of the row at which a column begins, from 1, as it is without quotes. */
static size_t byte_of(const sx_csv_record *record, size_t column)
{
    size_t byte = 1;
    for (size_t i = 0; i < column && i < record->count; i++)
        byte += record->fields[i].len + 1;
    return byte;
}

static sx_status flaw(const reader *r, const sx_csv_record *record, geo_ban_column column,
                      const char *what, sx_error *err)
{
    sx_str name = r->ban.places && column == GEO_BAN_PLACE ? PLACE_NAME : NAMES[column];
    size_t at = r->at[column] ? r->at[column] - 1u : 0;
    return sx_fail(err, SX_EFORMAT, "byte %zu: %.*s %s", byte_of(record, at), SX_ARG(name), what);
}

/* "75101_0630" of "75101_0630_00012_b"; empty if the id is of another kind. */
static sx_str street_id(sx_str id)
{
    sx_str commune, rest, street, number;
    if (!sx_str_cut(id, '_', &commune, &rest) || !sx_str_cut(rest, '_', &street, &number) ||
        commune.len == 0 || street.len == 0 || number.len == 0)
        return sx_str_of("", 0);
    return sx_str_first(id, commune.len + 1 + street.len);
}

/* What a row is grouped by: its street's id, or the commune and the street's name if ids do not say. */
static sx_str key_of(const reader *r, const geo_ban_row *row, char out[KEY_BYTES_MAX])
{
    sx_str id = row->columns[GEO_BAN_ID], key = r->ban.places ? id : street_id(id);
    if (key.len && key.len <= KEY_BYTES_MAX)
        return key;
    sx_str code = row->columns[GEO_BAN_COMMUNE_CODE], name = row->columns[GEO_BAN_STREET];
    if (name.len == 0)
        name = row->columns[GEO_BAN_PLACE];
    code = sx_str_first(code, 16);
    memcpy(out, code.data, code.len);
    out[code.len] = '_';
    sx_str folded = geo_fold(name, out + code.len + 1, KEY_BYTES_MAX - code.len - 1);
    for (size_t i = code.len + 1; i < code.len + 1 + folded.len; i++)
        out[i] = out[i] == ' ' ? '-' : out[i];
    return sx_str_of(out, code.len + 1 + folded.len);
}

static sx_status check_row(const reader *r, const sx_csv_record *record, const geo_ban_row *row,
                           double *lon, double *lat, sx_error *err)
{
    const sx_str *c = row->columns;
    if (!sx_double_parse(c[GEO_BAN_LON], lon) || !(fabs(*lon) <= 180))
        return flaw(r, record, GEO_BAN_LON, "is no longitude", err);
    if (!sx_double_parse(c[GEO_BAN_LAT], lat) || !(fabs(*lat) <= 90))
        return flaw(r, record, GEO_BAN_LAT, "is no latitude", err);
    if (c[GEO_BAN_STREET].len == 0 && c[GEO_BAN_PLACE].len == 0)
        return flaw(r, record, r->ban.places ? GEO_BAN_PLACE : GEO_BAN_STREET, "is empty", err);
    for (int i = 0; i < GEO_BAN_COLUMNS; i++) {
        if (c[i].len > UINT16_MAX)
            return flaw(r, record, (geo_ban_column)i, "is longer than 65535 bytes", err);
        if (!sx_utf8_valid(c[i]))
            return flaw(r, record, (geo_ban_column)i, "is no UTF-8", err);
    }
    return SX_OK;
}

static sx_status take_row(reader *r, const sx_csv_record *record, sx_error *err)
{
    geo_ban_row row;
    char key[KEY_BYTES_MAX];
    double lon = 0, lat = 0;
    if (record->count != r->column_count)
        return sx_fail(err, SX_EFORMAT,
                       "the row has %zu columns, the header %zu; it may be cut short",
                       record->count, r->column_count);
    for (int i = 0; i < GEO_BAN_COLUMNS; i++)
        row.columns[i] = r->at[i] ? record->fields[r->at[i] - 1u] : sx_str_of("", 0);
    sx_status status = check_row(r, record, &row, &lon, &lat, err);
    if (status != SX_OK)
        return status;
    if (!geo_ban_count(&r->ban, &row, lon, lat))
        return sx_fail_memory(err, "the communes");
    sx_buf_clear(&r->packed);
    geo_ban_pack(&row, &r->packed);
    status = sx_buf_status(&r->packed, "a row", err);
    return status == SX_OK
               ? geo_grouper_add(r->ban.rows, key_of(r, &row, key), sx_buf_view(&r->packed), err)
               : status;
}

static sx_status feed_rows(void *p, sx_str chunk, sx_error *err)
{
    reader *r = p;
    geo_intake *in = r->ban.in;
    sx_csv_record record;
    if (chunk.len)
        sx_csv_feed(r->csv, chunk);
    else
        sx_csv_finish(r->csv);
    for (;;) {
        sx_status status = sx_csv_next(r->csv, &record, err);
        if (status == SX_AGAIN)
            return SX_OK;
        if (status == SX_END)
            return geo_ban_documents(&r->ban, err);
        if (status != SX_OK) { /* "line L, column C" is in it, and the reader goes no further */
            in->skipped_max = in->skipped;
            return geo_intake_row(in, 0, status, err);
        }
        if (!r->has_header)
            take_header(r, &record);
        else
            status = geo_intake_row(in, record.line, take_row(r, &record, err), err);
        if (status == SX_OK)
            status = geo_intake_look(in, err);
        if (status != SX_OK)
            return status;
    }
}

const geo_reader GEO_READER_BAN = {
    .name = "the BAN's CSV",
    .language = GEO_LANGUAGE_FRENCH,
    .attribution = "BAN",
    .licence = "ETALAB-2.0",
    .open = open_addresses,
    .feed = feed_rows,
    .close = close_rows,
};

const geo_reader GEO_READER_BAN_PLACES = {
    .name = "the BAN's CSV of named places",
    .language = GEO_LANGUAGE_FRENCH,
    .attribution = "BAN",
    .licence = "ETALAB-2.0",
    .open = open_places,
    .feed = feed_rows,
    .close = close_rows,
};
