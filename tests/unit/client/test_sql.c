/* test_sql.c - what a span says of a statement. */
#include "tests/unit/base/cmocka_all.h"

#include <stdio.h>

#include "client/sql.h"

static void test_statements_are_summarized(void **state)
{
    static const struct {
        const char *sql, *operation, *table, *text;
    } ROWS[] = {
        {"SELECT 1", "SELECT", "", "SELECT ?"},
        {"select a, 'it''s' from Items where b = 7", "SELECT", "Items",
         "select a, ? from Items where b = ?"},
        {"  -- note\n /* more /* nested */ */ SELECT * FROM a.\"B c\" x", "SELECT", "a.\"B c\"",
         "SELECT * FROM a.\"B c\" x"},
        {"INSERT INTO t (a) VALUES (E'x\\'y', $1, :b, 0x1F, 1.5e-3)", "INSERT", "t",
         "INSERT INTO t (a) VALUES (?, $1, :b, ?, ?)"},
        {"UPDATE ONLY public.t SET a=$$x'y$$, b=$q$ $$ $q$", "UPDATE", "public.t",
         "UPDATE ONLY public.t SET a=?, b=?"},
        {"DELETE FROM t1 WHERE id=-5", "DELETE", "t1", "DELETE FROM t1 WHERE id=-?"},
        {"WITH x AS (SELECT a FROM hidden) INSERT INTO seen SELECT * FROM x", "INSERT", "seen",
         "WITH x AS (SELECT a FROM hidden) INSERT INTO seen SELECT * FROM x"},
        {"CREATE TABLE IF NOT EXISTS t (a int)", "CREATE", "t",
         "CREATE TABLE IF NOT EXISTS t (a int)"},
        {"SELECT * FROM (SELECT 1) s JOIN real_one r ON true", "SELECT", "real_one",
         "SELECT * FROM (SELECT ?) s JOIN real_one r ON true"},
        {"SELECT a::text, ?1 FROM t", "SELECT", "t", "SELECT a::text, ?1 FROM t"},
        {"BEGIN", "BEGIN", "", "BEGIN"},
        {"", "?", "", ""},
        {"'unclosed", "?", "", "?"},
        {"/* unclosed", "?", "", ""},
        {"$$unclosed", "?", "", "?"},
    };
    (void)state;
    for (size_t i = 0; i < SX_COUNT_OF(ROWS); i++) {
        sql_summary s;
        char operation[16];
        sql_summarize(sx_str_z(ROWS[i].sql), &s);
        assert_string_equal(s.operation, ROWS[i].operation);
        assert_string_equal(s.table, ROWS[i].table);
        assert_string_equal(s.text, ROWS[i].text);
        sql_operation(sx_str_z(ROWS[i].sql), operation);
        if (strncmp(ROWS[i].sql, "WITH", 4) != 0)
            assert_string_equal(operation, ROWS[i].operation);
    }
}

static void test_long_and_cut_statements_are_bounded(void **state)
{
    static char big[100000];
    sql_summary s;
    (void)state;
    memset(big, 'x', sizeof(big));
    memcpy(big, "SELECT ", 7);
    sql_summarize(sx_str_of(big, sizeof(big)), &s);
    assert_string_equal(s.operation, "SELECT");
    assert_true(s.text_len <= SQL_TEXT_BYTES && sx_str_ends(sx_str_z(s.text), SX_STR("...")));
    static const char SQL[] =
        "WITH a AS (SELECT E'\\'' /*c*/ -- d\n) UPDATE \"t\".x SET b=$q$ 1 $q$, c=.5";
    for (size_t n = 0; n <= sizeof(SQL) - 1; n++) {
        char *exact = test_malloc(n + 1); /* so that a read past the end is seen */
        memcpy(exact, SQL, n);
        sql_summarize(sx_str_of(exact, n), &s);
        assert_null(strstr(s.text, "'"));
        test_free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements_are_summarized),
        cmocka_unit_test(test_long_and_cut_statements_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
