/* query.c - takes a query apart; see query.h.
 *
 * Texts are brought into their normal form, split where spaces, '-' and ':' are, and each word into
 * its search form. All runs of words are looked up at once, one hash extended word by word. */
#include "geocode/nominatim/query.h"

#include "geocode/nominatim/query_fuzzy.h"
#include "geocode/words/words.h"

enum { PHRASE_LETTERS_MAX = 500, POSTCODE_WORDS = 3, NUMBER_LETTERS_MAX = 4 };

#define PARTIAL_PENALTY 0.3

static sx_str keep(nom_ask *q, sx_str text)
{
    sx_str copy = sx_arena_copy(q->arena, text);
    q->failed |= !copy.data;
    return copy;
}

static bool is_part(char c)
{
    return c == ' ' || c == '-' || c == ':';
}

static sx_str strip(sx_str s)
{
    while (s.len && is_part(s.data[0]))
        s = sx_str_from(s, 1);
    while (s.len && is_part(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool is_digits(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.len > 0;
}

static size_t letters_in(sx_str s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += ((uint8_t)s.data[i] & 0xC0) != 0x80;
    return count;
}

/* Parts in their normal form; those of which nothing is left are dropped, as are endless ones. */
static void normalise(nom_ask *q)
{
    uint32_t count = 0;
    sx_buf out = {0};
    for (uint32_t i = 0; i < q->part_count; i++) {
        sx_buf_clear(&out);
        wrd_normal_query(q->parts[i].text, &out);
        sx_str text = strip(sx_buf_view(&out));
        q->failed |= out.failed;
        if (text.len == 0 || letters_in(text) >= PHRASE_LETTERS_MAX)
            continue;
        q->parts[count].kind = q->parts[i].kind;
        q->parts[count++].text = keep(q, text);
    }
    sx_buf_done(&out);
    q->part_count = count;
}

/* --- Words. */

static bool add_node(nom_ask *q, nom_phrase_kind kind, sx_str ascii, sx_str normal)
{
    if (ascii.len == 0 || ascii.len > NOM_TERM_MAX)
        return true;
    if (q->node_count == NOM_NODES_MAX)
        return false;
    q->nodes[q->node_count++] = (nom_node){
        .ends = '`', .kind = (uint8_t)kind, .ascii = keep(q, ascii), .normal = keep(q, normal)};
    return true;
}

/* A word whose search form has spaces (Chinese): each piece with the letters that it comes from. */
static bool add_pieces(nom_ask *q, nom_phrase_kind kind, sx_str word, sx_str ascii)
{
    sx_buf form = {0};
    sx_str piece, rest = sx_str_trim(ascii);
    size_t from = 0, at = 0;
    bool good = true;
    uint32_t code;
    (void)sx_str_cut(rest, ' ', &piece, &rest);
    while (at < word.len && good) {
        at += wrd_letter(sx_str_from(word, at), &code);
        sx_str letters = sx_str_of(word.data + from, at - from);
        sx_buf_clear(&form);
        wrd_ascii(letters, &form);
        if (!sx_str_eq(sx_str_trim(sx_buf_view(&form)), piece))
            continue;
        good = add_node(q, kind, piece, letters);
        from = at;
        piece = sx_str_of("", 0);
        if (rest.len == 0)
            break;
        (void)sx_str_cut(rest, ' ', &piece, &rest);
    }
    if (from < word.len && piece.len)
        good = good && add_node(q, kind, piece, sx_str_from(word, from));
    q->failed |= form.failed;
    sx_buf_done(&form);
    return good;
}

static bool split_part(nom_ask *q, const nom_ask_part *part)
{
    sx_buf ascii = {0};
    bool good = true;
    q->nodes[q->node_count - 1].kind = (uint8_t)part->kind;
    for (size_t from = 0, at = 0; at <= part->text.len && good; at++) {
        if (at < part->text.len && !is_part(part->text.data[at]))
            continue;
        sx_str word = sx_str_from(sx_str_first(part->text, at), from);
        from = at + 1;
        if (word.len == 0)
            continue;
        sx_buf_clear(&ascii);
        wrd_ascii(word, &ascii);
        sx_str text = sx_buf_view(&ascii);
        q->failed |= ascii.failed;
        if (text.len == 0)
            continue;
        if (sx_str_find_byte(text, ' ') == text.len)
            good = add_node(q, part->kind, text, word);
        else
            good = add_pieces(q, part->kind, word, text);
        q->nodes[q->node_count - 1].ends = at < part->text.len ? part->text.data[at] : ',';
    }
    sx_buf_done(&ascii);
    return good;
}

/* --- Tokens. */

nom_qlist *nom_ask_list(const nom_ask *q, uint32_t start, uint32_t end, nom_token_kind kind)
{
    for (nom_qlist *list = q->nodes[start].lists; list; list = list->next)
        if (list->end == end && list->kind == kind)
            return list;
    return NULL;
}

/* Whether a phrase of a structured query can hold such a token; `whole`: it would be all of it. */
static bool can_hold(unsigned phrase, nom_token_kind kind, bool whole)
{
    bool name = kind == NOM_T_WORD || kind == NOM_T_PARTIAL;
    switch (phrase) {
    case NOM_ANY:
        return !whole || kind != NOM_T_QUALIFIER;
    case NOM_AMENITY:
        return name || (whole && kind == NOM_T_NEAR) || (!whole && kind == NOM_T_QUALIFIER);
    case NOM_STREET:
        return name || kind == NOM_T_NUMBER;
    case NOM_PHRASE_POSTCODE:
        return kind == NOM_T_POSTCODE;
    case NOM_PHRASE_COUNTRY:
        return kind == NOM_T_COUNTRY;
    default:
        return name;
    }
}

static bool is_edge(char c)
{
    return c == ',' || c == '<' || c == '>';
}

nom_qtoken *nom_ask_add(nom_ask *q, uint32_t start, uint32_t end, nom_token_kind kind,
                        nom_qtoken token)
{
    nom_node *node = &q->nodes[start];
    bool whole = is_edge(node->ends) && is_edge(q->nodes[end].ends);
    if (kind == NOM_T_PARTIAL) {
        if (!can_hold(node->kind, kind, false) || node->partial)
            return NULL;
        node->partial = sx_arena_alloc(q->arena, sizeof(token));
        if (node->partial)
            *node->partial = token;
        q->failed |= !node->partial;
        return node->partial;
    }
    if (!can_hold(node->kind, kind, whole))
        return NULL;
    nom_qlist *list = nom_ask_list(q, start, end, kind);
    if (!list) {
        list = sx_arena_calloc(q->arena, 1, sizeof(*list));
        if (!list) {
            q->failed = true;
            return NULL;
        }
        list->end = (uint16_t)end;
        list->kind = (uint8_t)kind;
        if (node->last)
            node->last->next = list;
        else
            node->lists = list;
        node->last = list;
    }
    if (!sx_arena_grow(q->arena, &list->tokens, &list->cap, list->count + 1, sizeof(token))) {
        q->failed = true;
        return NULL;
    }
    list->tokens[list->count] = token;
    return &list->tokens[list->count++];
}

/* What a token costs before anything around it is looked at. */
static double own_penalty(const nom_disk_entry *e, sx_str term, sx_str lookup)
{
    double penalty = 0;
    size_t digits = 0, others = 0;
    for (size_t i = 0; i < term.len; i++) {
        digits += term.data[i] >= '0' && term.data[i] <= '9';
        others += term.data[i] != ' ' && !(term.data[i] >= '0' && term.data[i] <= '9');
    }
    switch (e->kind) {
    case NOM_E_PARTIAL:
        return PARTIAL_PENALTY;
    case NOM_E_FULL:
        return term.len == 1 && sx_str_eq(term, lookup) ? (digits ? 0.2 : 0.3) : 0;
    case NOM_E_NUMBER:
        penalty = 0.1 * (double)others;
        return digits ? penalty : penalty + 0.2 * ((double)term.len - 1);
    case NOM_E_COUNTRY:
        return term.len == 1 ? 0.3 : 0;
    default:
        return 0;
    }
}

static uint32_t at_least_one(uint32_t count)
{
    return count ? count : 1;
}

static void add_entry(nom_ask *q, uint32_t start, uint32_t end, sx_str term,
                      const nom_disk_entry *e)
{
    static const nom_token_kind KINDS[NOM_E_KINDS] = {
        [NOM_E_FULL] = NOM_T_WORD,
        [NOM_E_PARTIAL] = NOM_T_PARTIAL,
        [NOM_E_NUMBER] = NOM_T_NUMBER,
        [NOM_E_COUNTRY] = NOM_T_COUNTRY,
    };
    if (e->kind >= NOM_E_KINDS)
        return;
    nom_qtoken token = {.token = e->token,
                        .count = 1,
                        .address_count = 1,
                        .lookup = nom_entry_lookup(q->words, e),
                        .country = e->country};
    token.penalty = own_penalty(e, term, token.lookup);
    if (e->kind == NOM_E_PHRASE) {
        bool all = start == 0 && end + 1 == q->node_count;
        if (e->op == NOM_OP_NONE)
            (void)nom_ask_add(q, start, end, all ? NOM_T_NEAR : NOM_T_QUALIFIER, token);
        else if (start == 0)
            (void)nom_ask_add(q, start, end, NOM_T_NEAR, token);
        return;
    }
    const nom_disk_token *t = nom_token(q->words, e->token);
    if (e->kind != NOM_E_COUNTRY && t) {
        token.count = at_least_one(t->count);
        token.address_count = at_least_one(t->address_count);
    }
    (void)nom_ask_add(q, start, end, KINDS[e->kind], token);
}

static void look_up(nom_ask *q, uint32_t start, uint32_t end, sx_str text, uint64_t hash)
{
    const nom_disk_term *term = nom_term_find(q->words, text, hash);
    uint32_t count = 0;
    const nom_disk_entry *entries = term ? nom_term_entries(q->words, term, &count) : NULL;
    for (uint32_t i = 0; i < count; i++)
        add_entry(q, start, end, text, &entries[i]);
}

/* All runs of words that begin at `start`. */
static void look_up_from(nom_ask *q, uint32_t start)
{
    char text[NOM_TERM_MAX + 1];
    size_t len = 0;
    uint64_t hash = NOM_HASH_START;
    for (uint32_t end = start + 1; end < q->node_count && end <= start + NOM_SPAN_MAX; end++) {
        sx_str word = q->nodes[end].ascii;
        if (len + word.len + 1 > NOM_TERM_MAX)
            break;
        if (len) {
            text[len++] = ' ';
            hash = nom_hash_byte(hash, ' ');
        }
        for (size_t i = 0; i < word.len; i++) {
            text[len++] = word.data[i];
            hash = nom_hash_byte(hash, word.data[i]);
        }
        look_up(q, start, end, sx_str_of(text, len), nom_hash_end(hash));
        if (q->nodes[end].ends == ',')
            break;
    }
}

/* Short numbers may be of houses that no place in the index has. */
static void add_numbers(nom_ask *q)
{
    bool wanted = false;
    for (uint32_t i = 0; i < q->node_count; i++) {
        const nom_node *node = &q->nodes[i];
        bool full = node->ends != '`' && node->ends != '-';
        if (wanted && full && node->normal.len <= NUMBER_LETTERS_MAX && is_digits(node->normal))
            (void)nom_ask_add(q, i - 1, i, NOM_T_NUMBER,
                              (nom_qtoken){.penalty = 0.2,
                                           .token = NOM_NO_TOKEN,
                                           .count = 1,
                                           .address_count = 1,
                                           .lookup = node->ascii});
        wanted = full && !(i + 1 < q->node_count && nom_ask_list(q, i, i + 1, NOM_T_NUMBER));
    }
}

/* --- Postcodes. */

static void put_upper(sx_buf *out, const nom_node *node)
{
    for (size_t i = 0; i < node->normal.len; i++) {
        char c = node->normal.data[i];
        sx_buf_byte(out, c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
    }
    sx_buf_byte(out, node->ends);
}

static bool may_follow(const nom_ask *q, uint32_t i, uint32_t words)
{
    return i + words < q->node_count &&
           (q->nodes[i + words - 1].ends == ' ' || q->nodes[i + words - 1].ends == '-') &&
           q->nodes[i + words].ends != '`' && q->nodes[i + words - 1].kind == NOM_ANY;
}

static void add_postcodes_at(nom_ask *q, uint32_t i, sx_buf *text)
{
    bool whole = q->nodes[i].kind == NOM_PHRASE_POSTCODE;
    sx_buf_clear(text);
    put_upper(text, &q->nodes[i + 1]);
    if (whole) {
        for (uint32_t k = i + 1; k + 1 < q->node_count && q->nodes[k].kind == NOM_PHRASE_POSTCODE;
             k++)
            put_upper(text, &q->nodes[k + 1]);
    } else {
        for (uint32_t words = 2; words <= POSTCODE_WORDS && may_follow(q, i, words); words++)
            put_upper(text, &q->nodes[i + words]);
    }
    wrd_postcode_found found[WRD_POSTCODES_MAX];
    uint32_t count = wrd_postcodes_in(sx_buf_view(text), whole, q->arena, found);
    for (uint32_t k = 0; k < count; k++)
        if (i + found[k].breaks < q->node_count)
            (void)nom_ask_add(q, i, i + found[k].breaks, NOM_T_POSTCODE,
                              (nom_qtoken){.token = NOM_NO_TOKEN,
                                           .count = 1,
                                           .address_count = 1,
                                           .lookup = found[k].text});
}

static void add_postcodes(nom_ask *q)
{
    sx_buf text = {0};
    for (uint32_t i = 0; i + 1 < q->node_count; i++) {
        const nom_node *node = &q->nodes[i];
        bool begins =
            node->ends == '<' || node->ends == ',' || node->ends == ':' || node->ends == ' ';
        bool inside = i > 0 && q->nodes[i - 1].kind == NOM_PHRASE_POSTCODE;
        if (begins && q->nodes[i + 1].ends != '`' && !inside &&
            (node->kind == NOM_ANY || node->kind == NOM_PHRASE_POSTCODE))
            add_postcodes_at(q, i, &text);
    }
    q->failed |= text.failed;
    sx_buf_done(&text);
}

/* --- Penalties that depend on what else there is. */

static void add_penalty(nom_qlist *list, double penalty)
{
    for (size_t i = 0; i < list->count; i++)
        list->tokens[i].penalty += penalty;
}

static void add_partial_penalty(nom_ask *q, uint32_t start, uint32_t end, double penalty)
{
    if (start + 1 == end && q->nodes[start].partial)
        q->nodes[start].partial->penalty += penalty;
}

static bool has_digit(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] >= '0' && s.data[i] <= '9')
            return true;
    return false;
}

/* What looks like a postcode or a short house number probably is one. */
static void prefer(nom_ask *q, uint32_t start, uint32_t end)
{
    nom_qlist *postcode = nom_ask_list(q, start, end, NOM_T_POSTCODE);
    nom_qlist *number = nom_ask_list(q, start, end, NOM_T_NUMBER);
    uint32_t kinds = 0;
    for (nom_qlist *l = q->nodes[start].lists; l; l = l->next)
        kinds += l->end == end;
    if (kinds < 2)
        return;
    if (postcode) {
        for (nom_qlist *l = q->nodes[start].lists; l; l = l->next)
            if (l->end == end && l != postcode && (l != number || q->nodes[end].ascii.len > 4))
                add_penalty(l, 0.39);
        add_partial_penalty(q, start, end, 0.39);
    }
    if (number && number->tokens[0].lookup.len <= 3 && has_digit(number->tokens[0].lookup)) {
        double penalty = 0.5 - number->tokens[0].penalty;
        for (nom_qlist *l = q->nodes[start].lists; l; l = l->next)
            if (l->end == end && l != number)
                add_penalty(l, penalty);
        add_partial_penalty(q, start, end, penalty);
    }
}

/* How well tokens fit what was written between two nodes. */
static void match(nom_ask *q, nom_qlist *list, uint32_t start)
{
    char text[NOM_TERM_MAX * 8];
    size_t len = 0;
    for (uint32_t i = start + 1; i <= list->end; i++) {
        sx_str word = q->nodes[i].normal;
        if (len + word.len + 1 > sizeof(text))
            break;
        memcpy(text + len, word.data, word.len);
        len += word.len;
        if (q->nodes[i].ends != '`')
            text[len++] = ' ';
    }
    sx_str asked = sx_str_trim(sx_str_of(text, len));
    double weight = list->kind == NOM_T_WORD ? 1 : 2;
    for (size_t i = 0; i < list->count; i++)
        list->tokens[i].penalty += weight * nom_match_penalty(list->tokens[i].lookup, asked);
}

static void rank_tokens(nom_ask *q)
{
    for (uint32_t start = 0; start + 1 < q->node_count; start++) {
        nom_qlist *first = q->nodes[start].lists;
        for (nom_qlist *list = first; list; list = list->next) {
            bool seen = false;
            for (nom_qlist *l = first; l != list; l = l->next)
                seen |= l->end == list->end;
            if (!seen)
                prefer(q, start, list->end);
        }
        for (nom_qlist *list = first; list; list = list->next)
            match(q, list, start);
    }
}

static void set_breaks(nom_ask *q)
{
    for (uint32_t i = 0; i < q->node_count; i++) {
        char c = q->nodes[i].ends;
        q->nodes[i].penalty = c == ' ' ? 0.1 : c == '-' ? 0.2 : c == '`' ? 0.4 : -0.5;
    }
}

/* How likely a word is part of a name, not of an address. */
static double name_share(const nom_node *node)
{
    const nom_qtoken *t = node->partial;
    return t ? (double)t->count / ((double)t->count + t->address_count) : 0.5;
}

static void set_direction(nom_ask *q)
{
    uint32_t n = q->node_count - 1;
    q->direction = 0;
    if (n <= 1 || n >= 50)
        return;
    if (n == 2) {
        q->direction = (name_share(&q->nodes[1]) - name_share(&q->nodes[0])) / 3;
        return;
    }
    double sum = 0, weighted = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) {
        double share = name_share(&q->nodes[i]);
        sum += share;
        weighted += i * share;
        squares += (double)i * i;
    }
    double scale = n * (squares - (n - 1.0) * n * (n - 1.0) / 4);
    q->direction = (n * weighted - sum * n * (n - 1.0) / 2) / scale;
}

sx_status nom_ask_analyse(nom_ask *q, sx_error *err)
{
    if (!q->normal)
        normalise(q);
    q->normal = true;
    q->guesses = 0;
    q->nodes[0] = (nom_node){.ends = '<'};
    q->node_count = 1;
    for (uint32_t i = 0; i < q->part_count; i++)
        if (!split_part(q, &q->parts[i]))
            return sx_fail(err, SX_ELIMIT, "a query of more than %d words", NOM_NODES_MAX - 1);
    q->nodes[q->node_count - 1].ends = '>';
    if (q->last.len && q->node_count > 1)
        q->nodes[q->node_count - 1].ascii = q->nodes[q->node_count - 1].normal = q->last;
    if (q->forgive)
        nom_ask_guess(q);
    for (uint32_t i = 0; i + 1 < q->node_count; i++)
        look_up_from(q, i);
    add_numbers(q);
    add_postcodes(q);
    rank_tokens(q);
    set_breaks(q);
    set_direction(q);
    return q->failed ? sx_fail_memory(err, "a query") : SX_OK;
}
