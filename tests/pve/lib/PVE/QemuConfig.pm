# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuConfig;

# Stand-in, see PVE::QemuServer.

use v5.36;

our %written; # VMID -> what the file would be

sub lock_config {
    my ($class, $vmid, $code) = @_;
    return $code->();
}

sub write_config {
    my ($class, $vmid, $conf) = @_;
    $written{$vmid} = { $conf->%*, pending => { ($conf->{pending} // {})->%* } };
    return;
}

1;
