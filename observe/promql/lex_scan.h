/* lex_scan.h - what the files of the lexer share: characters, tokens and errors. */
#ifndef OBSERVE_PROMQL_LEX_SCAN_H
#define OBSERVE_PROMQL_LEX_SCAN_H

#include <sextant/utf8.h>

#include "observe/promql/lex.h"

enum { END = -1, REPLACEMENT = 0xfffd };

static inline bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_alpha(int c)
{
    return c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static inline bool is_word(int c)
{
    return is_alpha(c) || is_digit(c);
}

static inline bool is_one_of(int c, const char *set)
{
    return c > 0 && c < 128 && strchr(set, c);
}

/* The next byte; every sign of the language is ASCII. */
static inline int lex_peek(const promql_lexer *l)
{
    return l->at < l->text.len ? (unsigned char)l->text.data[l->at] : END;
}

static inline int lex_peek_second(const promql_lexer *l)
{
    return l->at + 1 < l->text.len ? (unsigned char)l->text.data[l->at + 1] : END;
}

/* The next character, consumed; U+FFFD for a byte that begins none. */
static inline int lex_next(promql_lexer *l)
{
    int c = lex_peek(l);
    if (c < 128) {
        l->at += c != END;
        return c;
    }
    uint32_t code = REPLACEMENT;
    size_t len = sx_utf8_decode(sx_str_from(l->text, l->at), &code);
    l->at += len ? len : 1;
    return (int)code;
}

static inline bool lex_accept(promql_lexer *l, const char *set)
{
    if (!is_one_of(lex_peek(l), set))
        return false;
    l->at++;
    return true;
}

/* The token that ends where the lexer stands; the second consumes `bytes` first. */
promql_token promql_lex_emit(promql_lexer *l, promql_token_kind kind);
promql_token promql_lex_emit_next(promql_lexer *l, promql_token_kind kind, size_t bytes);

/* An ERROR token at a place; at the token's start. */
promql_token promql_lex_fail_at(promql_lexer *l, size_t where, const char *message);
promql_token promql_lex_fail(promql_lexer *l, const char *message);

/* `before`, a character in single quotes, `after`. */
promql_token promql_lex_fail_char(promql_lexer *l, size_t where, const char *before, int c,
                                  const char *after);

/* `before` and the text since the token's start, in double quotes. */
promql_token promql_lex_fail_text(promql_lexer *l, const char *before);

/* What the next character begins. */
promql_token promql_lex_number(promql_lexer *l);
promql_token promql_lex_number_or_duration(promql_lexer *l);
promql_token promql_lex_string(promql_lexer *l);
promql_token promql_lex_word(promql_lexer *l);

/* step, range, max_of, min_of in brackets; false, letters consumed, for any other word. */
bool promql_lex_duration_word(promql_lexer *l, promql_token *out);

/* A keyword, or NUMBER (inf, nan), or IDENTIFIER. */
promql_token_kind promql_lex_word_kind(sx_str word);

#endif
