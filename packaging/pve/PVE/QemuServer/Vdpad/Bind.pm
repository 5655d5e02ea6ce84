# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Bind;

# Attaches vdpad to the loaded, unmodified qemu-server by wrapping package subs. It happens twice, as
# some programs (pve-bridge, pve-firewall) load only the Network module:
#   PVE/QemuServer/Network.pm   the key backend= of netN
#   PVE/QemuServer.pm           everything else
# First every sub that is needed is looked for. If one is missing, because qemu-server has changed,
# nothing is wrapped but the guard: VMs with backend= are refused with a reason, all others start.
#
# Each wrapper asks first whether the VM has a NIC of ours and else calls the original with its
# arguments as they came.

use v5.36;

use PVE::QemuServer::Vdpad;
use PVE::QemuServer::Vdpad::Guard;
use PVE::QemuServer::Vdpad::Hotplug;
use PVE::QemuServer::Vdpad::Node;
use PVE::QemuServer::Vdpad::Policy;
use PVE::QemuServer::Vdpad::Port;

my %NEEDED = (
    'PVE::QemuServer' => [
        qw(
            config_to_command print_netdev_full print_netdevice_full qemu_netdevadd qemu_netdevdel
            vmconfig_update_net vmconfig_apply_pending vm_deviceplug vm_deviceunplug
            cleanup_pci_devices check_bridge_access qemu_set_link_status kvm_user_version vmstatus
            )
    ],
    'PVE::QemuServer::Memory' => [qw(config get_current_memory)],
    'PVE::QemuServer::Network' => [qw(parse_net add_nets_bridge_fdb del_nets_bridge_fdb)],
    'PVE::QemuServer::Monitor' => [qw(mon_cmd)],
    'PVE::QemuServer::Helpers' => [qw(vm_running_locally)],
    'PVE::QemuMigrate::Helpers' => [qw(check_non_migratable_resources check_local_resources)],
    'PVE::Network' => [qw(read_bridge_mtu)],
    'PVE::Network::SDN::Vnets' =>
        [qw(add_next_free_cidr del_ips_from_mac add_dhcp_mapping)],
    'PVE::Cluster' => [qw(broadcast_node_kv get_node_kv get_members get_nodelist)],
    'PVE::INotify' => [qw(nodename)],
    'PVE::Exception' => [qw(raise_param_exc)],
);

# While a command line is made or a NIC is plugged: how QEMU reaches each port, by NIC.
our $plugs;

my $is_bound;

sub missing_subs() {
    my @missing;
    for my $package (sort keys %NEEDED) {
        push @missing,
            grep { !PVE::QemuServer::Vdpad::Guard::is_defined($_) }
            map { "${package}::$_" } $NEEDED{$package}->@*;
    }
    return @missing;
}

# $module is the file that the loader has just loaded.
sub attach($module) {
    my $format = PVE::QemuServer::Vdpad::Guard::net_format();
    my $schema = PVE::QemuServer::Vdpad::net_schema();
    $format->{$_} //= $schema->{$_} for keys $schema->%*;
    return if $module ne 'PVE/QemuServer.pm' || $is_bound;

    $is_bound = 1;
    if (my @missing = missing_subs()) {
        my $why = "it lacks @missing";
        warn "vdpad: not attached to this qemu-server, $why\n";
        PVE::QemuServer::Vdpad::Guard::refuse($why);
        return;
    }
    _bind_command_line();
    _bind_hotplug();
    _bind_life_cycle();
    _bind_policy();
    return;
}

my sub wrap($sub, $code) {
    PVE::QemuServer::Vdpad::Guard::wrap($sub, $code);
    return;
}

my sub nics($conf) { return PVE::QemuServer::Vdpad::Node::nics($conf) }

my sub memory_mib($conf) {
    return PVE::QemuServer::Memory::get_current_memory($conf->{memory});
}

my sub n_vdpa($plugs) { return scalar(grep { $_->{kind} eq 'vdpa' } values $plugs->%*) }

# -- the command line ------------------------------------------------------------------------------

# A VM whose bridge is missing, and no network of vdpad either: qemu-server says that, we why.
my sub without_nics($original, @args) {
    my @result = eval { $original->(@args) };
    return @result if !$@;
    my $err = $@;
    die $err if ref($err) || $err !~ m/^bridge '.*' does not exist$/m;
    my $hint = PVE::QemuServer::Vdpad::Node::missing_bridge_hint($args[2]);
    die $hint ? $err =~ s/\n*\z/ ($hint)\n/r : $err;
}

# The plug of a NIC of ours, undef for others. A NIC that asks for vdpad must never become a TAP.
my sub plug($net, $id) {
    my $plug = ($plugs // {})->{$id};
    return $plug if $plug;
    my $asked = $net->{backend} // 'kernel';
    die "$id: backend=$asked is not prepared here: vdpad does not know this path of qemu-server\n"
        if $asked ne 'kernel';
    return;
}

# Runs $code while what QEMU is told of the NICs of $of_nics comes from vdpad. Nothing else passes through these
# wrappers, so that VMs without such NICs do not pay for them.
my sub with_plugs($of_nics, $code) {
    local $plugs = $of_nics;
    no warnings 'redefine';

    my $print_netdev_full = \&PVE::QemuServer::print_netdev_full;
    local *PVE::QemuServer::print_netdev_full = sub (@args) {
        my ($net, $id) = @args[3, 4];
        my $plug = plug($net, $id) or return $print_netdev_full->(@args);
        return PVE::QemuServer::Vdpad::netdev($plug, $id);
    };

    my $print_netdevice_full = \&PVE::QemuServer::print_netdevice_full;
    local *PVE::QemuServer::print_netdevice_full = sub (@args) {
        my ($net, $id) = @args[2, 3];
        my $plug = plug($net, $id) or return $print_netdevice_full->(@args);
        local *PVE::Network::read_bridge_mtu = sub { return $plug->{mtu} };
        return PVE::QemuServer::Vdpad::device($print_netdevice_full->(@args), $plug);
    };

    # The flag that virtio-fs uses makes exactly the memory that a vhost-user back end needs;
    # hugepages are shared without it.
    my $memory_config = \&PVE::QemuServer::Memory::config;
    local *PVE::QemuServer::Memory::config = sub (@args) {
        my ($conf, $hotplug) = @args[0, 4];
        if (PVE::QemuServer::Vdpad::wants_shared_memory($plugs)) {
            die "memory hotplug is not possible with vdpad's vhost-user devices\n" if $hotplug;
            $args[5] = 1 if !$conf->{hugepages};
        }
        return $memory_config->(@args);
    };
    return $code->();
}

my sub with_nics($original, @args) {
    my ($vmid, $conf, $options) = @args[1, 2, 4];
    my $nics = nics($conf);
    return without_nics($original, @args) if !$nics->%*;

    PVE::QemuServer::Vdpad::Port::assert_startable($vmid, $conf, $nics);
    my $qemu = PVE::QemuServer::kvm_user_version();
    my $of_nics =
        $options->{'dry-run'}
        ? PVE::QemuServer::Vdpad::Port::plan($vmid, $nics, $qemu)
        : PVE::QemuServer::Vdpad::Port::prepare($vmid, $nics, $qemu, 0);
    if (!$options->{'dry-run'}) { # as pve-bridge does for a TAP
        for my $id (sort keys $nics->%*) {
            my ($bridge, $mac) = $nics->{$id}->{net}->@{qw(bridge macaddr)};
            PVE::Network::SDN::Vnets::add_dhcp_mapping($bridge, $mac, $vmid, $conf->{name});
        }
    }

    my @result = with_plugs($of_nics, sub { return $original->(@args) });
    my $cmd = $result[0];
    PVE::QemuServer::Vdpad::insert_chardevs($cmd, $of_nics);
    my $n_vdpa = n_vdpa($of_nics);
    unshift $cmd->@*,
        PVE::QemuServer::Vdpad::Hotplug::memlock_prefix($conf, memory_mib($conf), $n_vdpa)
        if $n_vdpa;
    return @result;
}

# On the way of every VM: others pass without a copy of their arguments, those without any NIC after one look.
sub _bind_command_line() {
    PVE::QemuServer::Vdpad::Guard::replace(
        'PVE::QemuServer::config_to_command',
        sub ($original) {
            return sub {
                goto &$original
                    if index(join(' ', keys $_[2]->%*), 'net') < 0
                    || PVE::QemuServer::Vdpad::Node::is_plain($_[2]);
                my @result = with_nics($original, @_);
                return wantarray ? @result : $result[0];
            };
        },
    );
    return;
}

# -- hotplug ---------------------------------------------------------------------------------------

my sub vm_deviceplug($original, @args) {
    my ($conf, $vmid, $id, $net) = @args[1 .. 4];
    my $nic = $id =~ m/^net[0-9]+$/ ? PVE::QemuServer::Vdpad::Node::nic($id, $net) : undef;
    return $original->(@args) if !$nic;

    PVE::QemuServer::Vdpad::Port::assert_startable($vmid, $conf, { $id => $nic });
    PVE::QemuServer::Vdpad::Hotplug::assert_memory_shared($vmid) if $nic->{backend} ne 'vdpa';
    my $qemu = PVE::QemuServer::Vdpad::Hotplug::qemu_version($vmid);
    my $of_nics = PVE::QemuServer::Vdpad::Port::prepare($vmid, { $id => $nic }, $qemu, 1);
    my $result = eval {
        PVE::QemuServer::Vdpad::Hotplug::assert_no_waiting($vmid, $id, $of_nics->{$id});
        with_plugs($of_nics, sub { return $original->(@args) });
    };
    if (my $err = $@) {
        eval { PVE::QemuServer::qemu_netdevdel($vmid, $id) }; # qemu-server leaves it in some cases
        PVE::QemuServer::Vdpad::Hotplug::remove_chardev($vmid, $id);
        PVE::QemuServer::Vdpad::Port::release($vmid, $id);
        die $err;
    }
    return $result;
}

# Of the VM's NICs, how many may hold a vDPA device; one more is about to.
my sub n_vdpa_with($conf, $id) {
    my $nics = nics($conf);
    return 1 + grep { $_->{id} ne $id && $_->{backend} =~ m/^(?:auto|vdpa)$/ } values $nics->%*;
}

my sub qemu_netdevadd($original, @args) {
    my ($vmid, $conf, undef, $net, $id) = @args;
    my $plug = plug($net, $id) or return $original->(@args);
    if ($plug->{kind} eq 'vdpa') {
        my $pid = PVE::QemuServer::Helpers::vm_running_locally($vmid) or die "VM $vmid has stopped\n";
        PVE::QemuServer::Vdpad::Hotplug::raise_memlock(
            $pid, $conf, memory_mib($conf), n_vdpa_with($conf, $id),
        );
    } else {
        PVE::QemuServer::Vdpad::Hotplug::add_chardev($vmid, $id, $plug);
    }
    return $original->(@args);
}

my sub qemu_netdevdel($original, @args) {
    my ($vmid, $id) = @args;
    my $result = $original->(@args);
    if (PVE::QemuServer::Vdpad::Node::was_started()) {
        my $had_chardev = PVE::QemuServer::Vdpad::Hotplug::remove_chardev($vmid, $id);
        my @ids = PVE::QemuServer::Vdpad::Node::port_files($vmid);
        PVE::QemuServer::Vdpad::Port::release($vmid, $id)
            if $had_chardev || grep { $_ eq $id } @ids;
    }
    return $result;
}

# The device that works is not taken away for a bridge that is not there.
my sub assert_bridge($id, $value) {
    my $bridge = PVE::QemuServer::Vdpad::bridge_of($value);
    return if !PVE::QemuServer::Vdpad::Node::is_missing($bridge);
    my $hint = PVE::QemuServer::Vdpad::Node::missing_bridge_hint({ $id => $value });
    die "bridge '$bridge' does not exist" . ($hint ? " ($hint)" : '') . "\n";
}

my sub replug($original, $old, $new, @args) {
    my ($storecfg, $conf, $hotplug, $vmid, $id, $value, $arch, $machine) = @args;
    die "skip\n" if !$hotplug;
    assert_bridge($id, $value) if !$new;
    if ($new) { # nor for a port that cannot be had
        my $problem = PVE::QemuServer::Vdpad::Port::problem($vmid, $new, $conf);
        die "$problem\n" if $problem;
        PVE::QemuServer::Vdpad::Hotplug::assert_memory_shared($vmid) if $new->{backend} ne 'vdpa';
        my $qemu = PVE::QemuServer::Vdpad::Hotplug::qemu_version($vmid);
        PVE::QemuServer::Vdpad::Hotplug::assert_no_waiting(
            $vmid, $id, PVE::QemuServer::Vdpad::Port::plan_one($vmid, $new, $qemu),
        ) if $new->{socket};
    }
    my $old_net = PVE::QemuServer::Network::parse_net($conf->{$id});
    PVE::QemuServer::vm_deviceunplug($vmid, $conf, $id);
    PVE::Network::SDN::Vnets::del_ips_from_mac($old_net->@{qw(bridge macaddr)}, $conf->{name});
    $args[1] = { $conf->%* };
    delete $args[1]->{$id};
    my $result = eval { $original->(@args) };
    return $result if !$@;

    my $err = $@;
    eval {
        PVE::QemuServer::vm_deviceplug($storecfg, $args[1], $vmid, $id, $old_net, $arch, $machine);
    };
    warn "VM $vmid $id: the old device cannot be put back: $@" if $@;
    die $err;
}

my sub vmconfig_update_net($original, @args) {
    my ($conf, $vmid, $id, $value) = @args[1, 3, 4, 5];
    return $original->(@args) if !$conf->{$id};
    my $old = PVE::QemuServer::Vdpad::Node::running_nic_of($vmid, $id, $conf->{$id});
    my $new = PVE::QemuServer::Vdpad::Node::nic_of($id, $value);
    return $original->(@args) if !($old || $new);
    return replug($original, $old, $new, @args)
        if !$old || !$new || PVE::QemuServer::Vdpad::Port::needs_replug($vmid, $old, $new);

    my $problem = PVE::QemuServer::Vdpad::Port::problem($vmid, $new, $conf);
    die "$problem\n" if $problem;
    my $is_moved = PVE::QemuServer::Vdpad::Port::is_moved($old, $new);
    PVE::QemuServer::qemu_set_link_status($vmid, $id, 0) if $is_moved;
    eval { PVE::QemuServer::Vdpad::Port::change($vmid, $old, $new) };
    my $err = $@;
    my ($was_down, $is_down) = map { $_->{net}->{link_down} ? 1 : 0 } $old, $err ? $old : $new;
    PVE::QemuServer::qemu_set_link_status($vmid, $id, !$is_down)
        if $is_moved || $was_down != $is_down;
    die $err if $err;
    my ($from, $to) = ($old->{net}, $new->{net});
    if ($from->{bridge} ne $to->{bridge}) {
        PVE::Network::SDN::Vnets::del_ips_from_mac($from->@{qw(bridge macaddr)}, $conf->{name});
        PVE::Network::SDN::Vnets::add_next_free_cidr(
            $to->{bridge}, $conf->{name}, $to->{macaddr}, $vmid, undef, 1,
        );
    }
    return 1;
}

sub _bind_hotplug() {
    wrap('PVE::QemuServer::vm_deviceplug', \&vm_deviceplug);
    wrap('PVE::QemuServer::qemu_netdevadd', \&qemu_netdevadd);
    wrap('PVE::QemuServer::qemu_netdevdel', \&qemu_netdevdel);
    wrap('PVE::QemuServer::vmconfig_update_net', \&vmconfig_update_net);
    return;
}

# -- the life of a VM ------------------------------------------------------------------------------

my sub without_ours($conf) {
    my $nics = nics($conf);
    return $conf if !$nics->%*;
    return { map { $_ => $conf->{$_} } grep { !$nics->{$_} } keys $conf->%* };
}

sub _bind_life_cycle() {
    # qemu-server calls this after every stop and every failed start, and nowhere else
    wrap(
        'PVE::QemuServer::cleanup_pci_devices',
        sub ($original, @args) {
            my ($vmid, $conf) = @args;
            my %ids = map { $_ => 1 } keys nics($conf)->%*,
                PVE::QemuServer::Vdpad::Node::port_files($vmid);
            PVE::QemuServer::Vdpad::Port::release($vmid, sort keys %ids);
            return $original->(@args);
        },
    );

    # both are about a TAP in a Linux bridge
    for my $name (qw(add_nets_bridge_fdb del_nets_bridge_fdb)) {
        wrap(
            "PVE::QemuServer::Network::$name",
            sub ($original, $conf, @rest) { return $original->(without_ours($conf), @rest) },
        );
    }

    wrap(
        'PVE::QemuServer::vmstatus',
        sub ($original, @args) {
            my $status = $original->(@args);
            return $status if !PVE::QemuServer::Vdpad::Node::has_ports();
            my $rows = PVE::QemuServer::Vdpad::Node::stats();
            eval { PVE::QemuServer::Vdpad::add_counters($status, $rows, $args[1]) };
            warn "no counters from vdpad: $@" if $@; # the status of all other VMs is not ours to end
            return $status;
        },
    );
    return;
}

# -- refusals --------------------------------------------------------------------------------------

sub _bind_policy() {
    for my $name (qw(check_bridge_access vmconfig_apply_pending)) {
        wrap("PVE::QemuServer::$name", PVE::QemuServer::Vdpad::Policy->can($name));
    }
    for my $name (qw(check_non_migratable_resources check_local_resources)) {
        wrap("PVE::QemuMigrate::Helpers::$name", PVE::QemuServer::Vdpad::Policy->can($name));
    }
    return;
}

1;
