/* go_text.h - numbers, quoted strings and durations as Go's strconv and time read and write them.
 *
 * Prometheus's formats, answers and error messages have them everywhere, and templates are Go's.
 * Source: the documentation of Go's strconv, ParseFloat and Quote, and of time,
 * ParseDuration and Duration.String. */
#ifndef CODEC_GO_TEXT_H
#define CODEC_GO_TEXT_H

#include <sextant/buf.h>
#include <sextant/error.h>
#include <sextant/str.h>

/* Reads all of `text` as ParseFloat does: decimal with an optional sign, ".5", "5." and leading
 * zeros, hexadecimal with an exponent (0x1.8p3), "_" between digits; inf, infinity and nan in any
 * case (NaN has Go's bits). Returns NULL, or why not: "invalid syntax", also for more than 4000
 * bytes, or "value out of range"; *out is untouched then. Allocates nothing. */
const char *go_float_read(sx_str text, double *out);

/* Appends `text` in double quotes as Quote does: what is not printable or not UTF-8 becomes \n,
 * \x7f, \u200b and the like. A failure is the buffer's to tell. */
void go_quote(sx_str text, sx_buf *out);

/* The same as QuoteToASCII: everything beyond ASCII becomes \u or \U. */
void go_quote_ascii(sx_str text, sx_buf *out);

/* Reads all of `text` as ParseDuration does: "1h30m", "1.5ms", "-2us", "0". Nanoseconds; what is finer
 * is cut off. SX_EINVAL in Go's words, *ns is untouched then. */
sx_status go_duration_read(sx_str text, int64_t *ns, sx_error *err);

/* Appends nanoseconds as Go prints a duration: 1h0m0s, 1m2.5s, 503.5ms, 0s. */
void go_duration_write(int64_t ns, sx_buf *out);

#endif
