# SPDX-License-Identifier: AGPL-3.0-or-later
package UpstreamHost;

# Lets qemu-server's own tests run on any machine. They expect a host with a current QEMU and many
# CPUs, and libraries of Proxmox that are bindings to other languages. The former is pretended; in the
# latter's place come empty packages, in which each call ends the test that makes it.
#
# With VDPAD_CASES set, vdpad's own fake node is there too.

use v5.36;

my $QEMU_VERSION = '11.0.2'; # what the expected command lines are for
my $CPUS = 64;

my $NATIVE = qr{^(?:PVE/(?:RS|APIClient|APIServer|ACME)|Proxmox/(?:RS|Lib))(?:/|\.pm$)
    |^PVE/(?:RADOS|HA/Env/PVE2)\.pm$}x;

sub empty_package($self, $file) {
    return if $file !~ $NATIVE;
    my $package = $file =~ s{/}{::}gr =~ s/\.pm$//r;
    my $source = <<"EOS";
package $package;
our \$AUTOLOAD;
sub import {}
sub DESTROY {}
sub AUTOLOAD { die "\$AUTOLOAD is not available on this machine\\n" }
1;
EOS
    open(my $handle, '<', \$source) or die "$file: $!\n";
    return $handle;
}
push @INC, \&empty_package;

sub import {
    require PVE::ProcFSTools;
    require PVE::QemuServer::Helpers;
    my $read_cpuinfo = \&PVE::ProcFSTools::read_cpuinfo;
    no warnings 'redefine';
    *PVE::ProcFSTools::read_cpuinfo = sub { return { $read_cpuinfo->()->%*, cpus => $CPUS } };
    *PVE::QemuServer::Helpers::kvm_user_version = sub { return $QEMU_VERSION };
    require PVE::QemuServer::Vdpad::Node;
    $PVE::QemuServer::Vdpad::Node::run_dir = '/nonexistent'; # whatever runs on this machine
    if ($ENV{VDPAD_CASES}) {
        require TestNode;
        TestNode::without_ports();
    }
    return;
}

1;
