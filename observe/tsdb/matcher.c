/* matcher.c - one condition on a label: compiled once, asked for every value of the label.
 *
 * Prometheus wraps an expression as ^(?s:...)$; sx_regex_match() is about the whole subject, which is
 * the same. Literals, prefixes and alternations never reach RE2 (regex.h). */
#include "observe/tsdb/labels.h"

sx_status tsdb_matcher_init(tsdb_matcher *m, tsdb_match_kind kind, sx_str name, sx_str value,
                            sx_error *err)
{
    *m = (tsdb_matcher){.kind = kind, .name = name, .value = value};
    if (kind == TSDB_MATCH_EQUAL || kind == TSDB_MATCH_NOT_EQUAL)
        return SX_OK;
    return sx_regex_new(&m->regex, value, &(sx_regex_options){.flags = SX_REGEX_FULL_ONLY}, err);
}

void tsdb_matcher_done(tsdb_matcher *m)
{
    sx_regex_free(m->regex);
    m->regex = NULL;
}

bool tsdb_matcher_matches(const tsdb_matcher *m, sx_str value)
{
    switch (m->kind) {
    case TSDB_MATCH_EQUAL:
        return sx_str_eq(m->value, value);
    case TSDB_MATCH_NOT_EQUAL:
        return !sx_str_eq(m->value, value);
    case TSDB_MATCH_REGEX:
        return sx_regex_match(m->regex, value);
    case TSDB_MATCH_NOT_REGEX:
        return !sx_regex_match(m->regex, value);
    }
    return false;
}

bool tsdb_matchers_match(const tsdb_matcher *m, size_t count, tsdb_labels l)
{
    for (size_t i = 0; i < count; i++) {
        if (!tsdb_matcher_matches(&m[i], tsdb_labels_get(l, m[i].name)))
            return false;
    }
    return true;
}
