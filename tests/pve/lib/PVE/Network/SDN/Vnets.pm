# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::Network::SDN::Vnets;

# Stand-in, see PVE::QemuServer.

use v5.36;

our @log;

sub add_next_free_cidr { push @log, "add $_[0]"; return }
sub del_ips_from_mac { push @log, "del $_[0]"; return }
sub add_dhcp_mapping { push @log, "dhcp $_[0]"; return }

1;
