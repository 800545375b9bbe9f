/* template_lex.h - the tokens inside a template's actions. */
#ifndef SEXTANT_CODEC_TEMPLATE_LEX_H
#define SEXTANT_CODEC_TEMPLATE_LEX_H

#include "codec/template_internal.h"

typedef enum ttoken_kind {
    TTOKEN_END,   /* of the text */
    TTOKEN_RIGHT, /* of the action */
    TTOKEN_SPACE,
    TTOKEN_NAME,    /* function, or true, false, nil */
    TTOKEN_KEYWORD, /* if, range ... */
    TTOKEN_FIELD,   /* .Name */
    TTOKEN_DOT,
    TTOKEN_VARIABLE, /* $, $name */
    TTOKEN_NUMBER,
    TTOKEN_CHARACTER,  /* 'x' */
    TTOKEN_STRING,     /* "..." */
    TTOKEN_RAW_STRING, /* `...` */
    TTOKEN_DECLARE,    /* := */
    TTOKEN_ASSIGN,     /* = */
    TTOKEN_PIPE,
    TTOKEN_LEFT_PAREN,
    TTOKEN_RIGHT_PAREN,
    TTOKEN_COMMA,
    TTOKEN_OTHER, /* a character that means nothing here */
    TTOKEN_BAD,   /* `why` says what is wrong */
} ttoken_kind;

typedef struct ttoken {
    ttoken_kind kind;
    sx_str text;
    const char *why;
} ttoken;

typedef struct tlexer {
    sx_str text;
    size_t at;
    sx_str left, right;
    int parens;
    bool trim_next; /* the action ended with a trim marker: the text after it loses its blanks */
} tlexer;

/* The text up to the next action or the end, trimmed as the markers say; false: none is left. On
 * true *action tells whether an action follows, in which case the lexer is inside it. A comment is
 * skipped. SX_EFORMAT through *why: an unclosed comment. */
bool template_lex_text(tlexer *l, sx_str *text, bool *action, const char **why);

/* The next token of an action. */
ttoken template_lex(tlexer *l);

#endif
