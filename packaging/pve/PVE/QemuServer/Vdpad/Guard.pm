# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Vdpad::Guard;

# The last line of defence, which needs nothing of vdpad and next to nothing of qemu-server. Used when
# the rest cannot attach: netN lines with backend= are kept when a configuration is rewritten, and VMs
# that have one are neither started nor plugged, as qemu-server alone would silently put them on a
# Linux bridge. VMs without one are untouched. (A NIC chosen by its network needs no guard: there is
# no bridge of that name, and qemu-server refuses it by itself.)

use v5.36;

# Put what $make returns, given the original, in its place.
sub replace($sub, $make) {
    my $glob = do {
        no strict 'refs'; ## no critic (ProhibitNoStrict)
        \*{$sub};
    };
    my $original = *{$glob}{CODE};
    no warnings 'redefine';
    *{$glob} = $make->($original);
    return;
}

# Have $code called with the original and its arguments.
sub wrap($sub, $code) {
    replace($sub, sub ($original) { return sub { return $code->($original, @_) } });
    return;
}

sub is_defined($sub) {
    no strict 'refs'; ## no critic (ProhibitNoStrict)
    return defined(&{$sub});
}

# qemu-server's hash of netN's keys, which parse_net() and the API share.
sub net_format() {
    my $format = ($PVE::QemuServer::Network::netdesc // {})->{format};
    $format = PVE::JSONSchema::get_format($format) if defined($format) && !ref($format);
    die "the format of netN was not found: lines with backend= will be LOST when a configuration is"
        . " written\n"
        if ref($format) ne 'HASH' || !$format->{bridge};
    return $format;
}

sub keep_key() {
    net_format()->{backend} //= { type => 'string', optional => 1, description => 'vdpad' };
    return;
}

my sub asks($text) {
    return defined($text) && !ref($text) && $text =~ m/(?:^|,)backend=(?!kernel(?:,|$))/;
}

# Refuse what would start or plug a NIC with backend=, for $why.
sub refuse($why) {
    my $no = sub (@ids) {
        die "vdpad is not attached to this qemu-server ($why), so @ids cannot be served: update"
            . " vdpad-pve, or set backend=kernel\n";
    };
    my %wraps = (
        config_to_command => sub ($original, @args) {
            my $conf = $args[2] // {};
            my @ours = sort grep { m/^net[0-9]+$/ && asks($conf->{$_}) } keys $conf->%*;
            $no->(@ours) if @ours && !$conf->{template};
            return $original->(@args);
        },
        vm_deviceplug => sub ($original, @args) {
            my ($id, $net) = @args[3, 4];
            my $backend = ref($net) eq 'HASH' ? $net->{backend} // 'kernel' : 'kernel';
            $no->($id) if $id =~ m/^net[0-9]+$/ && $backend ne 'kernel';
            return $original->(@args);
        },
        vmconfig_update_net => sub ($original, @args) {
            my ($conf, $id, $value) = @args[1, 4, 5];
            $no->($id) if asks($value) || asks($conf->{$id});
            return $original->(@args);
        },
    );
    for my $name (sort keys %wraps) {
        my $sub = "PVE::QemuServer::$name";
        if (is_defined($sub)) {
            wrap($sub, $wraps{$name});
        } else {
            warn "vdpad: $sub is gone, so backend= is not refused there\n";
        }
    }
    return;
}

# For the loader, when the rest failed for $why. $module is the file that was loaded.
sub attach($module, $why) {
    chomp $why;
    keep_key();
    refuse($why) if $module eq 'PVE/QemuServer.pm';
    return;
}

1;
