/* qvalue.h - the weights of Accept and Accept-Encoding members. RFC 9110, section 12.4.2. */
#ifndef SEXTANT_CODEC_QVALUE_H
#define SEXTANT_CODEC_QVALUE_H

#include <sextant/str.h>

/* Weights are in thousandths, as the grammar allows three digits after the point. */
enum { SX_Q_ABSENT = -1, SX_Q_MOST = 1000 };

/* The weight among a member's parameters (";"-separated, what follows its first ";"): 1000 without a
 * "q", SX_Q_ABSENT if it is malformed. */
int sx_qvalue_of(sx_str params);

#endif
