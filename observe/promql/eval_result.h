/* eval_result.h - from the tree's root to the answer; for engine.c alone. */
#ifndef OBSERVE_PROMQL_EVAL_RESULT_H
#define OBSERVE_PROMQL_EVAL_RESULT_H

#include "observe/promql/eval.h"

/* Evaluates the parsed expression and fills in type, series, scalar, string. False: it failed. */
bool eval_result_make(eval_run *run, promql_result *out);

#endif
