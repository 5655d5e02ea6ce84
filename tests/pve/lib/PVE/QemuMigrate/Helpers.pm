# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuMigrate::Helpers;

# Stand-in, see PVE::QemuServer.

use v5.36;

use PVE::Cluster;

sub check_non_migratable_resources {
    my ($conf, $state, $noerr) = @_;
    my @blockers = $state && $conf->{virtiofs0} ? ('virtiofs') : ();
    die "Cannot live-migrate a VM with: @blockers\n" if @blockers && !$noerr;
    return @blockers;
}

sub check_local_resources {
    my ($conf, $state, $noerr) = @_;
    my @local = check_non_migratable_resources($conf, $state, $noerr);
    my $missing = { map { $_ => [] } PVE::Cluster::get_nodelist()->@* };
    return wantarray ? (\@local, {}, $missing) : \@local;
}

1;
