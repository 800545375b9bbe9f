/* parse_field.c - expressions over one span, by precedence climbing. As in Tempo && and || are of one
 * level and go from left to right. See parser.h. */
#include <limits.h>

#include "observe/traceql/parser.h"

static const tq_sign SIGNS[] = {
    {"&&", TQ_LEVEL_LOGIC, TQ_AND, TQ_AND},
    {"||", TQ_LEVEL_LOGIC, TQ_OR, TQ_OR},
    {"=", TQ_LEVEL_TEST, TQ_EQ, TQ_EQ},
    {"!=", TQ_LEVEL_TEST, TQ_NE, TQ_NE},
    {"<", TQ_LEVEL_TEST, TQ_LT, TQ_PARENT_OF},
    {"<=", TQ_LEVEL_TEST, TQ_LE, TQ_LE},
    {">", TQ_LEVEL_TEST, TQ_GT, TQ_CHILD},
    {">=", TQ_LEVEL_TEST, TQ_GE, TQ_GE},
    {"=~", TQ_LEVEL_TEST, TQ_MATCH, TQ_OP_NONE},
    {"!~", TQ_LEVEL_TEST, TQ_NOT_MATCH, TQ_NOT_SIBLING},
    {">>", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_DESCENDANT},
    {"<<", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_ANCESTOR},
    {"~", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_SIBLING},
    {"!>", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_NOT_CHILD},
    {"!<", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_NOT_PARENT_OF},
    {"!>>", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_NOT_DESCENDANT},
    {"!<<", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_NOT_ANCESTOR},
    {"&>", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_UNION_CHILD},
    {"&<", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_UNION_PARENT_OF},
    {"&>>", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_UNION_DESCENDANT},
    {"&<<", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_UNION_ANCESTOR},
    {"&~", TQ_LEVEL_TEST, TQ_OP_NONE, TQ_UNION_SIBLING},
    {"+", TQ_LEVEL_SUM, TQ_ADD, TQ_ADD},
    {"-", TQ_LEVEL_SUM, TQ_SUB, TQ_SUB},
    {"*", TQ_LEVEL_PRODUCT, TQ_MUL, TQ_MUL},
    {"/", TQ_LEVEL_PRODUCT, TQ_DIV, TQ_DIV},
    {"%", TQ_LEVEL_PRODUCT, TQ_MOD, TQ_MOD},
    {"^", TQ_LEVEL_POWER, TQ_POW, TQ_POW},
};

const tq_sign *tq_sign_of(const tq_token *t)
{
    if (t->kind == TQ_T_SIGN)
        for (size_t i = 0; i < sizeof SIGNS / sizeof SIGNS[0]; i++)
            if (sx_str_eq(t->text, sx_str_z(SIGNS[i].text)))
                return &SIGNS[i];
    return NULL;
}

static const struct {
    const char *word;
    tq_type type;
    int64_t i;
} WORDS[] = {{"true", TQ_BOOL, 1},
             {"false", TQ_BOOL, 0},
             {"nil", TQ_NIL, 0},
             {"ok", TQ_STATUS, SPAN_OK},
             {"error", TQ_STATUS, SPAN_ERROR},
             {"unset", TQ_STATUS, SPAN_UNSET},
             {"unspecified", TQ_KIND, SPAN_UNSPECIFIED},
             {"internal", TQ_KIND, SPAN_INTERNAL},
             {"server", TQ_KIND, SPAN_SERVER},
             {"client", TQ_KIND, SPAN_CLIENT},
             {"producer", TQ_KIND, SPAN_PRODUCER},
             {"consumer", TQ_KIND, SPAN_CONSUMER},
             {"minInt", TQ_INT, INT64_MIN},
             {"maxInt", TQ_INT, INT64_MAX}};

bool tq_parse_static(tq_parser *p, tq_value *out)
{
    const tq_token *t = &p->token;
    switch (t->kind) {
    case TQ_T_STR:
        *out = (tq_value){.type = TQ_STR, .s = t->text};
        return tq_advance(p);
    case TQ_T_INT:
        *out = (tq_value){.type = TQ_INT, .i = t->i};
        return tq_advance(p);
    case TQ_T_FLOAT:
        *out = (tq_value){.type = TQ_FLOAT, .d = t->d};
        return tq_advance(p);
    case TQ_T_DURATION:
        *out = (tq_value){.type = TQ_DURATION, .i = t->i};
        return tq_advance(p);
    case TQ_T_WORD:
        for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
            if (sx_str_eq(t->text, sx_str_z(WORDS[i].word))) {
                *out = (tq_value){.type = WORDS[i].type, .i = WORDS[i].i};
                return tq_advance(p);
            }
        return false;
    default:
        return false;
    }
}

/* A field, or NULL without an error. */
static tq_node *read_attribute(tq_parser *p)
{
    tq_field field = p->token.field;
    if (p->token.kind == TQ_T_WORD) {
        if (!tq_intrinsic(p->token.text, &field.source))
            return NULL;
    } else if (p->token.kind != TQ_T_FIELD) {
        return NULL;
    }
    tq_node *n = tq_node_new(p, TQ_FIELD, p->token.at);
    if (!n || !tq_advance(p))
        return NULL;
    n->field = field;
    return n;
}

tq_node *tq_parse_attribute(tq_parser *p)
{
    tq_node *n = read_attribute(p);
    return n || p->status != SX_OK ? n : tq_unexpected(p, "an attribute");
}

static tq_node *parse_level(tq_parser *p, int level);

static tq_node *parse_unary(tq_parser *p, tq_op op)
{
    tq_node *n = tq_node_new(p, TQ_UNARY, p->token.at);
    if (!n || !tq_advance(p))
        return NULL;
    n->op = op;
    n->left = parse_level(p, TQ_LEVEL_PRODUCT); /* -a * b is -(a * b), but -a + b is (-a) + b */
    return n->left ? n : NULL;
}

static tq_node *parse_primary(tq_parser *p)
{
    if (tq_at_sign(p, "(")) {
        if (!tq_advance(p))
            return NULL;
        tq_node *inner = tq_parse_field(p);
        return inner && tq_expect(p, ")") ? inner : NULL;
    }
    if (tq_at_sign(p, "-") || tq_at_sign(p, "!"))
        return parse_unary(p, tq_at_sign(p, "-") ? TQ_NEG : TQ_NOT);
    tq_node *n = read_attribute(p);
    if (n || p->status != SX_OK)
        return n;
    uint32_t at = p->token.at;
    tq_token first = p->token;
    tq_value value;
    if (!tq_parse_static(p, &value)) {
        if (p->status != SX_OK)
            return NULL;
        if (first.kind != TQ_T_WORD)
            return tq_unexpected(p, NULL);
        p->status = tq_fail_at(p->q->text, at, p->err, "unknown identifier: %.*s",
                               (int)(first.text.len < 100 ? first.text.len : 100), first.text.data);
        return NULL;
    }
    n = tq_node_new(p, TQ_STATIC, at);
    if (n)
        n->value = value;
    return n;
}

static bool is_nil(const tq_node *n)
{
    return n->kind == TQ_STATIC && n->value.type == TQ_NIL;
}

/* left op right; comparisons with nil become tests of existence. */
static tq_node *make_binary(tq_parser *p, tq_op op, tq_node *left, tq_node *right, uint32_t at)
{
    if (is_nil(left) || is_nil(right)) {
        if (op != TQ_EQ && op != TQ_NE) {
            p->status = tq_fail_at(p->q->text, at, p->err,
                                   "syntax error: nil is compared with = and != only");
            return NULL;
        }
        if (is_nil(left) && is_nil(right)) {
            left->value = (tq_value){.type = TQ_BOOL};
            return left;
        }
        tq_node *n = tq_node_new(p, TQ_UNARY, at);
        if (n) {
            n->op = op == TQ_EQ ? TQ_ABSENT : TQ_EXISTS;
            n->left = is_nil(left) ? right : left;
        }
        return n;
    }
    tq_node *n = tq_node_new(p, TQ_BINARY, at);
    if (n) {
        n->op = op;
        n->left = left;
        n->right = right;
    }
    return n;
}

static tq_node *parse_level(tq_parser *p, int level)
{
    if (!tq_enter(p))
        return NULL;
    tq_node *left = parse_primary(p);
    while (left) {
        const tq_sign *sign = tq_sign_of(&p->token);
        if (!sign || sign->level < level)
            break;
        if (!sign->field)
            return tq_unexpected(p, NULL);
        uint32_t at = p->token.at;
        if (!tq_advance(p))
            return NULL;
        tq_node *right = parse_level(p, sign->level + (sign->level != TQ_LEVEL_POWER));
        left = right ? make_binary(p, sign->field, left, right, at) : NULL;
    }
    p->depth--;
    return left;
}

tq_node *tq_parse_field(tq_parser *p)
{
    tq_node *n = parse_level(p, TQ_LEVEL_LOGIC);
    if (n && is_nil(n)) {
        p->status = tq_fail_at(p->q->text, n->at, p->err, "syntax error: unexpected nil");
        return NULL;
    }
    return n;
}
