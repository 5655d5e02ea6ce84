# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Network;

# Stand-in, see PVE::QemuServer: netN and its keys.

use v5.36;

my @models = qw(virtio e1000 rtl8139);
my $format = {
    model => { type => 'string', enum => \@models, default_key => 1 },
    (map { $_ => { keyAlias => 'model', alias => 'macaddr' } } @models),
    macaddr => { type => 'string' },
    bridge => { type => 'string' },
    queues => { type => 'integer' },
    rate => { type => 'number' },
    tag => { type => 'integer' },
    trunks => { type => 'string' },
    firewall => { type => 'boolean' },
    link_down => { type => 'boolean' },
    mtu => { type => 'integer' },
};

our $netdesc = { optional => 1, type => 'string', format => $format };

our @fdb; # ids that were entered into a bridge

sub parse_net {
    my ($text, $disable_mac_autogen) = @_;
    my $net = {};
    for my $part (split(/,/, $text)) {
        my ($key, $value) = $part =~ m/=/ ? split(/=/, $part, 2) : ('model', $part);
        my $schema = $format->{$key};
        if (!$schema) {
            warn "netN: property is not defined in schema: $key\n";
            return;
        }
        if ($schema->{pattern} && $value !~ m/^$schema->{pattern}$/) {
            warn "netN: $key: value does not match\n";
            return;
        }
        if ($schema->{alias}) {
            $net->{model} = $key;
            $net->{macaddr} = $value;
        } else {
            $net->{$key} = $value;
        }
    }
    $net->{macaddr} = 'BC:24:11:AA:AA:AA' if !$net->{macaddr} && !$disable_mac_autogen;
    return $net;
}

sub print_net {
    my ($net) = @_;
    my %rest = %$net;
    my ($model, $mac) = delete @rest{qw(model macaddr)};
    return join(',', "$model=$mac", map { "$_=$rest{$_}" } sort keys %rest);
}

sub add_nets_bridge_fdb {
    my ($conf, $vmid) = @_;
    push @fdb, sort grep { m/^net\d+$/ } keys %$conf;
    return;
}

sub del_nets_bridge_fdb {
    my ($conf, $vmid) = @_;
    my %gone = map { $_ => 1 } keys %$conf;
    @fdb = grep { !$gone{$_} } @fdb;
    return;
}

1;
