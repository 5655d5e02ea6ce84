# SPDX-License-Identifier: AGPL-3.0-or-later
package Cost;

# What vdpad costs VMs that do not use it. Loaded before qemu-server's run_config2command_tests.pl, it
# takes the time of each case's config_to_command() with vdpad attached and without, turn by turn in
# one process, and prints the median at the end. More than $LIMIT fails.

use v5.36;

use File::Temp ();
use Time::HiRes qw(clock_gettime CLOCK_PROCESS_CPUTIME_ID);

use PVE::QemuServer::Vdpad::Guard;
use PVE::QemuServer::Vdpad::Node;

my $LIMIT = 0.01;
my $TURNS = 30;
my $CALLS = 5; # in each turn

my $interfaces = File::Temp->newdir();
my @replaced; # [glob, original, ours]
my @costs; # [microseconds without, with], by case

my sub attach($is_attached) {
    no warnings 'redefine';
    for my $sub (@replaced) {
        my ($glob, @codes) = $sub->@*;
        *{$glob} = $codes[$is_attached];
    }
    my $format = PVE::QemuServer::Vdpad::Guard::net_format();
    state $key = $format->{backend};
    if ($is_attached) {
        $format->{backend} = $key;
    } else {
        delete $format->{backend};
    }
    return;
}

my sub microseconds($code) {
    my $start = clock_gettime(CLOCK_PROCESS_CPUTIME_ID);
    $code->();
    return (clock_gettime(CLOCK_PROCESS_CPUTIME_ID) - $start) * 1e6;
}

# The bridges of the cases, which the machine does not have.
my sub have_bridges($conf) {
    for my $text (map { $conf->{$_} } grep { m/^net[0-9]+$/ } keys $conf->%*) {
        my $bridge = PVE::QemuServer::Vdpad::bridge_of($text) // next;
        mkdir("$PVE::QemuServer::Vdpad::Node::interface_dir/$bridge");
    }
    return;
}

my sub measure(@args) {
    my @least = (9e9, 9e9);
    for my $turn (1 .. 2 * $TURNS) {
        my $is_attached = $turn % 2;
        attach($is_attached);
        for (1 .. $CALLS) {
            my $us = microseconds(sub { PVE::QemuServer::config_to_command(@args) });
            $least[$is_attached] = $us if $us < $least[$is_attached];
        }
    }
    attach(1);
    push @costs, \@least;
    return;
}

# Calls what is under this name, and measures it first.
my sub measure_config_to_command() {
    my $code = \&PVE::QemuServer::config_to_command;
    my $measuring = sub {
        my @args = @_;
        no warnings 'redefine';
        local *PVE::QemuServer::config_to_command = $code;
        my @result = $code->(@args); # what ends a case ends it here
        have_bridges($args[2]);
        measure(@args);
        return wantarray ? @result : $result[0];
    };
    no warnings 'redefine';
    *PVE::QemuServer::config_to_command = $measuring;
    return;
}

my sub median(@values) {
    my @sorted = sort { $a <=> $b } @values;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

# Remember what vdpad is about to replace.
my $replace = \&PVE::QemuServer::Vdpad::Guard::replace;
my sub replace_and_remember($sub, $make) {
    my $glob = do {
        no strict 'refs'; ## no critic (ProhibitNoStrict)
        \*{$sub};
    };
    my $original = *{$glob}{CODE};
    $replace->($sub, $make);
    push @replaced, [$glob, $original, *{$glob}{CODE}];
    return;
}
{
    no warnings 'redefine';
    *PVE::QemuServer::Vdpad::Guard::replace = \&replace_and_remember;
}

INIT {
    $PVE::QemuServer::Vdpad::Node::interface_dir = $interfaces->dirname;
    measure_config_to_command();
}

END {
    if (@costs) {
        my $cost = median(map { $_->[1] / $_->[0] - 1 } @costs);
        printf(
            "# config_to_command() takes %.2f %% longer with vdpad attached (median of %d cases, which take"
                . " %.0f us)\n",
            $cost * 100, scalar(@costs), median(map { $_->[0] } @costs),
        );
        $? ||= $cost > $LIMIT ? 1 : 0;
    }
}

1;
