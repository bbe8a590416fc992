/* slice_rules.h - which operators compute the rows of a batch one apart from the other.
 *
 * Depends on: engine/op.h.
 * Ownership: tables are static.
 * Threads: any. */
#ifndef MILLRACE_ENGINE_SLICE_RULES_H
#define MILLRACE_ENGINE_SLICE_RULES_H

#include "engine/op.h"

/* Inputs that may have rows; nodes with more are not looked at. */
#define SLICE_INPUTS_MAX 32

/* Of a node whose shapes are known, where bit i of `rows` says that input i has rows:
 * axis 0 of it and of all outputs, and no other axis, grows with the batch.  True where
 * row r of the outputs then follows from row r of these inputs, and from the other
 * inputs, which are the same for all rows. */
bool slice_rule_holds(const struct exec *exec, uint32_t rows);

#endif
