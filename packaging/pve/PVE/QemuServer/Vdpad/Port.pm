# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Port;

# The ports of a VM in vdpad: planned, prepared before QEMU starts, changed, released. Prepared means
# that the socket listens or the device exists, because a QEMU that cannot connect hangs.

use v5.36;

use PVE::QemuServer::Vdpad;
use PVE::QemuServer::Vdpad::Client;
use PVE::QemuServer::Vdpad::Node;

my $UNREACHABLE = PVE::QemuServer::Vdpad::Client::UNREACHABLE;
my $NOT_FOUND = PVE::QemuServer::Vdpad::Client::NOT_FOUND;
my $CONFLICT = PVE::QemuServer::Vdpad::Client::CONFLICT;

my sub text_of($result) {
    return $result->{text} if $result->{status} != $UNREACHABLE;
    return PVE::QemuServer::Vdpad::Client::unreachable_text($result->{text});
}

# What speaks against $nic, by itself, in a VM like $conf (may be undef), and on this node; undef if
# nothing does. $vmid is 0 for a VM that is being made.
sub problem($vmid, $nic, $conf = undef) {
    my $problem = PVE::QemuServer::Vdpad::nic_problem($nic);
    $problem //= PVE::QemuServer::Vdpad::vm_problem($conf, $nic) if $conf;
    return $problem if $problem;

    my ($networks) = PVE::QemuServer::Vdpad::Node::networks();
    my $network = $networks ? $networks->{ $nic->{net}->{bridge} } : undef;
    $problem = PVE::QemuServer::Vdpad::mtu_problem($nic, $network->{mtu}) if $network;
    return $problem if $problem;

    my $name = PVE::QemuServer::Vdpad::port_name($vmid, $nic->{id});
    my $plan = PVE::QemuServer::Vdpad::Client::explain($name, $nic);
    return text_of($plan) if $plan->{status} != 0;
    return PVE::QemuServer::Vdpad::plan_problem($nic, $plan->{answer}, $vmid != 0);
}

# The first problem of a VM's NICs ends its start.
sub assert_startable($vmid, $conf, $nics) {
    for my $id (sort keys $nics->%*) {
        my $nic = $nics->{$id};
        my $problem = PVE::QemuServer::Vdpad::nic_problem($nic)
            // PVE::QemuServer::Vdpad::vm_problem($conf, $nic)
            // next;
        die "VM $vmid $id: $problem\n";
    }
    return;
}

# How QEMU would reach a NIC, without creating its port.
sub plan_one($vmid, $nic, $qemu) {
    if (my $problem = problem($vmid, $nic)) {
        die "VM $vmid $nic->{id}: $problem\n";
    }
    my $name = PVE::QemuServer::Vdpad::port_name($vmid, $nic->{id});
    my $planned = PVE::QemuServer::Vdpad::Client::port_qemu($name, $qemu, $nic);
    die "VM $vmid $nic->{id}: " . text_of($planned) . "\n" if $planned->{status} != 0;
    return $planned->{answer};
}

# The same for all NICs; works without vdpad, and then guesses.
sub plan($vmid, $nics, $qemu) {
    my $plugs = {};
    for my $id (sort keys $nics->%*) {
        my $nic = $nics->{$id};
        my $found = PVE::QemuServer::Vdpad::Client::port_qemu(
            PVE::QemuServer::Vdpad::port_name($vmid, $id), $qemu,
        );
        if ($found->{status} == 0) {
            $plugs->{$id} = $found->{answer};
        } elsif ($found->{status} != $UNREACHABLE) {
            $plugs->{$id} = plan_one($vmid, $nic, $qemu);
        } else {
            warn "VM $vmid $id: " . text_of($found) . "; this is what would be likely\n";
            my $kind = $nic->{backend} eq 'vdpa' ? 'vdpa' : 'vhost-user';
            my $mtu = $nic->{net}->{mtu} // 1;
            $mtu = 1500 if $mtu == 1;
            $plugs->{$id} = PVE::QemuServer::Vdpad::planned_plug($vmid, $nic, $kind, $mtu, $qemu);
        }
    }
    return $plugs;
}

my sub prepare_one($vmid, $nic, $qemu, $is_running) {
    my $name = PVE::QemuServer::Vdpad::port_name($vmid, $nic->{id});
    my $problem = problem($vmid, $nic);
    die "VM $vmid $nic->{id}: $problem\n" if $problem;

    my $added = PVE::QemuServer::Vdpad::Client::port_add($name, $nic);
    if ($added->{status} == $CONFLICT) {
        # Left by a VM that went away while vdpad did not answer, unless the VM itself uses it.
        die "VM $vmid $nic->{id}: $added->{text}\n"
            if $is_running && (PVE::QemuServer::Vdpad::Client::port_show($name)->{state} // '') eq 'connected';
        PVE::QemuServer::Vdpad::Client::port_del($name);
        $added = PVE::QemuServer::Vdpad::Client::port_add($name, $nic);
    }
    die "VM $vmid $nic->{id}: " . text_of($added) . "\n" if $added->{status} != 0;

    my $found = PVE::QemuServer::Vdpad::Client::port_qemu($name, $qemu);
    die "VM $vmid $nic->{id}: " . text_of($found) . "\n" if $found->{status} != 0;
    return $found->{answer};
}

# Create the ports; returns how QEMU reaches each. Idempotent. What was created before a failure is
# released by the caller's clean-up.
sub prepare($vmid, $nics, $qemu, $is_running) {
    return {
        map { $_ => prepare_one($vmid, $nics->{$_}, $qemu, $is_running) } sort keys $nics->%*
    };
}

# Give ports back. Never dies: the VM is gone or the start has failed anyway.
sub release($vmid, @ids) {
    for my $id (@ids) {
        my $name = PVE::QemuServer::Vdpad::port_name($vmid, $id);
        eval { PVE::QemuServer::Vdpad::Client::port_del($name) };
        warn "port $name is not given back: $@" if $@;
    }
    return;
}

my sub changed($old, $new, @keys) {
    return grep { ($old->{net}->{$_} // '') ne ($new->{net}->{$_} // '') } @keys;
}

# Can a running VM's NIC not become $new without being unplugged? Also where the backend that its port
# is on cannot do the change.
sub needs_replug($vmid, $old, $new) {
    return 1 if PVE::QemuServer::Vdpad::nic_title($old) ne PVE::QemuServer::Vdpad::nic_title($new)
        && !($old->{by_network} && $new->{by_network});
    return 1 if changed($old, $new, qw(model macaddr queues mtu));
    return 0 if !changed($old, $new, qw(bridge tag trunks rate link_down));

    my $name = PVE::QemuServer::Vdpad::port_name($vmid, $old->{id});
    my $port = PVE::QemuServer::Vdpad::Client::port_show($name);
    return 0 if !$port->{backend};
    my $plan = PVE::QemuServer::Vdpad::Client::explain($name, $old);
    return 0 if $plan->{status} != 0; # the change will say why
    return PVE::QemuServer::Vdpad::lacks_for_change($plan->{answer}, $port, $old, $new) ? 1 : 0;
}

# Does the guest have to notice, as when a cable is moved?
sub is_moved($old, $new) {
    return changed($old, $new, qw(bridge tag)) ? 1 : 0;
}

# vdpad did not say whether @pairs were set; the configuration will stay as it was, and so must the port.
# vdpad does what it is asked about a port one after the other, also what nobody waits for any more.
my sub take_back($vmid, $id, $text, @pairs) {
    my $name = PVE::QemuServer::Vdpad::port_name($vmid, $id);
    my $back = PVE::QemuServer::Vdpad::Client::port_set($name, @pairs);
    die "VM $vmid $id: vdpad did not say whether the change was made ($text), so it was taken back: try again\n"
        if $back->{status} == 0;
    die "VM $vmid $id: vdpad did not say whether the change was made ($text), nor could it be taken back"
        . " ($back->{text}): when vdpad answers, make it again or 'vdpactl port set $name @pairs'\n";
}

# Change the port of a running VM. Dies with the port as it was, or says that it may not be.
sub change($vmid, $old, $new) {
    my $name = PVE::QemuServer::Vdpad::port_name($vmid, $new->{id});
    my %was = PVE::QemuServer::Vdpad::port_spec($old);
    my %spec = PVE::QemuServer::Vdpad::port_spec($new);
    my @keys = grep { ($was{$_} // '') ne $spec{$_} } qw(network vlan link);
    # a backend that offers these can also drop them
    push @keys, grep { ($was{$_} // '') ne ($spec{$_} // '') } qw(trunks rate);
    return if !@keys;

    my $set = PVE::QemuServer::Vdpad::Client::port_set($name, map { $_ => $spec{$_} // 'none' } @keys);
    take_back($vmid, $new->{id}, $set->{text}, map { $_ => $was{$_} // 'none' } @keys)
        if $set->{status} == $UNREACHABLE;
    die "VM $vmid $new->{id}: $set->{text}\n" if $set->{status} != 0;
    return;
}

1;
