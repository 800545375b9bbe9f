/* Summaries of SQL. Any text has one within its bounds, with no quoted text in it, and the operation by
 * itself is the same but for what follows WITH. */
#include "client/sql.h"

#include <sextant/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sql_summary s;
    char operation[16];
    sx_str sql = sx_str_of(data, size);
    sql_summarize(sql, &s);
    sql_operation(sql, operation);
    sx_assert(s.text_len < SQL_TEXT_BYTES && s.text[s.text_len] == '\0');
    if (!memchr(s.text, '"', s.text_len) && !memchr(s.text, '`', s.text_len)) /* else in a name */
        sx_assert(!memchr(s.text, '\'', s.text_len));
    sx_assert(memchr(s.operation, '\0', sizeof(s.operation)));
    sx_assert(memchr(s.table, '\0', sizeof(s.table)));
    if (strcmp(operation, "WITH") != 0)
        sx_assert(strcmp(operation, s.operation) == 0);
    return 0;
}
