/* regex_shim.cc - RE2 behind functions of C. No exception leaves this file. */
#include "base/regex_shim.h"

#include <cstdio>
#include <new>
#include <string>

#include <re2/re2.h>

enum { GROUPS_MAX = 64 };

struct sx_re2 {
    re2::RE2 re;

    sx_re2(const re2::StringPiece &pattern, const re2::RE2::Options &options) : re(pattern, options)
    {
    }
};

static sx_re2_fault fault_of(re2::RE2::ErrorCode code)
{
    return code == re2::RE2::ErrorPatternTooLarge ? SX_RE2_TOO_BIG : SX_RE2_SYNTAX;
}

sx_re2 *sx_re2_new(sx_str pattern, const sx_re2_options *options, sx_re2_fault *fault,
                   char *message, size_t message_cap)
{
    *fault = SX_RE2_MEMORY;
    try {
        re2::RE2::Options wanted;
        wanted.set_log_errors(false); /* errors are the caller's to report, not stderr's */
        wanted.set_max_mem(options->memory_max);
        wanted.set_case_sensitive(!options->caseless);
        wanted.set_dot_nl(options->dot_matches_line);
        wanted.set_never_capture(!options->captures);
        sx_re2 *made = new sx_re2(re2::StringPiece(pattern.data, pattern.len), wanted);
        if (made->re.ok()) {
            *fault = SX_RE2_OK;
            return made;
        }
        *fault = fault_of(made->re.error_code());
        snprintf(message, message_cap, "%s", made->re.error().c_str());
        delete made;
    } catch (const std::bad_alloc &) {
        *fault = SX_RE2_MEMORY;
    }
    return nullptr;
}

void sx_re2_free(sx_re2 *re)
{
    delete re;
}

bool sx_re2_match(const sx_re2 *re, sx_str subject, size_t start, bool whole, sx_str *groups,
                  size_t count)
{
    re2::StringPiece found[GROUPS_MAX];
    re2::StringPiece text(subject.data ? subject.data : "", subject.len);
    size_t known = (size_t)re->re.NumberOfCapturingGroups() + 1;
    size_t asked = count < known ? count : known;
    asked = asked < GROUPS_MAX ? asked : (size_t)GROUPS_MAX;
    try {
        if (!re->re.Match(text, start, subject.len,
                          whole ? re2::RE2::ANCHOR_BOTH : re2::RE2::UNANCHORED, found, (int)asked))
            return false;
    } catch (const std::bad_alloc &) {
        return false;
    }
    for (size_t i = 0; i < count; i++)
        groups[i] = i < asked ? sx_str_of(found[i].data(), found[i].size()) : sx_str_of(nullptr, 0);
    return true;
}

size_t sx_re2_group_count(const sx_re2 *re)
{
    return (size_t)re->re.NumberOfCapturingGroups();
}

int sx_re2_group_index(const sx_re2 *re, sx_str name)
{
    for (const auto &group : re->re.NamedCapturingGroups()) {
        if (group.first.size() == name.len &&
            group.first.compare(0, name.len, name.data, name.len) == 0)
            return group.second;
    }
    return -1;
}
