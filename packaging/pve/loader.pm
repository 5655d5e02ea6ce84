# SPDX-License-Identifier: AGPL-3.0-or-later
# Attaches vdpad to qemu-server. Installed twice, as links in /etc/perl/PVE: QemuServer.pm and
# QemuServer/Network.pm. Perl looks into /etc/perl first, also under -T, so that each program that
# loads one of these modules finds this file. It loads the module of the same name, unchanged, from
# the next place on Perl's path, and then attaches vdpad to it.
#
# A fault in vdpad's own code must never keep a node from managing its guests: it warns, and what asks
# for vdpad is refused.

## no critic (RequireExplicitPackage): it stands in front of two
use v5.36;

my ($module) = __FILE__ =~ m{(PVE/QemuServer(?:/Network)?\.pm)$}
    or die "vdpad: " . __FILE__ . " is no module of qemu-server\n";

{
    my $identity = sub ($path) { return join(':', (stat($path))[0, 1]) };
    my $this = $identity->(__FILE__);
    my ($real) = grep { -f $_ && $identity->($_) ne $this } map { "$_/$module" } grep { !ref } @INC;
    die "vdpad: qemu-server's $module is not installed\n" if !$real;
    require $real;
}

my $is_attached = eval {
    require PVE::QemuServer::Vdpad::Bind;
    PVE::QemuServer::Vdpad::Bind::attach($module);
    1;
};
if (!$is_attached) {
    my $why = $@ || 'unknown error';
    warn "vdpad: not attached to qemu-server: $why";
    eval {
        require PVE::QemuServer::Vdpad::Guard;
        PVE::QemuServer::Vdpad::Guard::attach($module, $why);
        1;
    } or warn "vdpad: netN lines with backend= are at risk: $@";
}

1;
