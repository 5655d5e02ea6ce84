# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::Cluster;

# Stand-in, see PVE::QemuServer: the nodes of a cluster and what they announce.

use v5.36;

our $members = { here => { online => 1 } };
our $kv = {};

sub broadcast_node_kv {
    my ($key, $data) = @_;
    $kv->{$key}->{here} = $data;
    return;
}

sub get_node_kv { return $kv->{ $_[0] } // {} }
sub get_members { return $members }
sub get_nodelist { return [sort keys %$members] }

1;
