/* csv_read.c - a state machine over characters; plain runs are copied whole.
 *
 *     AT_ROW  nothing of a row was met       IN_QUOTES    after an opening quote
 *     AT_FIELD  a delimiter was met          AFTER_QUOTE  a quote inside quotes: the end, or doubled
 *     IN_FIELD  text without quotes */
#include "geocode/api/csv_read.h"

#include <sextant/mem.h>
#include <sextant/utf8.h>

enum { AT_ROW, AT_FIELD, IN_FIELD, IN_QUOTES, AFTER_QUOTE };

void geo_csv_rows_done(geo_csv_rows *rows)
{
    sx_buf_done(&rows->text);
    sx_free(rows->ends);
    memset(rows, 0, sizeof(*rows));
}

void geo_csv_rows_clear(geo_csv_rows *rows)
{
    sx_buf_clear(&rows->text);
    rows->field_count = rows->count = 0;
}

void geo_csv_reader_init(geo_csv_reader *r, const geo_csv_dialect *dialect, size_t row_bytes_max)
{
    static const unsigned char ENDS[] = {'\r', '\n', 0x0b, 0x0c, 0x1c, 0x1d, 0x1e, 0xc2, 0xe2};
    memset(r, 0, sizeof(*r));
    r->dialect = *dialect;
    r->row_bytes_max = row_bytes_max;
    r->is_blank_wanted = true;
    for (size_t i = 0; i < sizeof(ENDS); i++)
        r->special[ENDS[i]] = true;
    r->special[(unsigned char)dialect->delimiter.bytes[0]] = true;
    r->special[(unsigned char)dialect->quote.bytes[0]] = true;
}

/* Characters that end a line but, unlike LF, are part of it. */
static bool ends_line(sx_str c)
{
    if (c.len == 1)
        return c.data[0] == 0x0b || c.data[0] == 0x0c || (c.data[0] >= 0x1c && c.data[0] <= 0x1e);
    return sx_str_eq(c, SX_STR("\xc2\x85")) || sx_str_eq(c, SX_STR("\xe2\x80\xa8")) ||
           sx_str_eq(c, SX_STR("\xe2\x80\xa9"));
}

static bool is_char(sx_str c, const geo_csv_char *wanted)
{
    return c.len == wanted->len && memcmp(c.data, wanted->bytes, c.len) == 0;
}

/* The row that is being read: it begins after the last one. */
static size_t row_first_field(const geo_csv_rows *rows)
{
    return rows->count ? rows->rows[rows->count - 1].first + rows->rows[rows->count - 1].count : 0;
}

static size_t row_bytes(const geo_csv_rows *rows)
{
    size_t first = row_first_field(rows);
    size_t from = first ? rows->ends[first - 1] : 0;
    /* Each field counts one more, or a row of delimiters alone would have no length. */
    return rows->text.len - from + (rows->field_count - first);
}

static void add(geo_csv_reader *r, geo_csv_rows *rows, sx_str text)
{
    if (r->is_cut) /* nothing after the first character that had no room */
        return;
    size_t had = row_bytes(rows);
    size_t room = had < r->row_bytes_max ? r->row_bytes_max - had : 0;
    if (sx_unlikely(text.len > room)) {
        text = sx_utf8_first(text, room);
        r->is_cut = true;
    }
    sx_buf_str(&rows->text, text);
}

static bool end_field(geo_csv_reader *r, geo_csv_rows *rows)
{
    if (row_bytes(rows) >= r->row_bytes_max && rows->field_count > row_first_field(rows)) {
        r->is_cut = true;
        return true;
    }
    if (!sx_grow(&rows->ends, &rows->field_cap, rows->field_count + 1, sizeof(*rows->ends)))
        return false;
    rows->ends[rows->field_count++] = rows->text.len;
    return true;
}

static void end_row(geo_csv_reader *r, geo_csv_rows *rows)
{
    size_t first = row_first_field(rows);
    size_t count = rows->field_count - first;
    if (count || r->is_blank_wanted) {
        r->is_blank_wanted = false;
        rows->rows[rows->count++] = (geo_csv_row){first, count, r->number++, r->is_cut};
    }
    r->is_cut = false;
    r->state = AT_ROW;
}

/* The end of a line: inside quotes it is text, unless it was already taken as such. */
static bool line_end(geo_csv_reader *r, geo_csv_rows *rows, sx_str as_text)
{
    switch (r->state) {
    case IN_QUOTES:
        add(r, rows, as_text);
        return true;
    case AT_ROW:
        break; /* a blank line has no fields */
    default:
        if (!end_field(r, rows))
            return false;
    }
    end_row(r, rows);
    return true;
}

/* One character that may mean something. */
static bool take_char(geo_csv_reader *r, geo_csv_rows *rows, sx_str c)
{
    bool is_quote = is_char(c, &r->dialect.quote);
    bool is_delimiter = is_char(c, &r->dialect.delimiter);
    switch (r->state) {
    case AT_ROW:
    case AT_FIELD:
        r->state = AT_FIELD;
        if (is_quote) {
            r->state = IN_QUOTES;
            return true;
        }
        if (r->dialect.skip_space && c.data[0] == ' ')
            return true;
        if (is_delimiter)
            return end_field(r, rows);
        break;
    case IN_FIELD:
        if (is_delimiter) {
            r->state = AT_FIELD;
            return end_field(r, rows);
        }
        break;
    case IN_QUOTES:
        if (is_quote)
            r->state = AFTER_QUOTE;
        else
            add(r, rows, c);
        return true;
    default: /* AFTER_QUOTE */
        if (is_quote) {
            add(r, rows, c);
            r->state = IN_QUOTES;
            return true;
        }
        if (is_delimiter) {
            r->state = AT_FIELD;
            return end_field(r, rows);
        }
    }
    add(r, rows, c);
    r->state = IN_FIELD;
    return true;
}

/* Bytes from the start of `in` that mean nothing in any state but the first two. */
static size_t plain_run(const geo_csv_reader *r, sx_str in)
{
    size_t len = 0;
    while (len < in.len && !r->special[(unsigned char)in.data[len]])
        len++;
    return len;
}

static bool take_special(geo_csv_reader *r, geo_csv_rows *rows, sx_str c)
{
    if (c.data[0] == '\r')
        return true;
    if (c.data[0] == '\n')
        return line_end(r, rows, SX_STR("\r\n"));
    if (!take_char(r, rows, c))
        return false;
    return !ends_line(c) || line_end(r, rows, SX_STR(""));
}

sx_status geo_csv_read(geo_csv_reader *r, sx_str *in, size_t text_most, geo_csv_rows *rows)
{
    while (in->len && rows->count < GEO_CSV_ROWS &&
           (rows->text.len < text_most || r->state != AT_ROW)) {
        size_t plain = r->state == IN_FIELD || r->state == IN_QUOTES ? plain_run(r, *in) : 0;
        if (plain) {
            add(r, rows, sx_str_first(*in, plain));
            *in = sx_str_from(*in, plain);
            continue;
        }
        uint32_t code;
        size_t len = sx_utf8_decode(*in, &code);
        sx_assert(len > 0); /* decoded by us */
        if (!take_special(r, rows, sx_str_first(*in, len)))
            return SX_ENOMEM;
        *in = sx_str_from(*in, len);
    }
    return rows->text.failed ? SX_ENOMEM : SX_OK;
}

bool geo_csv_between_rows(const geo_csv_reader *r)
{
    return r->state == AT_ROW;
}

sx_status geo_csv_read_end(geo_csv_reader *r, geo_csv_rows *rows)
{
    r->is_quote_open = r->state == IN_QUOTES;
    if (r->state != AT_ROW) {
        if (!end_field(r, rows))
            return SX_ENOMEM;
        end_row(r, rows);
    }
    return rows->text.failed ? SX_ENOMEM : SX_OK;
}

/* ---- writing ---- */

static sx_str view(const geo_csv_char *c)
{
    return sx_str_of(c->bytes, c->len);
}

static bool needs_quotes(const geo_csv_dialect *d, sx_str field)
{
    return d->quote_all || sx_str_find_byte(field, '\n') < field.len ||
           sx_str_find_byte(field, '\r') < field.len ||
           sx_str_find(field, view(&d->delimiter)) < field.len ||
           sx_str_find(field, view(&d->quote)) < field.len;
}

void geo_csv_put(const geo_csv_dialect *d, sx_buf *out, geo_csv_place place, sx_str field)
{
    if (place == GEO_CSV_LATER)
        sx_buf_str(out, view(&d->delimiter));
    if (!needs_quotes(d, field)) {
        sx_buf_str(out, field);
        return;
    }
    sx_buf_str(out, view(&d->quote));
    while (field.len) {
        size_t quote = sx_str_find(field, view(&d->quote));
        sx_buf_str(out, sx_str_first(field, quote));
        field = sx_str_from(field, quote);
        if (field.len) {
            sx_buf_str(out, view(&d->quote));
            sx_buf_str(out, view(&d->quote));
            field = sx_str_from(field, d->quote.len);
        }
    }
    sx_buf_str(out, view(&d->quote));
}

void geo_csv_end(const geo_csv_dialect *d, sx_buf *out)
{
    sx_buf_str(out, d->lf ? SX_STR("\n") : SX_STR("\r\n"));
}
