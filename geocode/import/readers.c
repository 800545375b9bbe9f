/* readers.c - which format a file has, told by its first line; and what all readers share. */
#include <stdio.h>
#include <string.h>

#include "geocode/import/intake.h"

enum { ROWS_A_LOOK = 256, DUMP_COLUMNS = 19, POSTAL_COLUMNS = 12, CODE_COLUMNS = 4 };

sx_status geo_intake_look(geo_intake *in, sx_error *err)
{
    if (++in->since_look % ROWS_A_LOOK == 0 && in->alive && !in->alive(in->context))
        return sx_fail(err, SX_ECANCELED, "the import was stopped");
    return SX_OK;
}

sx_status geo_intake_add(geo_intake *in, const geo_in_doc *doc, sx_error *err)
{
    return geo_builder_add(in->builder, doc, err);
}

sx_status geo_intake_row(geo_intake *in, uint64_t line, sx_status status, sx_error *err)
{
    if (status == SX_OK)
        return SX_OK;
    bool flaw = status == SX_EFORMAT || status == SX_ELIMIT || status == SX_EINVAL;
    if (line)
        (void)sx_error_prefix(err, status, "%s:%llu", in->input->path, (unsigned long long)line);
    else
        (void)sx_error_prefix(err, status, "%s", in->input->path);
    if (!flaw || in->skipped == in->skipped_max)
        return status;
    if (in->skipped++ == 0 && err)
        (void)snprintf(in->first_skipped, sizeof(in->first_skipped), "%s", err->message);
    return SX_OK;
}

sx_str geo_intake_place(const geo_intake *in, sx_str code)
{
    return sx_str_z(sx_map_get(&in->places, code));
}

sx_status geo_intake_name_place(geo_intake *in, sx_str code, sx_str name, sx_error *err)
{
    sx_str key = sx_arena_copy(&in->names, code), value = sx_arena_copy(&in->names, name);
    sx_map_entry *e = key.data && value.data ? sx_map_put(&in->places, key, NULL) : NULL;
    if (!e)
        return sx_fail_memory(err, "the names of regions");
    e->ptr = (void *)(uintptr_t)value.data;
    return SX_OK;
}

static size_t columns_of(sx_str line)
{
    size_t columns = 1;
    for (size_t i = 0; i < line.len; i++)
        columns += line.data[i] == '\t';
    return columns;
}

/* A table's format by the number of its columns and what is in the first. */
static const geo_reader *table_of(sx_str line)
{
    sx_str first = sx_str_first(line, sx_str_find_byte(line, '\t'));
    uint64_t id;
    switch (columns_of(line)) {
    case DUMP_COLUMNS:
        if (sx_str_to_u64(first, &id))
            return &GEO_READER_GEONAMES;
        return first.len == 2 || sx_str_eq(first, SX_STR("#ISO")) ? &GEO_READER_COUNTRIES : NULL;
    case POSTAL_COLUMNS:
        return first.len == 2 ? &GEO_READER_GEONAMES_POSTAL : NULL;
    case CODE_COLUMNS:
        return sx_str_find_byte(first, '.') == 2 ? &GEO_READER_ADMIN_CODES : NULL;
    default:
        return NULL;
    }
}

/* Tabs at the end of a line are empty columns: only what stands before the text goes. */
static sx_str without_space(sx_str text)
{
    size_t at = 0;
    while (at < text.len &&
           (text.data[at] == ' ' || (text.data[at] >= '\t' && text.data[at] <= '\r')))
        at++;
    return sx_str_from(text, at);
}

sx_status geo_reader_of(sx_str head, const geo_reader **out, sx_error *err)
{
    sx_str text = without_space(head);
    if (sx_str_starts(text, SX_STR("\xEF\xBB\xBF")))
        text = without_space(sx_str_from(text, 3));
    sx_str line = sx_str_first(text, sx_str_find_byte(text, '\n'));
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    if (text.len == 0 || text.data[0] == '{')
        *out = &GEO_READER_NDJSON;
    else if (text.data[0] == '[')
        *out = &GEO_READER_JSON_ARRAY;
    else if (geo_ban_header(line, false))
        *out = &GEO_READER_BAN;
    else if (geo_ban_header(line, true))
        *out = &GEO_READER_BAN_PLACES;
    else if (text.data[0] == '#') /* countryInfo.txt begins with remarks */
        *out = &GEO_READER_COUNTRIES;
    else
        *out = table_of(line);
    if (*out)
        return SX_OK;
    return sx_fail(
        err, SX_EUNSUPPORTED,
        "it is no NDJSON ('{' or '[' first, as Addok reads documents), no CSV of the BAN "
        "(a header with id, nom_voie, lon and lat), no table of GeoNames (%d or %d "
        "columns with tabs between them) and no map of OpenStreetMap (PBF or XML)",
        DUMP_COLUMNS, POSTAL_COLUMNS);
}
