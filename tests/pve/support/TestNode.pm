# SPDX-License-Identifier: AGPL-3.0-or-later
package TestNode;

# A node for the tests: its run directory, its interfaces (vmbr0 and vmbr1) and its vdpactl.

use v5.36;

use File::Path ();
use File::Spec ();
use File::Temp ();
use JSON ();

use PVE::QemuServer::Vdpad::Client;
use PVE::QemuServer::Vdpad::Node;

$ENV{PATH} = '/usr/bin:/bin'; ## no critic (RequireLocalizedPunctuationVars)
delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};

our $dir;

# Start anew, with no ports.
sub reset_node() {
    state $base = File::Temp::tempdir('vdpad-pve-XXXXXX', TMPDIR => 1, CLEANUP => 1);
    state $count = 0;
    $dir = "$base/" . ++$count;
    File::Path::make_path("$dir/run/port", "$dir/net/vmbr0", "$dir/net/vmbr1");
    my ($here) = File::Spec->rel2abs(__FILE__) =~ m{^(.*)/support/[^/]+$};
    symlink("$here/fake-vdpactl", "$dir/vdpactl") or die "symlink: $!\n";
    write_file('ports.json', '{}');
    $PVE::QemuServer::Vdpad::Client::program = "$dir/vdpactl";
    $PVE::QemuServer::Vdpad::Node::run_dir = "$dir/run";
    $PVE::QemuServer::Vdpad::Node::interface_dir = "$dir/net";
    PVE::QemuServer::Vdpad::Node::forget();
    return;
}

# As it is for the cases: nothing can be created, and there is a port vm8006-net5.
sub without_ports() {
    unlink("$dir/ports.json");
    return;
}

sub write_file($name, $text) {
    open(my $file, '>', "$dir/$name") or die "$dir/$name: $!\n";
    print {$file} $text;
    close($file) or die "$dir/$name: $!\n";
    return;
}

my sub read_file($name) {
    open(my $file, '<', "$dir/$name") or return '';
    local $/ = undef;
    my $text = <$file>;
    close($file) or die "$dir/$name: $!\n";
    return $text;
}

# From now on, calls of vdpactl that match $pattern end with $status and $text; "hang" never
# ends, nor does "late", which has done what it was asked for.
sub behave($pattern, $status, $text = '') {
    write_file('behave', "$pattern $status $text");
    PVE::QemuServer::Vdpad::Node::forget();
    return;
}

sub behave_well() {
    unlink("$dir/behave");
    PVE::QemuServer::Vdpad::Node::forget();
    return;
}

# What vdpactl was called with since the last time.
sub calls() {
    my @calls = split(/\n/, read_file('calls'));
    unlink("$dir/calls");
    return @calls;
}

sub ports() { return JSON::decode_json(read_file('ports.json')) }

sub set_state($name, $state) {
    my $ports = ports();
    $ports->{$name}->{state} = $state;
    write_file('ports.json', JSON::encode_json($ports));
    return;
}

reset_node();

1;
