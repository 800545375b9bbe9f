/* rules_tool.c - rule files as the observatory reads them, for tests that stand beside promtool.
 *
 *   rules_tool check FILE    faults and lints, a line each; exit status 0, 1 (faults), 3 (lints)
 *   rules_tool test FILE...  runs unit tests of rules; promtool's exit status */
#include <stdio.h>
#include <string.h>

#include "observe/rules/rule_file.h"
#include "observe/rules/unit_test.h"

static int check(const char *path)
{
    rule_file *file;
    sx_buf problems;
    sx_error err;
    int verdict = 0;
    sx_buf_init(&problems, 0);
    if (rule_file_load(path, NULL, &file, &problems, &err) != SX_OK)
        verdict = 1;
    else if (rule_file_lint(file, &problems))
        verdict = 3;
    if (verdict != 1)
        printf("%u rules found\n", file->rule_count);
    printf("%.*s", SX_ARG(sx_buf_view(&problems)));
    rule_file_free(file);
    sx_buf_done(&problems);
    return verdict;
}

static int test(const char *const *paths, size_t count)
{
    sx_buf out;
    sx_buf_init(&out, 0);
    int verdict = rule_unit_test_run(paths, count, NULL, &out);
    printf("%.*s", SX_ARG(sx_buf_view(&out)));
    sx_buf_done(&out);
    return verdict;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    if (argc > 2 && strcmp(argv[1], "test") == 0)
        return test((const char *const *)argv + 2, (size_t)argc - 2);
    fprintf(stderr, "usage: rules_tool check FILE | rules_tool test FILE...\n");
    return 2;
}
