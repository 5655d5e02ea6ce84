# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Node;

# What this node and its cluster have: which networks vdpad serves here and elsewhere, and so which
# NICs of a VM are ours.
#
# VMs that do not use vdpad must not pay for it: a NIC without backend= whose bridge is an interface
# of the host costs one lstat(), and vdpactl is asked only where vdpad is installed.

use v5.36;

use JSON ();

use PVE::Cluster;
use PVE::INotify;

use PVE::QemuServer::Vdpad;
use PVE::QemuServer::Vdpad::Client;

our $run_dir = '/run/vdpad';
our $interface_dir = '/sys/class/net';

my $KV_KEY = 'vdpad'; # of the nodes' key-value store in pmxcfs
my $CACHE_S = 5;

my $STATS_PAUSE_S = 60;

my $cache = { until => 0 };
my $stats_from = 0;

# Is vdpad here at all? Its run directory is made at boot.
sub was_started() { return -d $run_dir }

# The networks of this node, or undef and why they are not known.
sub networks() {
    return (undef, "$run_dir does not exist: vdpad is not installed or was never started") if !was_started();
    if (time() >= $cache->{until}) {
        my $networks = eval { PVE::QemuServer::Vdpad::Client::networks() };
        chomp(my $why = $@);
        $cache = { networks => $networks, why => $why, until => time() + $CACHE_S };
    }
    return $cache->@{qw(networks why)};
}

sub forget() {
    $cache = { until => 0 };
    return;
}

# May be undef: a NIC without a bridge lacks none.
sub is_missing($bridge) { return defined($bridge) && !lstat("$interface_dir/$bridge") }

# Is the bridge's name a network of vdpad and no interface of the host? While vdpad does not answer it
# may be one: nobody else can serve it, and a running VM's NIC must not pass for a TAP (to be changed as
# one, or migrated) because of that. The network that vdpad makes of each Linux bridge is asked for by
# backend= only: a bridge that is away while the host's network is set up anew must not change hands.
sub serves($bridge) {
    return 0 if !is_missing($bridge) || !was_started();
    my ($networks) = networks();
    return 1 if !$networks;
    my $network = $networks->{$bridge} // return 0;
    return ($network->{bridge} // '') ne $bridge ? 1 : 0;
}

# A parsed net, as qemu-server hands it around, as a nic of ours or undef.
sub nic($id, $net) {
    return if !$net;
    my $asked = $net->{backend} // '';
    return if $asked eq '' && !($net->{bridge} && serves($net->{bridge}));
    return PVE::QemuServer::Vdpad::nic($id, $net, 1);
}

# The same from the text of a configuration.
sub nic_of($id, $text) {
    my $asked = PVE::QemuServer::Vdpad::backend_of($text);
    return if $asked eq 'kernel';
    if ($asked eq '') {
        my $bridge = PVE::QemuServer::Vdpad::bridge_of($text);
        return if !defined($bridge) || !serves($bridge);
    }
    return nic($id, PVE::QemuServer::Network::parse_net($text, 1));
}

# The same of a VM that runs: a NIC on a port stays ours when its network has gone from vdpad's configuration,
# as vdpad serves the port on. Where there is a bridge of that name, the port may be of an earlier start.
sub running_nic_of($vmid, $id, $text) {
    my $nic = nic_of($id, $text);
    return $nic if $nic || !is_missing(PVE::QemuServer::Vdpad::bridge_of($text));
    return if !grep { $_ eq $id } port_files($vmid);
    return PVE::QemuServer::Vdpad::nic($id, PVE::QemuServer::Network::parse_net($text, 1), 1);
}

# Does a VM start as if there were no vdpad, whatever vdpad serves? Cheap, as it is asked for each VM.
sub is_plain($conf) {
    return 1 if $conf->{template};
    for my $id (keys $conf->%*) {
        next if index($id, 'net') != 0;
        my $text = $conf->{$id};
        if (index($text, 'backend=') >= 0) {
            my $asked = PVE::QemuServer::Vdpad::backend_of($text);
            return 0 if $asked ne '' && $asked ne 'kernel';
            next if $asked eq 'kernel';
        }
        return 0 if $text =~ m/(?:^|,)bridge=([^,]*)/ && !lstat("$interface_dir/$1");
    }
    return 1;
}

# All NICs of ours in a configuration, by id. A template starts without any.
sub nics($conf) {
    my $nics = {};
    return $nics if is_plain($conf);
    for my $id (grep { m/^net[0-9]+$/ } keys $conf->%*) {
        my $nic = nic_of($id, $conf->{$id}) or next;
        $nics->{$id} = $nic;
    }
    return $nics;
}

# Why a VM whose bridge is missing might have been ours, for the error that follows; '' if not.
sub missing_bridge_hint($conf) {
    for my $id (sort grep { m/^net[0-9]+$/ } keys $conf->%*) {
        my $bridge = PVE::QemuServer::Vdpad::bridge_of($conf->{$id}) // next;
        next if PVE::QemuServer::Vdpad::backend_of($conf->{$id}) || !is_missing($bridge);
        my ($networks, $why) = networks();
        return "if '$bridge' is a network of vdpad: $why" if !$networks;
        return "and vdpad serves no network '$bridge' (vdpactl network show)"
            if !$networks->{$bridge};
    }
    return '';
}

# Ids of the VM's NICs that have something in vdpad's run directory.
sub port_files($vmid) {
    opendir(my $dir, "$run_dir/port") or return;
    my %ids;
    for my $file (readdir($dir)) {
        my ($owner, $id) = PVE::QemuServer::Vdpad::parse_port_name($file =~ s/\.(?:sock|vdpa)$//r)
            or next;
        $ids{$id} = 1 if $owner == $vmid;
    }
    my @sorted = sort keys %ids;
    return @sorted;
}

# Has any VM of this node a port? One readdir().
sub has_ports() {
    opendir(my $dir, "$run_dir/port") or return 0;
    return scalar(grep { m/^vm[0-9]+-net/ } readdir($dir)) ? 1 : 0;
}

# Counters of all ports, or none while vdpad does not answer: then it is left alone for a while,
# because pvestatd must not wait for it again and again.
sub stats() {
    return [] if time() < $stats_from;
    my $rows = eval { PVE::QemuServer::Vdpad::Client::stats() };
    return $rows if $rows;
    warn "no counters from vdpad: $@";
    $stats_from = time() + $STATS_PAUSE_S;
    return [];
}

# The names of this node's networks that take new ports, or undef and why they are not known. One whose
# Linux bridge is missing, as a configuration for the whole cluster may name it, does not.
sub serving() {
    my ($networks, $why) = networks();
    return (undef, $why) if !$networks;
    return [grep { $networks->{$_}->{available} // 1 } sort keys $networks->%*];
}

# Tell the cluster that this node keeps backend= in configurations, and what it serves.
sub announce() {
    my ($names) = serving();
    my $data = { version => 1, networks => $names // [] };
    PVE::Cluster::broadcast_node_kv($KV_KEY, JSON->new->canonical->encode($data));
    return;
}

sub withdraw() {
    PVE::Cluster::broadcast_node_kv($KV_KEY, undef);
    return;
}

my sub announcements() {
    my $raw = PVE::Cluster::get_node_kv($KV_KEY);
    return { map { $_ => eval { JSON::decode_json($raw->{$_}) } // {} } keys $raw->%* };
}

# Online nodes, besides this one, that would lose a netN line with backend=.
sub nodes_without_vdpad() {
    my $members = PVE::Cluster::get_members() // {};
    my $here = PVE::INotify::nodename();
    my @others = grep { $_ ne $here && $members->{$_}->{online} } sort keys $members->%*;
    return if !@others;
    my $announced = announcements();
    return grep { !$announced->{$_} } @others;
}

# Nodes that do not serve $network. Nobody is blamed where announcements do not work at all.
sub nodes_without_network($network) {
    my $announced = announcements();
    return if !$announced->{ PVE::INotify::nodename() };
    my %serving;
    for my $node (keys $announced->%*) {
        $serving{$node} = 1 if grep { $_ eq $network } ($announced->{$node}->{networks} // [])->@*;
    }
    return grep { !$serving{$_} } PVE::Cluster::get_nodelist()->@*;
}

1;
