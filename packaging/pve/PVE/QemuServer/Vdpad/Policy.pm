# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Policy;

# What is refused before it begins: settings when they are made, migration, snapshots with RAM and
# hibernation. Each function takes the sub of qemu-server that it wraps, and that sub's arguments.

use v5.36;

use PVE::Exception;

use PVE::QemuServer::Vdpad;
use PVE::QemuServer::Vdpad::Node;
use PVE::QemuServer::Vdpad::Port;

# Inside the lock qemu-server shows the values that a configuration already has, among them the one
# that is being replaced or deleted, which must always be possible. New values come before the lock.
my sub is_in_config_lock() {
    for (my $i = 1; my @frame = caller($i); $i++) { ## no critic (ProhibitCStyleForLoops)
        return 1 if $frame[3] =~ m/::lock_config(?:_full|_shared)?$/;
    }
    return 0;
}

# A clone shows the whole configuration that it copies, first without the lock: what the original has
# may not be free now, and need not be. An API call's settings have neither key.
my sub is_copied($settings) {
    return exists($settings->{snapshots}) || exists($settings->{snaptime});
}

# A node that does not know the key drops the whole line when it next writes the configuration.
my sub cluster_problem($nic) {
    return if $nic->{by_network};
    my @nodes = PVE::QemuServer::Vdpad::Node::nodes_without_vdpad() or return;
    return "backend= would be lost on node @nodes, where vdpad-pve is not installed or has not"
        . " announced itself within a minute: install it there, or leave backend= out and name a"
        . " network of vdpad as the bridge";
}

# qemu-server: may this user use these bridges? Called for each new or changed netN.
sub check_bridge_access($original, @args) {
    my ($rpcenv, $user, $settings) = @args;
    my $result = $original->(@args);

    my $is_old = is_in_config_lock();
    my $is_copied = is_copied($settings);
    my $errors = {};
    for my $id (sort grep { m/^net[0-9]+$/ } keys $settings->%*) {
        my $nic = PVE::QemuServer::Vdpad::Node::nic_of($id, $settings->{$id}) or next;
        $rpcenv->check_full($user, "/mapping/vhost-user/$nic->{socket}", ['Mapping.Use'])
            if $nic->{socket} && $user ne 'root@pam';
        next if $is_old;
        $nic->{net}->{macaddr} //= '02:00:00:00:00:01'; # qemu-server makes one afterwards
        my $problem = $is_copied ? undef : PVE::QemuServer::Vdpad::Port::problem(0, $nic, $settings);
        $problem //= cluster_problem($nic) // next;
        $errors->{$id} = $problem;
    }
    PVE::Exception::raise_param_exc($errors) if $errors->%*;
    return $result;
}

# qemu-server: apply the pending changes of a VM that does not run. With $errors, a user waits for
# the answer: what the VM's other settings rule out stays pending, and is said.
sub vmconfig_apply_pending($original, @args) {
    my ($vmid, $conf, $storecfg, $errors) = @args;
    return $original->(@args) if !$errors;

    my %after = ($conf->%*, ($conf->{pending} // {})->%*);
    my $deleted = $after{delete} // '';
    delete @after{ map { s/^!//r } split(/[,;\s]+/, $deleted) } if $deleted;
    my $nics = PVE::QemuServer::Vdpad::Node::nics(\%after);
    my %held;
    for my $id (sort keys $nics->%*) {
        my $problem = PVE::QemuServer::Vdpad::vm_problem(\%after, $nics->{$id}) // next;
        my ($cause) = grep { exists($conf->{pending}->{$_}) } $id, qw(hotplug amd-sev intel-tdx);
        next if !$cause;
        $errors->{$cause} = "it stays pending, as the VM could not start: $id: $problem";
        $held{$cause} = $conf->{pending}->{$cause};
    }
    return $original->(@args) if !%held;

    delete $conf->{pending}->@{ keys %held };
    my $is_done = eval { $original->(@args); 1 };
    my $err = $@;
    $conf->{pending}->@{ keys %held } = values %held;
    PVE::QemuConfig->write_config($vmid, $conf);
    die $err if !$is_done;
    return;
}

# qemu-server: what keeps a VM's state in RAM on this node? Asked by live migration, the API's
# precondition, snapshots with RAM and hibernation.
sub check_non_migratable_resources($original, @args) {
    my ($conf, $state, $noerr) = @args;
    my @blockers = $original->(@args);
    return @blockers if !$state;

    my $nics = PVE::QemuServer::Vdpad::Node::nics($conf);
    my @ours = map { "$_ (" . PVE::QemuServer::Vdpad::nic_title($nics->{$_}) . ')' }
        sort keys $nics->%*;
    die "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: " . join(', ', @ours)
        . " - shut the VM down first, or unplug the device\n"
        if @ours && !$noerr;
    return (@blockers, @ours);
}

# qemu-server: which resources do other nodes lack? A network is treated like a mapped device.
sub check_local_resources($original, @args) {
    my ($conf) = @args;
    return $original->(@args) if !wantarray;

    my ($local, $mapped, $missing) = $original->(@args);
    my $nics = PVE::QemuServer::Vdpad::Node::nics($conf);
    for my $id (sort keys $nics->%*) {
        my $network = $nics->{$id}->{net}->{bridge} // next;
        $mapped->{$id} = { name => $network };
        for my $node (PVE::QemuServer::Vdpad::Node::nodes_without_network($network)) {
            push $missing->{$node}->@*, "$id:$network";
        }
    }
    return ($local, $mapped, $missing);
}

1;
