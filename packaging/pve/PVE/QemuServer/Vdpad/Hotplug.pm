# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Hotplug;

# A running QEMU and a NIC of ours: what must be done over QMP around qemu-server's own netdev_add
# and netdev_del.

use v5.36;

use PVE::QemuServer::Monitor;
use PVE::Tools;

use PVE::QemuServer::Vdpad;

my $PRLIMIT = '/usr/bin/prlimit';

my sub qmp($vmid, $command, %args) {
    return PVE::QemuServer::Monitor::mon_cmd($vmid, $command, %args);
}

my sub has_chardev($vmid, $chardev_id) {
    return scalar(grep { $_->{label} eq $chardev_id } qmp($vmid, 'query-chardev')->@*);
}

# "11.0", of the QEMU that runs, which may be older than the installed one.
sub qemu_version($vmid) {
    my $qemu = qmp($vmid, 'query-version')->{qemu};
    return "$qemu->{major}.$qemu->{minor}";
}

# Memory that was not shared at QEMU's start cannot be handed to another process later. "skip" leaves
# the change pending until the next start, which will share it.
sub assert_memory_shared($vmid) {
    my $memory = qmp($vmid, 'query-memdev');
    die "skip\n" if !$memory->@* || grep { !$_->{share} } $memory->@*;
    return;
}

# QEMU's main loop, and with it the guest, would stop until the other switch connects.
sub assert_no_waiting($vmid, $id, $plug) {
    return if !PVE::QemuServer::Vdpad::waits_for_peer($plug);
    die "VM $vmid $id: a socket on which QEMU listens cannot be plugged while the VM runs, as the VM would"
        . " stand still until the other switch connects: the change is made at the next start, or use a"
        . " socket with 'mode = client'\n";
}

sub add_chardev($vmid, $id, $plug) {
    my $chardev_id = PVE::QemuServer::Vdpad::chardev_id($plug);
    if (has_chardev($vmid, $chardev_id)) {
        # of an unplug that the guest granted only after qemu-server had stopped waiting
        eval { qmp($vmid, 'netdev_del', id => $id) };
        qmp($vmid, 'chardev-remove', id => $chardev_id);
    }
    qmp($vmid, 'chardev-add', PVE::QemuServer::Vdpad::chardev_qmp($plug));
    return;
}

# After netdev_del. Returns whether the NIC had one. Never dies.
sub remove_chardev($vmid, $id) {
    my $chardev_id = 'vdpad-' . PVE::QemuServer::Vdpad::port_name($vmid, $id);
    my $had_one = eval { has_chardev($vmid, $chardev_id) };
    eval { qmp($vmid, 'chardev-remove', id => $chardev_id) } if $had_one;
    warn "VM $vmid $id: character device $chardev_id stays in QEMU: $@" if $@;
    return $had_one;
}

# Let QEMU pin the guest's memory once more.
sub raise_memlock($pid, $conf, $memory_mib, $n_vdpa) {
    my $limit = PVE::QemuServer::Vdpad::memlock_limit($conf, $memory_mib, $n_vdpa);
    PVE::Tools::run_command([$PRLIMIT, "--pid=$pid", "--memlock=$limit:$limit"]);
    return;
}

sub memlock_prefix($conf, $memory_mib, $n_vdpa) {
    my $limit = PVE::QemuServer::Vdpad::memlock_limit($conf, $memory_mib, $n_vdpa);
    return ($PRLIMIT, "--memlock=$limit:$limit");
}

1;
