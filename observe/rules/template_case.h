/* template_case.h - upper, lower and title case for templates. */
#ifndef OBSERVE_RULES_TEMPLATE_CASE_H
#define OBSERVE_RULES_TEMPLATE_CASE_H

#include <sextant/buf.h>

typedef enum rule_template_case { RULE_UPPER, RULE_LOWER, RULE_TITLE } rule_template_case;

/* Appends `text` in that case; RULE_TITLE raises the first letter of each word and leaves the rest. */
void rule_template_change_case(sx_str text, rule_template_case to, sx_buf *out);

#endif
