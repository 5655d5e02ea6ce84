// SPDX-License-Identifier: GPL-2.0-or-later
// The candidates of decide(), by backend. Of hardware there is one for each pool that the network may use, or
// one that says why there is none. Private to decide.c.

#pragma once

#include "vdpad/model/decide.h"

struct decide_input {
	const struct facts *facts;
	const struct network *network;
	const struct port_spec *spec;
	struct decision *decision;
};

// Append a candidate of @backend, not accepted yet; @pool may be NULL.
struct candidate *decide_add(
	struct decision *decision, enum backend_kind backend, const struct pool_facts *pool
);

// Not accepted, for this reason.
void decide_refuse(struct candidate *candidate, const char *fmt, ...) _printf_(2, 3);

void decide_accept(struct candidate *candidate, const char *fmt, ...) _printf_(2, 3);

// What holds of pools of all kinds: the limit, and what only a representor can do. @has_representor:
// the pool's devices have one. Returns false with the reason.
bool decide_pool_allows(
	const struct decide_input *in, const struct pool_facts *pool, bool has_representor,
	struct candidate *candidate
);

// "; without A, B of profile P" for an accepted candidate that lacks @missing; "" if that is 0.
void decide_print_missing(const struct port_spec *spec, uint64_t missing, char *text, size_t size);

void decide_vdpa(const struct decide_input *in);
void decide_dpdk_vdpa(const struct decide_input *in);

// Whether sockets of other switches are worth a word at all.
bool decide_knows_external(const struct decide_input *in);
void decide_external(const struct decide_input *in);
