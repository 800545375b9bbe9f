/* exporter_file.c - spans into a file: lines of OTLP/JSON, or messages behind their length.
 *
 * Formats, as the Collector's file exporter writes them: `json` without compression is one
 * TracesData a line; `proto`, and either format with compression (each message by itself), is the
 * message behind its length in 4 bytes, big-endian. Rotation as lumberjack does it: a file that would
 * grow above the limit is renamed to NAME-2006-01-02T15-04-05.000.EXT; the oldest go by number and
 * by age. The writes are done by the exporter's own thread; each request ends in the kernel's hands. */
#include <stdio.h>
#include <string.h>

#include <sextant/compress.h>
#include <sextant/file.h>

#include "observe/collector/exporter_internal.h"

enum { JOIN_BYTES = 1 << 20, PATH_BYTES_MAX = 4000, BACKUPS_LISTED_MAX = 10000, STAMP_BYTES = 24 };

typedef struct file_state {
    sx_writer writer;
    const char *path, *folder;
    sx_str stem, ext; /* of the file's name: "traces", ".json" */
    sx_codec codec;
    bool is_open, is_proto;
} file_state;

static sx_status open_file(span_exporter *e, sx_writer_mode mode, sx_error *err)
{
    file_state *f = e->state;
    sx_status status = sx_writer_open(&f->writer, f->path, mode, 0, err);
    f->is_open = status == SX_OK;
    return status;
}

static sx_status split_path(span_exporter *e, sx_error *err)
{
    file_state *f = e->state;
    sx_str path = e->settings.path, name = path, folder = SX_STR(".");
    for (size_t i = path.len; i-- > 0;)
        if (path.data[i] == '/') {
            name = sx_str_from(path, i + 1);
            folder = i ? sx_str_first(path, i) : SX_STR("/");
            break;
        }
    f->stem = name;
    for (size_t i = name.len; i-- > 1;)
        if (name.data[i] == '.') {
            f->stem = sx_str_first(name, i);
            f->ext = sx_str_from(name, i);
            break;
        }
    f->path = sx_arena_printf(&e->arena, "%.*s", SX_ARG(path)).data;
    f->folder = sx_arena_printf(&e->arena, "%.*s", SX_ARG(folder)).data;
    return f->path && f->folder ? SX_OK : sx_fail_memory(err, "an exporter");
}

static sx_status open_driver(span_exporter *e, sx_error *err)
{
    file_state *f = e->state;
    const exporter_settings *s = &e->settings;
    sx_error why;
    if (!s->path.len || s->path.len > PATH_BYTES_MAX)
        return export_bad(e, err, "path: the file to write is needed, of at most %d bytes",
                          PATH_BYTES_MAX);
    f->is_proto = sx_str_eq(s->format, SX_STR("proto"));
    if (s->format.len && !f->is_proto && !sx_str_eq(s->format, SX_STR("json")))
        return export_bad(e, err, "format is json or proto, not '%.*s'", SX_ARG(s->format));
    if (s->compression.len && !sx_str_eq(s->compression, SX_STR("zstd")) &&
        !sx_str_eq(s->compression, SX_STR("none")))
        return export_bad(e, err, "compression of a file is zstd or none, not '%.*s'",
                          SX_ARG(s->compression));
    sx_status status = export_codec(e, SX_STR("none"), &f->codec, err);
    if (status == SX_OK)
        status = split_path(e, err);
    if (status != SX_OK)
        return status;
    e->join_bytes = JOIN_BYTES;
    if (s->create_folder && sx_folder_make(f->folder, &why) != SX_OK)
        return export_bad(e, err, "create_directory: %s", why.message);
    /* As the Collector: a file that is not rotated begins anew. It is written at its end in any case,
     * since after a reload the exporter before this one still writes what it holds. */
    bool keep = s->append || s->rotate_bytes || e->is_reload;
    if (!keep && (open_file(e, SX_WRITER_EMPTY, &why) != SX_OK ||
                  sx_writer_close(&f->writer, &why) != SX_OK))
        return export_bad(e, err, "path: %s", why.message);
    if (open_file(e, SX_WRITER_APPEND, &why) != SX_OK)
        return export_bad(e, err, "path: %s", why.message);
    return SX_OK;
}

static void done_driver(span_exporter *e)
{
    file_state *f = e->state;
    sx_error err;
    if (f->is_open && sx_writer_close(&f->writer, &err) != SX_OK && e->log)
        SX_LOG_ERROR(e->log, NULL, "the file was not closed well", sx_field_error(&err));
}

/* --- Rotation. */

/* The wall time as lumberjack puts it into names, UTC. */
static void stamp(int64_t wall_ms, char out[STAMP_BYTES])
{
    char text[SX_TIME_RFC3339_BYTES];
    sx_time_rfc3339(wall_ms * 1000000, 3, text);
    memcpy(out, text, STAMP_BYTES - 1);
    out[13] = out[16] = '-';
    out[STAMP_BYTES - 1] = '\0';
}

static bool is_backup(const file_state *f, sx_str name, sx_str *time)
{
    if (name.len != f->stem.len + 1 + STAMP_BYTES - 1 + f->ext.len ||
        !sx_str_starts(name, f->stem) || !sx_str_ends(name, f->ext) ||
        name.data[f->stem.len] != '-')
        return false;
    *time = sx_str_first(sx_str_from(name, f->stem.len + 1), STAMP_BYTES - 1);
    return time->data[4] == '-' && time->data[10] == 'T';
}

/* Removes old files by age and number: their names sort by time. What cannot be removed stays. */
static void remove_old(span_exporter *e)
{
    const file_state *f = e->state;
    const exporter_settings *s = &e->settings;
    sx_arena arena;
    sx_str *names, time;
    size_t count, backups = 0;
    sx_error err;
    char oldest[STAMP_BYTES] = "", path[PATH_BYTES_MAX + 300];
    sx_arena_init(&arena, 0, 0);
    if (s->rotate_days)
        stamp(sx_clock_ms(e->clock) - s->rotate_days * 86400000, oldest);
    if (sx_folder_list(f->folder, BACKUPS_LISTED_MAX, &arena, &names, &count, &err) != SX_OK)
        count = 0;
    for (size_t i = count; i-- > 0;) {
        if (!is_backup(f, names[i], &time))
            continue;
        backups++;
        if ((!s->rotate_backups || backups <= (size_t)s->rotate_backups) &&
            sx_str_cmp(time, sx_str_z(oldest)) >= 0)
            continue;
        snprintf(path, sizeof(path), "%s/%.*s", f->folder, SX_ARG(names[i]));
        if (sx_file_remove(path, &err) != SX_OK && e->log)
            SX_LOG_WARN(e->log, NULL, "an old file stays", sx_field_error(&err));
    }
    sx_arena_done(&arena);
}

static sx_status rotate(span_exporter *e, sx_error *err)
{
    file_state *f = e->state;
    char time[STAMP_BYTES], path[PATH_BYTES_MAX + 300];
    stamp(sx_clock_ms(e->clock), time);
    snprintf(path, sizeof(path), "%s/%.*s-%s%.*s", f->folder, SX_ARG(f->stem), time,
             SX_ARG(f->ext));
    f->is_open = false;
    sx_status status = sx_writer_close(&f->writer, err);
    if (status == SX_OK)
        status = sx_file_rename(f->path, path, err);
    sx_status opened = open_file(e, SX_WRITER_APPEND, status == SX_OK ? err : NULL);
    if (status == SX_OK)
        remove_old(e);
    return status == SX_OK ? opened : status;
}

/* --- A request. */

static sx_status write_message(span_exporter *e, sx_str message, sx_error *err)
{
    file_state *f = e->state;
    bool framed = f->is_proto || f->codec != SX_CODEC_IDENTITY;
    uint64_t bytes = message.len + (framed ? 4 : 1);
    const unsigned char length[4] = {message.len >> 24 & 0xff, message.len >> 16 & 0xff,
                                     message.len >> 8 & 0xff, message.len & 0xff};
    sx_status status = SX_OK;
    if (e->settings.rotate_bytes && f->writer.offset &&
        f->writer.offset + bytes > (uint64_t)e->settings.rotate_bytes)
        status = rotate(e, err);
    if (status == SX_OK && framed)
        status = sx_writer_bytes(&f->writer, length, sizeof(length), err);
    if (status == SX_OK)
        status = sx_writer_bytes(&f->writer, message.data, message.len, err);
    if (status == SX_OK && !framed)
        status = sx_writer_bytes(&f->writer, "\n", 1, err);
    return status;
}

static sx_status write_batch(span_exporter *e, const span_batch *b, sx_error *err)
{
    const file_state *f = e->state;
    sx_buf plain, packed;
    sx_buf_init(&plain, 0);
    sx_buf_init(&packed, 0);
    if (f->is_proto)
        export_batch_otlp(b, &plain);
    else
        span_write_otlp_json(b, &plain);
    sx_status status = sx_buf_status(&plain, "spans for a file", err);
    if (status == SX_OK && f->codec != SX_CODEC_IDENTITY)
        status = sx_compress(f->codec, sx_buf_view(&plain), SX_LEVEL_DEFAULT, &packed, err);
    if (status == SX_OK)
        status = write_message(
            e, f->codec == SX_CODEC_IDENTITY ? sx_buf_view(&plain) : sx_buf_view(&packed), err);
    sx_buf_done(&plain);
    sx_buf_done(&packed);
    return status;
}

/* A failed writer stays failed, so it is opened again; what it had written of this request is then in
 * the file twice, at worst with a torn line between. */
static sx_status send_file(export_request *r, sx_error *err)
{
    span_exporter *e = r->e;
    file_state *f = e->state;
    sx_status status = f->is_open ? SX_OK : open_file(e, SX_WRITER_APPEND, err);
    for (const export_entry *n = r->entries; n && status == SX_OK; n = n->next)
        status = write_batch(e, n->batch, err);
    if (status == SX_OK)
        status = sx_writer_flush(&f->writer, err);
    if (status == SX_OK) {
        export_over(r, &(export_end){.kind = EXPORT_DONE});
        return SX_OK;
    }
    if (f->is_open)
        sx_writer_abandon(&f->writer);
    f->is_open = false;
    return status;
}

const export_driver export_file_driver = {.name = "file",
                                          .is_local = true,
                                          .state_bytes = sizeof(file_state),
                                          .open = open_driver,
                                          .send = send_file,
                                          .done = done_driver};
