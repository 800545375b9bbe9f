/* csv_write.c - writing CSV (RFC 4180), quoting what a reader could mistake. */
#include <sextant/csv.h>

void sx_csv_writer_init(sx_csv_writer *w, sx_buf *out, const sx_csv_options *options)
{
    *w = (sx_csv_writer){
        .out = out,
        .delimiter = options && options->delimiter ? options->delimiter : ',',
        .quote = options && options->quote ? options->quote : '"',
    };
    w->special[(unsigned char)w->delimiter] = true;
    w->special[(unsigned char)w->quote] = true;
    w->special['\n'] = w->special['\r'] = true;
}

static bool needs_quotes(const sx_csv_writer *w, sx_str field)
{
    for (size_t i = 0; i < field.len; i++) {
        if (w->special[(unsigned char)field.data[i]])
            return true;
    }
    /* At the start of a file a reader would take it for a byte-order mark. */
    return sx_str_starts(field, SX_STR("\xef\xbb\xbf"));
}

static void put_quoted(sx_csv_writer *w, sx_str field)
{
    sx_buf_byte(w->out, w->quote);
    for (;;) {
        size_t quote = sx_str_find_byte(field, w->quote);
        sx_buf_str(w->out, sx_str_first(field, quote));
        if (quote == field.len)
            break;
        sx_buf_byte(w->out, w->quote);
        sx_buf_byte(w->out, w->quote);
        field = sx_str_from(field, quote + 1);
    }
    sx_buf_byte(w->out, w->quote);
}

void sx_csv_put(sx_csv_writer *w, sx_str field)
{
    if (w->column > 0)
        sx_buf_byte(w->out, w->delimiter);
    bool quoted = w->quote_all || needs_quotes(w, field);
    if (quoted)
        put_quoted(w, field);
    else
        sx_buf_str(w->out, field);
    w->lone_empty = w->column == 0 && field.len == 0 && !quoted;
    w->column++;
}

void sx_csv_end(sx_csv_writer *w)
{
    /* A record of one empty field would read back as a blank line, which is no record. */
    if (w->lone_empty || w->column == 0)
        put_quoted(w, sx_str_of("", 0));
    sx_buf_str(w->out, w->lf ? SX_STR("\n") : SX_STR("\r\n"));
    w->column = 0;
    w->lone_empty = false;
}
