# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad;

# What a netN that vdpad serves means: which NICs are ours, what is wrong with them, what vdpad is
# asked for and what QEMU is given. Pure functions of their arguments; asking the node is
# PVE::QemuServer::Vdpad::Node's task, attaching to qemu-server that of ::Bind.
#
# A NIC is ours in one of two ways:
#   net0: virtio=MAC,bridge=NETWORK              no Linux bridge has that name and vdpad serves it
#   net0: virtio=MAC,bridge=NETWORK,backend=B    B is auto, vdpa, vhost-user or external:NAME
# No path ever stands in a configuration: ports are named after VM and NIC, and the sockets of other
# switches by the name that the administrator gave them in vdpad's configuration.
#
# A "nic" below is { id, net, backend, by_network }: net as qemu-server parses it, backend as in the
# key without NAME ("auto" for a NIC chosen by its network), socket => NAME for "external".
# A "plug" is how QEMU reaches a port: { kind, path, chardev, netdev, device, mtu }.

use v5.36;

my $SOCKET_NAME = qr/[a-z0-9][a-z0-9._-]{0,31}/;
my $BACKEND = qr/^(?:auto|vdpa|vhost-user|external:$SOCKET_NAME)$/;

# The switch listens, QEMU connects again after it was restarted. As vdpad's own qemu_args has it.
my $RECONNECT_MS = 200;
my $RECONNECT_S = 1;

my $PORT_DIR = '/run/vdpad/port';

# The MTU that a guest takes without being told.
my $DEFAULT_MTU = 1500;

# Device properties that qemu-server decides; those of vdpad's profile win over all others.
my %QEMU_SERVERS_OWN = map { $_ => 1 } qw(id netdev mac bus addr bootindex mq vectors);

my %POLICY = (
    auto => 'auto',
    vdpa => 'vdpa',
    'vhost-user' => 'software',
    external => 'external',
);

# Every value is let through here, and refused by nic_problem(): qemu-server drops a whole netN line
# whose value does not fit, be it mistyped by hand or known only to a newer vdpad-pve.
sub net_schema() {
    return {
        backend => {
            type => 'string',
            pattern => qr/[^,\s]+/,
            format_description => 'auto|kernel|vdpa|vhost-user|external:NAME',
            description => "What serves the device on the host (VirtIO only, needs vdpad)."
                . " 'vdpa' is a hardware virtio data path, 'vhost-user' a port of vdpad's switch,"
                . " 'auto' the former where the node has one to spare and else the latter,"
                . " 'external:NAME' a socket of another switch as vdpad's configuration names it,"
                . " 'kernel' a Linux or Open vSwitch bridge. The bridge then names a network that"
                . " vdpad serves ('vdpactl network show'). Without this key, a bridge that is no"
                . " interface of the host but a network of vdpad is served by vdpad.",
            optional => 1,
        },
    };
}

sub port_name($vmid, $id) { return "vm$vmid-$id" }

# The VM and NIC of a port, or the empty list if it is not one of ours.
sub parse_port_name($name) {
    return $name =~ m/^vm([1-9][0-9]*)-(net[0-9]+)$/ ? ($1, $2) : ();
}

# The fast path, on the unparsed text: the backend that it asks for, '' when it names none.
sub backend_of($text) {
    return $text =~ m/(?:^|,)backend=([^,]*)/ ? $1 : '';
}

sub bridge_of($text) {
    return $text =~ m/(?:^|,)bridge=([^,]*)/ ? $1 : undef;
}

# undef for a NIC that is not ours. $is_network: vdpad serves the bridge's name and the host has no
# interface of that name.
sub nic($id, $net, $is_network) {
    my $backend = $net->{backend} // '';
    return if $backend eq 'kernel';
    if ($backend eq '') {
        return if !$is_network;
        return { id => $id, net => $net, backend => 'auto', by_network => 1 };
    }
    my $nic = { id => $id, net => $net, backend => $backend, by_network => 0 };
    $nic->@{qw(backend socket)} = ('external', $1) if $backend =~ m/^external:(.*)$/;
    return $nic;
}

# For messages: "vhost-user", "external:vpp0", "network fast0".
sub nic_title($nic) {
    return "network $nic->{net}->{bridge}" if $nic->{by_network};
    return $nic->{socket} ? "external:$nic->{socket}" : $nic->{backend};
}

my sub instead($nic) {
    return $nic->{by_network} ? 'use a Linux bridge' : 'use backend=kernel with a Linux bridge';
}

# What is wrong with a NIC by itself, as a sentence; undef if nothing is.
sub nic_problem($nic) {
    my $net = $nic->{net};
    return "backend=$net->{backend} is unknown: it is auto, kernel, vdpa, vhost-user or external:NAME"
        if !$nic->{by_network} && $net->{backend} !~ $BACKEND;
    return "backend=$net->{backend} needs bridge=NETWORK: 'vdpactl network show' lists the networks"
        . " of this node"
        if !$net->{bridge};
    return "vdpad serves VirtIO devices only, not model $net->{model}: write virtio=MAC, or "
        . instead($nic)
        if $net->{model} ne 'virtio';
    return "firewall=1 is not possible: the packets of this device bypass the kernel, so the rules"
        . " would not be applied: set firewall=0, or "
        . instead($nic)
        if $net->{firewall};
    return "the device has no MAC address: write virtio=MAC" if !$net->{macaddr};
    return;
}

my sub has_memory_hotplug($conf) {
    return grep { $_ eq 'memory' } split(/[,;\s]+/, $conf->{hotplug} // '');
}

# May the port turn out to be a vhost-user socket?
my sub may_share_memory($nic) { return $nic->{backend} ne 'vdpa' }

# What in the VM's other settings rules out $nic.
sub vm_problem($conf, $nic) {
    for my $key (grep { $conf->{$_} } qw(amd-sev intel-tdx)) {
        return "$key keeps the VM's memory private, but this device must reach it: remove $key, or "
            . instead($nic);
    }
    return "memory hotplug is on, but memory plugged later is not shared with the switch: remove"
        . " 'memory' from the VM's hotplug option, or "
        . instead($nic)
        if may_share_memory($nic) && has_memory_hotplug($conf);
    return;
}

# netN's keys that not every backend offers, and what vdpad calls the capability.
my %CAPABILITY = (
    bridge => 'network',
    tag => 'vlan',
    trunks => 'trunks',
    rate => 'rate',
    link_down => 'link',
);
my @ASKED_FOR = qw(tag trunks rate link_down);

# What in vdpad's answer to `explain` rules out $nic. Each backend says in "capabilities" what it can do
# for the port; one that cannot do what the NIC asks for has refused it. Whether a socket of another
# switch is free and listened on is of interest only when the NIC is to be used now.
sub plan_problem($nic, $plan, $is_now = 1) {
    return if ($plan->{chosen} // '') ne '';
    my $net = $nic->{net};
    my @candidates = ($plan->{candidates} // [])->@*;
    my %offered = map { $_ => 1 } map { ($_->{capabilities} // [])->@* } @candidates;
    my @able = grep { ($_->{capabilities} // [])->@* } @candidates;
    for my $key (grep { $net->{$_} } @ASKED_FOR) {
        next if $offered{ $CAPABILITY{$key} } || !(@able || $nic->{socket});
        my $backends = join(' or ', map { "'$_->{backend}'" } @able ? @able : { backend => 'external' });
        return "$key is not offered by backend $backends of network '$net->{bridge}': remove $key=,"
            . " or "
            . instead($nic);
    }
    return if $nic->{socket} && !$is_now;
    my @reasons = map { "$_->{backend}: $_->{reason}" } grep { !$_->{against_policy} } @candidates;
    return "nothing on this node can serve it (" . join('; ', @reasons) . ")";
}

# Of the keys in which two NICs differ, does one need what the candidate of `explain` lacks that $port, as
# vdpad shows it, is on? Each pool of hardware is a candidate of its own.
sub lacks_for_change($plan, $port, $old, $new) {
    my ($candidate) =
        grep { $_->{backend} eq $port->{backend} && ($_->{pool} // '') eq ($port->{pool} // '') }
        ($plan->{candidates} // [])->@*;
    my %offered = map { $_ => 1 } ($candidate->{capabilities} // [])->@*;
    return grep {
        ($old->{net}->{$_} // '') ne ($new->{net}->{$_} // '') && !$offered{ $CAPABILITY{$_} }
    } sort keys %CAPABILITY;
}

sub mtu_problem($nic, $network_mtu) {
    my ($mtu, $network) = $nic->{net}->@{qw(mtu bridge)};
    return if !$mtu || $mtu == 1 || $mtu <= $network_mtu;
    return "mtu=$mtu is more than the $network_mtu of network '$network': lower it, or raise the"
        . " network's mtu in vdpad's configuration";
}

# vdpactl's key value pairs for the port. Each value is checked, as they become arguments: a bridge may
# be called --dry-run as far as qemu-server is concerned.
sub port_spec($nic) {
    my $net = $nic->{net};
    my $queues = $net->{queues} // 0;
    my @spec = (
        network => $net->{bridge},
        mac => $net->{macaddr},
        queue_pairs => $queues > 1 ? $queues : 1,
        vlan => $net->{tag} // 'none',
        link => $net->{link_down} ? 'down' : 'up',
        lifetime => 'runtime',
    );
    push @spec, mtu => $net->{mtu} if $net->{mtu} && $net->{mtu} != 1;
    push @spec, policy => $POLICY{ $nic->{backend} } if !$nic->{by_network};
    push @spec, socket => $nic->{socket} if $nic->{socket};
    push @spec, trunks => $net->{trunks} =~ tr/;/,/r if $net->{trunks};
    push @spec, rate => rate_bits($net->{rate}) if $net->{rate};
    return map { _checked($_) } @spec;
}

sub _checked($word) {
    return $1 if $word =~ m/^((?!-)[A-Za-z0-9._:,-]+)$/;
    die "'$word' is not possible in a port's setting\n";
}

# netN's rate counts units of 2^20 bytes a second, vdpad's bits.
sub rate_bits($rate) { return int($rate * 1024 * 1024) * 8 }

# What QEMU will likely be given for a port, said without vdpad, which does not answer. $qemu is QEMU's
# version, $kind vdpa or vhost-user.
sub planned_plug($vmid, $nic, $kind, $mtu, $qemu) {
    my $name = port_name($vmid, $nic->{id});
    my $queues = ($nic->{net}->{queues} // 0) > 1 ? $nic->{net}->{queues} : 1;
    my $plug = { kind => $kind, mtu => $mtu, device => 'virtio-net-pci' };
    $plug->{device} .= ",host_mtu=$mtu" if $mtu != $DEFAULT_MTU;
    if ($kind eq 'vdpa') {
        $plug->{path} = "$PORT_DIR/$name.vdpa";
        $plug->{netdev} = "vhost-vdpa,id=vdpad-$name,vhostdev=$plug->{path},queues=$queues";
        return $plug;
    }
    my ($major, $minor) = $qemu =~ m/^(\d+)\.(\d+)/;
    my $reconnect =
        $major > 9 || ($major == 9 && $minor >= 2)
        ? "reconnect-ms=$RECONNECT_MS"
        : "reconnect=$RECONNECT_S";
    $plug->{path} = "$PORT_DIR/$name.sock";
    $plug->{chardev} = "socket,id=vdpad-$name,path=$plug->{path},$reconnect";
    $plug->{netdev} = "vhost-user,id=vdpad-$name,chardev=vdpad-$name,queues=$queues";
    return $plug;
}

# Does QEMU listen, for another switch to connect to it? It then waits for that with all it does.
sub waits_for_peer($plug) {
    return ($plug->{chardev} // '') =~ m/(?:^|,)server=on(?:,|$)/ ? 1 : 0;
}

# "a,b=c,d=e" -> ([a, undef], [b, c], [d, e]); QEMU writes a comma in a value twice.
my sub split_options($text) {
    my @options;
    for my $part ($text =~ m/\G((?:[^,]|,,)+)(?:,|$)/g) {
        my ($key, $value) = split(/=/, $part =~ s/,,/,/gr, 2);
        push @options, [$key, $value];
    }
    return @options;
}

my sub join_options(@options) {
    return join(
        ',',
        map { defined($_->[1]) ? "$_->[0]=" . $_->[1] =~ s/,/,,/gr : $_->[0] } @options,
    );
}

# The plug's -netdev under qemu-server's id.
sub netdev($plug, $id) {
    my ($type, @options) = split_options($plug->{netdev});
    return join_options(
        ['type', $type->[0]],
        ['id', $id],
        grep { $_->[0] ne 'id' } @options,
    );
}

# qemu-server's -device with the plug's feature switches, ring sizes and host_mtu. qemu-server always
# writes the latter. A vDPA device was asked for an MTU only where vdpad names one: of another, QEMU
# would tell the guest that it has one, and the guest would read 0.
sub device($text, $plug) {
    my (undef, @wanted) = split_options($plug->{device});
    my %wanted = map { $_->[0] => $_->[1] } grep { !$QEMU_SERVERS_OWN{ $_->[0] } } @wanted;
    my @options;
    for my $option (split_options($text)) {
        my ($key, $value) = $option->@*;
        next if $key eq 'host_mtu' && !exists($wanted{$key});
        push @options, [$key, exists($wanted{$key}) ? delete($wanted{$key}) : $value];
    }
    push @options, grep { exists($wanted{ $_->[0] }) } @wanted;
    return join_options(@options);
}

sub chardev_id($plug) {
    return $plug->{chardev} =~ m/(?:^|,)id=([^,]+)/ ? $1 : undef;
}

# The plug's -chardev in the words of QMP's chardev-add.
sub chardev_qmp($plug) {
    my (undef, @options) = split_options($plug->{chardev});
    my %option = map { $_->[0] => $_->[1] // 'on' } @options;
    my $data = {
        addr => { type => 'unix', data => { path => $option{path} } },
        server => ($option{server} // 'off') eq 'on' ? \1 : \0,
    };
    $data->{wait} = $option{wait} eq 'on' ? \1 : \0 if $option{wait};
    for my $key (qw(reconnect reconnect-ms)) {
        $data->{$key} = $option{$key} + 0 if defined($option{$key});
    }
    return (id => $option{id}, backend => { type => 'socket', data => $data });
}

# Put each plug's -chardev before the -netdev that names it. $plugs: id -> plug.
sub insert_chardevs($cmd, $plugs) {
    my @out;
    while (defined(my $word = shift @$cmd)) {
        if ($word eq '-netdev' && $cmd->[0] =~ m/^type=vhost-user,id=(net\d+),/ && $plugs->{$1}) {
            push @out, '-chardev', $plugs->{$1}->{chardev};
        }
        push @out, $word;
    }
    $cmd->@* = @out;
    return;
}

# vhost-vdpa counts the pages that each device pins against RLIMIT_MEMLOCK, and exempts nobody.
# One GiB is for what else QEMU locks. Memory plugged later has no bound that is known now.
sub memlock_limit($conf, $memory_mib, $n_vdpa) {
    return 'unlimited' if has_memory_hotplug($conf);
    return ($memory_mib * $n_vdpa + 1024) * 1024 * 1024;
}

# Does any of the plugs need memory that another process can map?
sub wants_shared_memory($plugs) {
    return scalar(grep { $_->{kind} ne 'vdpa' } values $plugs->%*) ? 1 : 0;
}

# Add the rows of `vdpactl stats` to qemu-server's status. What the switch receives is what the VM
# sends. The device goes by the name that its TAP would have, so that graphs go on.
sub add_counters($status, $rows, $full) {
    for my $row ($rows->@*) {
        my ($vmid, $id) = parse_port_name($row->{name} // '') or next;
        my $vm = $status->{$vmid} or next;
        my ($out, $in) = map { int($_ // 0) } $row->@{qw(rx_bytes tx_bytes)};
        $vm->{netout} += $out;
        $vm->{netin} += $in;
        next if !$full;
        my $tap = "tap${vmid}i" . substr($id, length('net'));
        $vm->{nics}->{$tap} = { netout => $out, netin => $in };
    }
    return;
}

1;
