# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer;

# A stand-in for the part of Proxmox VE's qemu-server that vdpad attaches to: the same subs with the
# same arguments, doing just enough to see what vdpad changes. tests/pve/cases run against this and
# against the real one, and must come out the same.

use v5.36;

use PVE::Cluster;
use PVE::Exception;
use PVE::Network;
use PVE::Network::SDN::Vnets;
use PVE::QemuConfig;
use PVE::QemuMigrate::Helpers;
use PVE::QemuServer::Helpers;
use PVE::QemuServer::Memory;
use PVE::QemuServer::Monitor qw(mon_cmd);
use PVE::QemuServer::Network;
use PVE::Tools;

our $qemu_version = '11.0.2';
our $storage_config = {};
our @cleaned_up; # VMIDs

sub kvm_user_version(@) { return $qemu_version }

sub parse_vm_config($name, $raw) {
    my $conf = { description => '' };
    for my $line (split(/\n/, $raw)) {
        if ($line =~ m/^#(.*)$/) {
            $conf->{description} .= "$1\n";
        } elsif ($line =~ m/^(net\d+):\s*(\S+)$/) {
            my ($id, $value) = ($1, $2);
            # as the real one: what it cannot read is dropped, and gone with the next write
            $conf->{$id} = $value if PVE::QemuServer::Network::parse_net($value, 1);
        } elsif ($line =~ m/^([a-z][a-z0-9_-]*):\s*(.*)$/) {
            $conf->{$1} = $2;
        }
    }
    return $conf;
}

my sub machine_version($conf) {
    return $1 if ($conf->{machine} // '') =~ m/-(\d+\.\d+)/;
    return $qemu_version =~ m/^(\d+\.\d+)/ ? $1 : die 'no version';
}

my sub at_least($version, $wanted) {
    my ($have, $want) = map { sprintf('%03d%03d', split(/\./)) } $version, $wanted;
    return $have ge $want;
}

sub print_netdev_full {
    my ($vmid, $conf, $arch, $net, $netid, $hotplug) = @_;
    my ($index) = $netid =~ m/(\d+)$/;
    my $queues = $net->{queues} && $net->{model} eq 'virtio' ? ",queues=$net->{queues}" : '';
    return "type=user,id=$netid,hostname=" . ($conf->{name} || "vm$vmid") . $queues
        if !$net->{bridge};
    my $script = '/usr/libexec/qemu-server/pve-bridge';
    return
        "type=tap,id=$netid,ifname=tap${vmid}i$index,script=$script"
        . ($hotplug ? '-hotplug' : '')
        . ",downscript=${script}down"
        . ($net->{model} eq 'virtio' ? ',vhost=on' : '')
        . $queues;
}

sub print_netdevice_full {
    my ($vmid, $conf, $net, $netid, $bridges, $old_bios, $arch, $version) = @_;
    my ($index) = $netid =~ m/(\d+)$/;
    my $is_virtio = $net->{model} eq 'virtio';
    my $text = ($is_virtio ? 'virtio-net-pci' : $net->{model}) . ",mac=$net->{macaddr},netdev=$netid";
    $text .= sprintf(',bus=pci.0,addr=0x%x,id=%s', 0x12 + $index, $netid);
    $text .= ',vectors=' . ($net->{queues} * 2 + 2) . ',mq=on,packed=on'
        if $is_virtio && ($net->{queues} // 0) > 1;
    $text .= ',rx_queue_size=1024,tx_queue_size=256' if $is_virtio;
    $text .= ",bootindex=$net->{bootindex}" if $net->{bootindex};
    if ($is_virtio && $net->{bridge}) {
        my $bridge_mtu = PVE::Network::read_bridge_mtu($net->{bridge});
        my $mtu = ($net->{mtu} // 1) == 1 ? $bridge_mtu : $net->{mtu};
        die "netdev $netid: MTU '$mtu' is bigger than the bridge MTU '$bridge_mtu'\n"
            if $mtu > $bridge_mtu;
        $text .= ",host_mtu=$mtu" if at_least($version, '10.0') || $mtu != 1500;
    }
    $text .= ',host_tunnel=off' if $is_virtio && at_least($version, '11.0');
    return $text;
}

sub config_to_command {
    my ($storecfg, $vmid, $conf, $defaults, $options) = @_;
    $conf = { template => 1, memory => 512 } if $conf->{template};

    my $cmd = ['/usr/bin/kvm', '-id', $vmid];
    my @machine = ('type=' . ($conf->{machine} // 'pc'));
    my @devices;
    my $bootindex = 300;
    for my $id (map { "net$_" } 0 .. 31) {
        next if !$conf->{$id};
        my $net = PVE::QemuServer::Network::parse_net($conf->{$id}) or next;
        $net->{bootindex} = $bootindex++;
        push @devices, '-netdev', print_netdev_full($vmid, $conf, 'x86_64', $net, $id);
        push @devices, '-device',
            print_netdevice_full(
                $vmid, $conf, $net, $id, {}, undef, 'x86_64', machine_version($conf),
            );
    }
    my $hotplug = ($conf->{hotplug} // '') =~ m/memory/;
    PVE::QemuServer::Memory::config(
        $conf, $vmid, $conf->{sockets} // 1, $conf->{cores} // 1, $hotplug, 0, $cmd, \@machine,
    );
    push @$cmd, @devices, '-machine', join(',', @machine);
    return wantarray ? ($cmd, undef, {}, $conf) : $cmd;
}

# `qm showcmd`
sub vm_commandline {
    my ($conf, $vmid) = @_;
    my $cmd = config_to_command($storage_config, $vmid, $conf, {}, { 'dry-run' => 1 });
    return $cmd;
}

# What the real one does around QEMU's start, with a QEMU that starts unless $run says no.
sub vm_start {
    my ($conf, $vmid, $run) = @_;
    my ($cmd) = eval {
        my ($made) = config_to_command($storage_config, $vmid, $conf, {}, {});
        $run->($made) if $run;
        ($made);
    };
    if (my $err = $@) {
        cleanup_pci_devices($vmid, $conf);
        die "start failed: $err";
    }
    return $cmd;
}

sub vm_stop_cleanup {
    my ($conf, $vmid) = @_;
    return cleanup_pci_devices($vmid, $conf);
}

sub cleanup_pci_devices {
    my ($vmid, $conf) = @_;
    push @cleaned_up, $vmid;
    return;
}

sub qemu_set_link_status {
    my ($vmid, $device, $up) = @_;
    return mon_cmd($vmid, 'set_link', name => $device, up => $up ? 1 : 0);
}

sub qemu_netdevadd {
    my ($vmid, $conf, $arch, $device, $id) = @_;
    my %options = split(/[=,]/, print_netdev_full($vmid, $conf, $arch, $device, $id, 1));
    mon_cmd($vmid, 'netdev_add', %options);
    return 1;
}

sub qemu_netdevdel {
    my ($vmid, $id) = @_;
    return mon_cmd($vmid, 'netdev_del', id => $id);
}

sub vm_deviceplug {
    my ($storecfg, $conf, $vmid, $id, $device, $arch, $machine) = @_;
    return 1 if $PVE::QemuServer::Monitor::qemu->{devices}->{$id};
    die "can't hotplug device '$id'\n" if $id !~ m/^net\d+$/;
    qemu_netdevadd($vmid, $conf, $arch, $device, $id);
    my $text =
        print_netdevice_full($vmid, $conf, $device, $id, undef, undef, $arch, machine_version($conf));
    my ($driver, @options) = split(/,/, $text);
    mon_cmd($vmid, 'device_add', driver => $driver, map { split(/=/, $_, 2) } @options);
    eval { qemu_set_link_status($vmid, $id, !$device->{link_down}) };
    if (my $err = $@) {
        eval { qemu_netdevdel($vmid, $id) };
        die $err;
    }
    return 1;
}

sub vm_deviceunplug {
    my ($vmid, $conf, $id) = @_;
    return 1 if !$PVE::QemuServer::Monitor::qemu->{devices}->{$id};
    mon_cmd($vmid, 'device_del', id => $id);
    qemu_netdevdel($vmid, $id);
    return 1;
}

sub vmconfig_update_net {
    my ($storecfg, $conf, $hotplug, $vmid, $id, $value, $arch, $machine) = @_;
    my $new = PVE::QemuServer::Network::parse_net($value);
    if ($conf->{$id}) {
        my $old = PVE::QemuServer::Network::parse_net($conf->{$id});
        if (!grep { ($old->{$_} // '') ne ($new->{$_} // '') } qw(model macaddr queues mtu)) {
            PVE::Network::tap_plug("tap${vmid}i" . substr($id, 3), $new->{bridge});
            return 1;
        }
        die "skip\n" if !$hotplug;
        vm_deviceunplug($vmid, $conf, $id);
    }
    die "skip\n" if !$hotplug;
    return vm_deviceplug($storecfg, $conf, $vmid, $id, $new, $arch, $machine);
}

sub vmconfig_apply_pending {
    my ($vmid, $conf, $storecfg, $errors, $skip_cloud_init) = @_;
    return if !keys $conf->{pending}->%*;
    my $delete = delete($conf->{pending}->{delete}) // '';
    delete $conf->@{ split(/,/, $delete) };
    $conf->{$_} = delete $conf->{pending}->{$_} for keys $conf->{pending}->%*;
    PVE::QemuConfig->write_config($vmid, $conf);
    return;
}

sub check_bridge_access {
    my ($rpcenv, $user, $conf) = @_;
    return 1 if $user eq 'root@pam';
    for my $id (grep { m/^net\d+$/ } keys %$conf) {
        my $net = PVE::QemuServer::Network::parse_net($conf->{$id});
        $rpcenv->check_full($user, "/sdn/zones/localnetwork/$net->{bridge}", ['SDN.Use']);
    }
    return 1;
}

our $status = {};

sub vmstatus {
    my ($vmid, $full) = @_;
    return { map { $_ => { $status->{$_}->%* } } keys %$status };
}

1;
