# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::Tools;

# Stand-in, see PVE::QemuServer: run a program without a shell, within a time.

use v5.36;

use IO::Select;
use IPC::Open3 qw(open3);
use Symbol qw(gensym);
use Time::HiRes qw(time);

our @prlimit; # calls that tests must not run

sub run_command {
    my ($cmd, %param) = @_;
    if ($cmd->[0] =~ m/prlimit$/) {
        push @prlimit, [@$cmd];
        return 0;
    }
    my ($in, $out, $err) = (gensym, gensym, gensym);
    my $pid = eval { open3($in, $out, $err, @$cmd) } // return -1;
    close($in);
    my %text = ($out => '', $err => '');
    my $select = IO::Select->new($out, $err);
    my $until = time() + ($param{timeout} // 60);
    while ($select->count) {
        my @ready = $select->can_read($until - time());
        if (!@ready) {
            kill('KILL', $pid);
            waitpid($pid, 0);
            die "command failed: got timeout\n";
        }
        for my $handle (@ready) {
            sysread($handle, $text{$handle}, 4096, length($text{$handle}))
                or $select->remove($handle);
        }
    }
    waitpid($pid, 0);
    my $status = $? >> 8;
    $param{outfunc}->($_) for split(/\n/, $text{$out});
    $param{errfunc}->($_) for split(/\n/, $text{$err});
    return $status;
}

1;
