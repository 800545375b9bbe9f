/* writer.c - see writer.h. The container is a spool that is only appended to: sections, and behind
 * them the table, again after each seal. */
#include "geocode/places/writer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <sextant/mem.h>

enum {
    BUFFER_BYTES = 1 << 20,
    STRINGS_MAX = 2000000, /* of half the table: see strings.h */
    STRING_BYTES_MAX = 64 << 20,
};

struct plc_writer {
    geo_temp temp;
    geo_strings strings; /* STRINGS until it is sealed */
    geo_spool spools[PLC_S_END];
    bool sealed[PLC_S_END];
    geo_spool container;
    plc_disk_table table;
    void *map; /* of the container's file, while it is viewed */
    size_t map_bytes;
};

static const uint32_t RECORD[PLC_S_END] = {
#define X(id, name, record) [id] = (record),
    PLC_SECTION_LIST(X)
#undef X
};

plc_writer *plc_writer_new(const char *temp_dir, size_t buffer_bytes, sx_error *err)
{
    plc_writer *w = sx_calloc(1, sizeof(*w));
    if (!w || !geo_temp_init(&w->temp, temp_dir, buffer_bytes ? buffer_bytes : BUFFER_BYTES)) {
        sx_free(w);
        sx_fail_memory(err, "the writer of places");
        return NULL;
    }
    geo_strings_init(&w->strings, &w->temp, STRINGS_MAX, STRING_BYTES_MAX);
    for (unsigned id = 0; id < PLC_S_END; id++)
        geo_spool_init(&w->spools[id], &w->temp);
    geo_spool_init(&w->container, &w->temp);
    memcpy(w->table.magic, PLC_MAGIC, sizeof(w->table.magic));
    w->table.version = PLC_FORMAT_VERSION;
    for (unsigned id = 1; id < PLC_S_WORDS; id++)
        w->table.sections[id].record = RECORD[id];
    uint32_t empty = 1;
    if (plc_writer_string(w, sx_str_of("", 0), &empty, err) != SX_OK) {
        plc_writer_free(w);
        return NULL;
    }
    sx_assert(empty == 0);
    return w;
}

static void close_view(plc_writer *w)
{
    if (w->map)
        (void)munmap(w->map, w->map_bytes); /* fails only of what was never mapped */
    w->map = NULL;
}

void plc_writer_free(plc_writer *w)
{
    if (!w)
        return;
    close_view(w);
    geo_strings_done(&w->strings);
    for (unsigned id = 0; id < PLC_S_END; id++)
        geo_spool_done(&w->spools[id]);
    geo_spool_done(&w->container);
    geo_temp_done(&w->temp);
    sx_free(w);
}

geo_spool *plc_writer_section(plc_writer *w, unsigned id)
{
    sx_assert(id > 0 && id < PLC_S_END && id != PLC_S_STRINGS && !w->sealed[id]);
    return &w->spools[id];
}

sx_status plc_writer_string(plc_writer *w, sx_str text, uint32_t *ref, sx_error *err)
{
    sx_assert(!w->sealed[PLC_S_STRINGS]);
    return geo_strings_put(&w->strings, text, ref, err);
}

void plc_writer_record(plc_writer *w, unsigned id, uint32_t record_bytes)
{
    sx_assert(id >= PLC_S_WORDS && id < PLC_S_END && record_bytes > 0);
    w->table.sections[id].record = record_bytes;
}

/* Moves one section behind the others, and gives its space back. */
static sx_status seal_section(plc_writer *w, unsigned id, geo_spool *s, sx_error *err)
{
    plc_disk_section *row = &w->table.sections[id];
    uint64_t bytes = geo_spool_bytes(s);
    sx_status status = sx_buf_status(&s->tail, plc_section_name(id), err);
    if (status != SX_OK)
        return status;
    if (row->record == 0 || bytes % row->record != 0)
        return sx_fail(err, SX_EINVAL, "section %s of the places has %llu bytes in records of %u",
                       plc_section_name(id), (unsigned long long)bytes, row->record);
    geo_spool_pad(&w->container, PLC_ALIGN);
    row->id = id;
    row->offset = geo_spool_bytes(&w->container);
    row->bytes = bytes;
    geo_spool_reader r;
    geo_spool_reader_init(&r, s);
    for (size_t len = 1; status == SX_OK && len > 0;) {
        const void *data = geo_spool_chunk(&r, &len, err);
        if (!data) {
            status = err->status;
            break;
        }
        sx_buf_bytes(&w->container.tail, data, len);
        status = geo_spool_settle(&w->container, "the places", err);
    }
    geo_spool_reader_done(&r);
    geo_spool_done(s);
    geo_spool_init(s, &w->temp);
    w->sealed[id] = true;
    return status;
}

/* The rows that are used, closed up. */
static sx_status append_table(plc_writer *w, sx_error *err)
{
    plc_disk_table out = w->table;
    memset(out.sections, 0, sizeof(out.sections));
    out.section_count = 0;
    for (unsigned id = 1; id < PLC_S_END; id++) {
        if (w->sealed[id])
            out.sections[out.section_count++] = w->table.sections[id];
    }
    geo_spool_pad(&w->container, PLC_ALIGN);
    out.bytes = geo_spool_bytes(&w->container) + sizeof(out);
    sx_buf_bytes(&w->container.tail, &out, sizeof(out));
    return geo_spool_settle(&w->container, "the places", err);
}

sx_status plc_writer_seal(plc_writer *w, sx_error *err)
{
    sx_error own = {0};
    sx_error *told = err ? err : &own;
    sx_status status = SX_OK;
    close_view(w);
    if (!w->sealed[PLC_S_STRINGS]) {
        geo_strings_close(&w->strings);
        status = seal_section(w, PLC_S_STRINGS, &w->strings.out, told);
    }
    for (unsigned id = 1; status == SX_OK && id < PLC_S_END; id++) {
        if (geo_spool_bytes(&w->spools[id]) > 0 || w->spools[id].tail.failed)
            status = seal_section(w, id, &w->spools[id], told);
    }
    return status == SX_OK ? append_table(w, told) : status;
}

sx_status plc_writer_view(plc_writer *w, plc_index *out, sx_error *err)
{
    close_view(w);
    geo_spool *c = &w->container;
    if (c->file.bytes == 0)
        return plc_open(out, c->tail.data, c->tail.len, err);
    /* The last bytes join those in the file. */
    size_t keep = w->temp.buffer_bytes;
    w->temp.buffer_bytes = 0;
    sx_status status = geo_spool_settle(c, "the places", err);
    w->temp.buffer_bytes = keep;
    if (status != SX_OK)
        return status;
    w->map_bytes = c->file.bytes;
    w->map = mmap(NULL, w->map_bytes, PROT_READ, MAP_PRIVATE, c->file.fd, 0);
    if (w->map == MAP_FAILED) {
        w->map = NULL;
        return sx_fail_os(err, errno, "cannot map the places' temporary file");
    }
    return plc_open(out, w->map, w->map_bytes, err);
}

sx_status plc_writer_take(plc_writer *w, geo_spool *out, sx_error *err)
{
    close_view(w);
    sx_status status = sx_buf_status(&w->container.tail, "the places", err);
    if (status != SX_OK)
        return status;
    geo_temp *temp = out->file.temp;
    sx_assert(geo_spool_bytes(out) == 0);
    geo_spool_done(out);
    *out = w->container;
    out->file.temp = temp;
    temp->disk_bytes += out->file.bytes;
    w->temp.disk_bytes -= out->file.bytes;
    geo_spool_init(&w->container, &w->temp);
    return SX_OK;
}
