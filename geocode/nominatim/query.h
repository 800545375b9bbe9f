/* query.h - a query taken apart: words, what each may stand for, and what a reading costs.
 *
 * A query is a row of nodes, the breaks between words. Tokens go from one node to another: a name of one
 * word or more, a house number, a postcode, a country, a kind of thing. A word that names know in some
 * place has a partial token, too. An assignment says which stretch is what; query_assign.c finds all
 * that make sense. Penalties are Nominatim 5.3.3's. Private to the search. */
#ifndef GEOCODE_NOMINATIM_QUERY_H
#define GEOCODE_NOMINATIM_QUERY_H

#include "geocode/nominatim/words.h"

enum {
    NOM_QUERY_BYTES_MAX = 8192, /* of all texts of a query */
    NOM_NODES_MAX = 96,         /* words and one; a longer query finds nothing */
    NOM_PHRASES_MAX = 64,
    NOM_SPAN_MAX = 19,  /* words of one token */
    NOM_TERM_MAX = 255, /* bytes of one token's text */
    NOM_ASSIGNMENTS_MAX = 2048,
    NOM_STATES_MAX = 20000,
    NOM_GUESS_STEPS_MAX = 7000, /* unless the query says otherwise; about half a millisecond */
};

#define NOM_NO_TOKEN UINT32_MAX

/* What a part of a structured query is; NOM_ANY: free form. */
typedef enum nom_phrase_kind {
    NOM_ANY,
    NOM_AMENITY,
    NOM_STREET,
    NOM_CITY,
    NOM_COUNTY,
    NOM_STATE,
    NOM_PHRASE_POSTCODE,
    NOM_PHRASE_COUNTRY,
} nom_phrase_kind;

typedef enum nom_token_kind {
    NOM_T_WORD,
    NOM_T_PARTIAL,
    NOM_T_NUMBER,
    NOM_T_POSTCODE,
    NOM_T_COUNTRY,
    NOM_T_QUALIFIER, /* "hotel" of "hotel bellevue" */
    NOM_T_NEAR,      /* "hotels in" of "hotels in vaduz" */
    NOM_T_KINDS
} nom_token_kind;

typedef struct nom_qtoken {
    double penalty;
    uint32_t token; /* NOM_NO_TOKEN: not in the index; of a phrase, its category */
    uint32_t count, address_count;
    sx_str lookup; /* the normal form it stands for; a house number, a postcode */
    uint16_t country;
} nom_qtoken;

/* All tokens of a kind from one node to another. */
typedef struct nom_qlist {
    uint16_t end;
    uint8_t kind; /* nom_token_kind */
    nom_qtoken *tokens;
    size_t count, cap;
    struct nom_qlist *next; /* from the same node, in the order they were found */
} nom_qlist;

typedef struct nom_node {
    char ends;    /* how the word before it ends: one of < > , : space - ` */
    uint8_t kind; /* nom_phrase_kind of what begins here */
    double penalty;
    sx_str ascii, normal; /* the word before it */
    nom_qlist *lists, *last;
    nom_qtoken *partial; /* of the word behind it; NULL: no name knows it */
} nom_node;

typedef struct nom_ask_part {
    nom_phrase_kind kind;
    sx_str text; /* as it was asked; then its normal form */
} nom_ask_part;

typedef struct nom_ask {
    const nom_words *words;
    sx_arena *arena; /* the query's own */
    nom_ask_part parts[NOM_PHRASES_MAX];
    uint32_t part_count;
    bool normal; /* parts are in their normal form already */
    nom_node nodes[NOM_NODES_MAX];
    uint32_t node_count; /* one more than words */
    double direction;    /* a penalty on reading from the left (above 0) or from the right */
    bool forgive;        /* typing errors: unknown words are guessed */
    uint32_t suspect; /* the node behind a word that is known, but guessed all the same; 0: none */
    uint32_t effort;  /* steps of guessing that are left to this query */
    uint32_t guesses; /* errors that were forgiven */
    sx_str last;      /* in place of the last word: what it becomes; empty: it is finished */
    bool failed;      /* no memory */
} nom_ask;

static inline double nom_break_penalty(const nom_node *n)
{
    return n->penalty > 0 ? n->penalty : 0;
}

static inline double nom_continue_penalty(const nom_node *n)
{
    return n->penalty < 0 ? -n->penalty : 0;
}

/* Takes q->parts apart. Errors: SX_ELIMIT (too many words), SX_ENOMEM. With no words nothing is found. */
sx_status nom_ask_analyse(nom_ask *q, sx_error *err);

/* A list of tokens of a kind between two nodes; NULL if there is none. */
nom_qlist *nom_ask_list(const nom_ask *q, uint32_t start, uint32_t end, nom_token_kind kind);

/* Adds a token unless the phrase cannot hold its kind; returns it, or NULL. */
nom_qtoken *nom_ask_add(nom_ask *q, uint32_t start, uint32_t end, nom_token_kind kind,
                        nom_qtoken token);

/* How far `asked` is from what a token stands for, as a share of that (query_match.c). */
double nom_match_penalty(sx_str lookup, sx_str asked);

/* --- Assignments. */

typedef struct nom_range {
    uint8_t start, end; /* nodes; both 0: not there */
} nom_range;

static inline bool nom_is_range(nom_range r)
{
    return r.end > r.start;
}

typedef struct nom_assignment {
    double penalty;
    nom_range name, number, postcode, country, near, qualifier;
    nom_range address[NOM_NODES_MAX];
    uint32_t address_count;
} nom_assignment;

/* Calls `each` with every assignment; it returns false to stop. */
typedef bool nom_assignment_each(void *context, const nom_assignment *a);
void nom_ask_assign(nom_ask *q, nom_assignment_each *each, void *context);

#endif
