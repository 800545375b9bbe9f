/* json_lines.c - whole lines out of a stream that arrives in chunks.
 *
 * A line that lies in one chunk is given as a view of it; only one that a chunk's end cuts is put
 * together in `held`. */
#include <sextant/json.h>

void sx_json_lines_init(sx_json_lines *l, size_t line_bytes_max)
{
    *l = (sx_json_lines){.chunk = SX_STR_INIT(""),
                         .line_bytes_max = line_bytes_max ? line_bytes_max : (size_t)16 << 20};
    sx_buf_init(&l->held, 0);
}

void sx_json_lines_done(sx_json_lines *l)
{
    sx_buf_done(&l->held);
}

void sx_json_lines_feed(sx_json_lines *l, sx_str chunk)
{
    sx_assert(l->chunk.len == 0 && !l->ended);
    l->chunk = chunk.len ? chunk : SX_STR("");
    l->ended = chunk.len == 0;
}

static bool is_blank(sx_str line)
{
    for (size_t i = 0; i < line.len; i++) {
        char c = line.data[i];
        if (c != ' ' && c != '\t' && c != '\r')
            return false;
    }
    return true;
}

static sx_status too_long(const sx_json_lines *l, sx_error *err)
{
    return sx_fail(err, SX_ELIMIT, "line %llu is longer than the limit of %zu bytes",
                   (unsigned long long)l->line, l->line_bytes_max);
}

/* Keeps the beginning of a line. What cannot be kept is refused at once and dropped to its end. */
static sx_status hold(sx_json_lines *l, sx_str part, sx_error *err)
{
    if (l->discarding)
        return SX_AGAIN;
    sx_status status = SX_AGAIN;
    if (part.len > l->line_bytes_max - l->held.len) {
        l->line++;
        status = too_long(l, err);
    } else {
        sx_buf_str(&l->held, part);
        if (l->held.failed) {
            l->line++;
            status =
                sx_fail(err, SX_ENOMEM, "out of memory for line %llu", (unsigned long long)l->line);
        }
    }
    if (status != SX_AGAIN) {
        l->discarding = true;
        sx_buf_clear(&l->held);
    }
    return status;
}

/* The line whose end was found is `part`, or `held` and `part`. SX_AGAIN: nothing to give. */
static sx_status give(sx_json_lines *l, sx_str part, sx_str *line, sx_error *err)
{
    if (l->discarding) {
        l->discarding = false;
        return SX_AGAIN;
    }
    if (l->held.len > 0) {
        sx_status status = hold(l, part, err);
        l->discarding = false;
        if (status != SX_AGAIN)
            return status;
        part = sx_buf_view(&l->held);
        l->given = true;
    }
    l->line++;
    if (part.len > l->line_bytes_max)
        return too_long(l, err);
    if (is_blank(part))
        return SX_AGAIN;
    *line = part;
    return SX_OK;
}

sx_status sx_json_lines_next(sx_json_lines *l, sx_str *line, sx_error *err)
{
    for (;;) {
        if (l->given) {
            sx_buf_clear(&l->held);
            l->given = false;
        }
        sx_str part, rest;
        sx_status status;
        if (sx_str_cut(l->chunk, '\n', &part, &rest)) {
            l->chunk = rest;
            status = give(l, part, line, err);
            if (status == SX_AGAIN)
                continue;
            return status;
        }
        l->chunk = SX_STR("");
        if (part.len > 0)
            return hold(l, part, err);
        if (!l->ended)
            return SX_AGAIN;
        if (l->held.len == 0)
            return SX_END;
        status = give(l, part, line, err);
        return status == SX_AGAIN ? SX_END : status;
    }
}
