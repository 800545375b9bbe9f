/* sql.h - what a span may say of an SQL statement: its operation, its first table, its text without
 * values.
 *
 * A lexer, not a parser: it knows comments, quoting and numbers as PostgreSQL and SQLite write them and
 * nothing of the grammar, so any text has a summary. Literals become '?', as OpenTelemetry asks: they
 * may be somebody's name or password. */
#ifndef SEXTANT_CLIENT_SQL_H
#define SEXTANT_CLIENT_SQL_H

#include <sextant/str.h>

enum { SQL_TEXT_BYTES = 1024, SQL_WORD_BYTES = 64 };

typedef struct sql_summary {
    char operation[16];         /* upper case: "SELECT"; "?" if the text begins with no word */
    char table[SQL_WORD_BYTES]; /* "" if none was seen */
    char text[SQL_TEXT_BYTES];  /* cut with "..." */
    size_t text_len;
} sql_summary;

/* Any bytes. Allocates nothing. */
void sql_summarize(sx_str sql, sql_summary *out);

/* The operation alone: cheaper where no span is recorded. */
void sql_operation(sx_str sql, char out[16]);

#endif
