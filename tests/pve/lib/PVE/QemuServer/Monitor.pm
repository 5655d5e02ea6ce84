# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Monitor;

# Stand-in, see PVE::QemuServer: QMP to a QEMU that remembers what it was told.

use v5.36;

use parent 'Exporter';

our @EXPORT_OK = qw(mon_cmd);

our $qemu;
our @log;  # commands in order
our %fail; # command -> error text

sub reset_qemu(%with) {
    $qemu = {
        memory => [{ id => 'virtiofs-mem', share => 1 }],
        devices => {},
        netdevs => {},
        chardevs => {},
        links => {},
        version => { major => 11, minor => 0, micro => 2 },
        %with,
    };
    @log = ();
    %fail = ();
    return;
}
reset_qemu();

my sub add($what, $id, $args) {
    die "Duplicate ID '$id' for $what\n" if $qemu->{$what}->{$id};
    $qemu->{$what}->{$id} = $args;
    return {};
}

my sub remove($what, $id) {
    delete($qemu->{$what}->{$id}) or die "$what '$id' not found\n";
    return {};
}

my %commands = (
    'query-version' => sub ($args) { return { qemu => $qemu->{version} } },
    'query-memdev' => sub ($args) { return $qemu->{memory} },
    'query-chardev' => sub ($args) {
        return [map { { label => $_ } } sort keys $qemu->{chardevs}->%*];
    },
    'chardev-add' => sub ($args) { return add('chardevs', $args->{id}, $args->{backend}) },
    'chardev-remove' => sub ($args) {
        my @users = grep { ($_->{chardev} // '') eq $args->{id} } values $qemu->{netdevs}->%*;
        die "Chardev '$args->{id}' is busy\n" if @users;
        return remove('chardevs', $args->{id});
    },
    netdev_add => sub ($args) {
        die "chardev '$args->{chardev}' not found\n"
            if $args->{chardev} && !$qemu->{chardevs}->{ $args->{chardev} };
        return add('netdevs', $args->{id}, $args);
    },
    netdev_del => sub ($args) { return remove('netdevs', $args->{id}) },
    device_add => sub ($args) { return add('devices', $args->{id}, $args) },
    device_del => sub ($args) { return remove('devices', $args->{id}) },
    set_link => sub ($args) {
        $qemu->{links}->{ $args->{name} } = $args->{up};
        return {};
    },
);

sub mon_cmd {
    my ($vmid, $command, %args) = @_;
    push @log, $command;
    die "$fail{$command}\n" if $fail{$command};
    return $commands{$command}->(\%args);
}

1;
