# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Client;

# vdpad's command line client, as qemu-server calls it: `vdpactl -j`, no shell, always a timeout.
# ask() dies with a sentence for people; run() says what happened.

use v5.36;

use JSON ();

use PVE::Tools;

use PVE::QemuServer::Vdpad;

our $program = '/usr/bin/vdpactl';

# vdpactl's exit statuses
use constant { NOT_FOUND => 3, CONFLICT => 4, REFUSED => 5, UNREACHABLE => 6 };

my $TIMEOUT_S = 10;
our $prepare_timeout_s = 30; # a device may be created, a switch started

# The result of one call: { status, answer, text }. status is vdpactl's, or UNREACHABLE when it
# could not be run or did not end in time.
sub run($words, $timeout_s = $TIMEOUT_S) {
    my ($out, @errors) = ('');
    my $status = eval {
        PVE::Tools::run_command(
            [$program, '-j', $words->@*],
            timeout => $timeout_s,
            noerr => 1,
            quiet => 1,
            outfunc => sub ($line) { $out .= "$line\n" },
            errfunc => sub ($line) { push @errors, $line },
        );
    };
    if (my $err = $@) {
        chomp $err;
        return { status => UNREACHABLE, text => "$program: $err" };
    }
    if (!defined($status) || $status < 0) {
        return { status => UNREACHABLE, text => "$program cannot be run" };
    }
    if ($status != 0) {
        my ($text) = map { m/^vdpactl: (.+)$/ ? $1 : () } @errors;
        $text //= $errors[0] // "vdpactl ended with status $status";
        return { status => $status, text => $text };
    }
    my $answer = $out =~ m/\S/ ? eval { JSON::decode_json($out) } : undef;
    return { status => 1, text => "vdpactl's answer is no JSON" } if $@;
    return { status => 0, answer => $answer, text => '' };
}

sub ask($words, $timeout_s = $TIMEOUT_S) {
    my $result = run($words, $timeout_s);
    return $result->{answer} if $result->{status} == 0;
    die unreachable_text($result->{text}) . "\n" if $result->{status} == UNREACHABLE;
    die "vdpad: $result->{text}\n";
}

sub unreachable_text($text) {
    return "vdpad does not answer on this node ($text): start it with 'systemctl start vdpad', or use"
        . " backend=kernel with a Linux bridge";
}

# The networks of this node: name -> { mtu, ... }. A list of one is asked for as all.
sub networks() {
    return { map { $_->{name} => $_ } ask(['network', 'show'])->@* };
}

# What port $name would get, without creating it.
sub explain($name, $nic) {
    my %spec = PVE::QemuServer::Vdpad::port_spec($nic);
    my $network = delete $spec{network};
    return run(['explain', $network, 'name', $name, map { $_ => $spec{$_} } sort keys %spec]);
}

sub port_add($name, $nic) {
    my @spec = PVE::QemuServer::Vdpad::port_spec($nic);
    return run(['port', 'add', $name, @spec, '--may-exist'], $prepare_timeout_s);
}

sub port_set($name, @pairs) {
    return run(['port', 'set', $name, @pairs], $prepare_timeout_s);
}

sub port_del($name) {
    return ask(['port', 'del', $name, '--may-not-exist'], $prepare_timeout_s);
}

# A port as vdpad shows it: { state, backend, ... }; {} if there is none.
sub port_show($name) {
    my $result = run(['port', 'show', $name]);
    return $result->{status} == 0 ? $result->{answer}->[0] // {} : {};
}

# How QEMU of $version reaches the port, or with $planned_nic the one that would be made for it.
sub port_qemu($name, $version, $planned_nic = undef) {
    my ($major_minor) = $version =~ m/^(\d+\.\d+)/ or die "QEMU version '$version' is unknown\n";
    my @plan = $planned_nic ? ('--plan', PVE::QemuServer::Vdpad::port_spec($planned_nic)) : ();
    my $result = run(['port', 'qemu', $name, 'memory', 'none', 'qemu_version', $major_minor, @plan]);
    return $result if $result->{status} != 0;
    my $plug = $result->{answer}->{ports}->[0];
    return { status => 1, text => "vdpactl's answer about port '$name' is incomplete" }
        if !$plug || grep { !defined($plug->{$_}) } qw(kind path netdev device mtu);
    $plug->{kind} = 'vdpa' if $plug->{kind} eq 'vhost-vdpa';
    return { status => 0, answer => $plug };
}

# Counters of all ports; called every few seconds by pvestatd, which must not wait.
sub stats() {
    return ask(['stats'], 2);
}

1;
