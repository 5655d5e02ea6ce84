// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/guest_port_spec.h"

#include <stddef.h>
#include <string.h>

#include "vdpad/util/cleanup.h"
#include "vdpad/util/ipc.h"

const char *guest_port_spec_fixed_difference(
	const struct guest_port_spec *a, const struct guest_port_spec *b
) {
	if (strcmp(a->path, b->path) != 0)
		return "path";
	if (a->mtu_bytes != b->mtu_bytes)
		return "mtu";
	if (a->queue_pairs != b->queue_pairs)
		return "queue_pairs";
	if (a->features != b->features)
		return "features";
	if (a->generation != b->generation)
		return "generation";
	return NULL;
}

int guest_port_spec_read(sd_bus_message *m, struct guest_port_spec *ret_spec, struct error *e) {
	static const struct ipc_field fields[] = {
		{"network", 's', offsetof(struct guest_port_spec, network), true},
		{"path", 's', offsetof(struct guest_port_spec, path), true},
		{"mtu", 'u', offsetof(struct guest_port_spec, mtu_bytes), true},
		{"queue_pairs", 'u', offsetof(struct guest_port_spec, queue_pairs), true},
		{"vlan", 'u', offsetof(struct guest_port_spec, vlan), true},
		{"link_up", 'b', offsetof(struct guest_port_spec, link_up), true},
		{"features", 't', offsetof(struct guest_port_spec, features), true},
		{"generation", 't', offsetof(struct guest_port_spec, generation), true},
		{"device", 's', offsetof(struct guest_port_spec, device), false},
	};
	int r;

	*ret_spec = (struct guest_port_spec){0};
	r = ipc_dict_read(m, fields, ARRAY_LEN(fields), ret_spec, e);
	if (r >= 0 && ret_spec->device != NULL && ret_spec->device[0] == '\0')
		ret_spec->device = NULL;
	return r;
}

void guest_port_spec_append(sd_bus_message *m, const struct guest_port_spec *spec) {
	if (spec->device != NULL)
		ipc_dict_add_s(m, "device", spec->device);
	ipc_dict_add_s(m, "network", spec->network);
	ipc_dict_add_s(m, "path", spec->path);
	ipc_dict_add_u(m, "mtu", spec->mtu_bytes);
	ipc_dict_add_u(m, "queue_pairs", spec->queue_pairs);
	ipc_dict_add_u(m, "vlan", spec->vlan);
	ipc_dict_add_b(m, "link_up", spec->link_up);
	ipc_dict_add_t(m, "features", spec->features);
	ipc_dict_add_t(m, "generation", spec->generation);
}
