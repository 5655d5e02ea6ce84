# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Memory;

# Stand-in, see PVE::QemuServer: the guest's RAM as QEMU options.

use v5.36;

sub get_current_memory {
    my ($memory) = @_;
    return 512 if !defined($memory);
    return $memory =~ m/^(?:current=)?(\d+)$/ ? $1 : die "memory '$memory'\n";
}

sub config {
    my ($conf, $vmid, $sockets, $cores, $hotplug, $shared, $cmd, $machine) = @_;
    my $mib = get_current_memory($conf->{memory});
    push @$cmd, '-m', $mib;
    if (!$conf->{numa}) {
        return if !$shared;
        push @$cmd, '-object', "memory-backend-memfd,id=virtiofs-mem,size=${mib}M,share=on";
        push @$machine, 'memory-backend=virtiofs-mem';
        return;
    }
    for my $node (0 .. $sockets - 1) {
        my $id = $shared ? "virtiofs-mem$node" : "ram-node$node";
        my $size = $mib / $sockets;
        my $object = "memory-backend-ram,id=$id,size=${size}M";
        $object = "memory-backend-memfd,id=$id,size=${size}M,share=on" if $shared;
        $object = "memory-backend-file,id=$id,size=${size}M,"
            . 'mem-path=/run/hugepages/kvm/2048kB,share=on,prealloc=yes'
            if $conf->{hugepages};
        push @$cmd, '-object', $object;
    }
    return;
}

1;
