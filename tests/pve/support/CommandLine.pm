# SPDX-License-Identifier: AGPL-3.0-or-later
package CommandLine;

# What vdpad changes in a QEMU command line, one option a line: what stands before kvm, the memory back
# ends, the NICs with their character devices, and whether the machine names its memory.

use v5.36;

use Text::ParseWords ();

sub project(@words) {
    my @lines;
    my @before;
    push @before, shift(@words) while @words && $words[0] !~ m{/(?:kvm|qemu-system-\w+)$};
    push @lines, "@before" if @before;
    my %wanted = (
        '-object' => qr/^memory-backend-/,
        '-chardev' => qr/^socket,id=vdpad-/,
        '-netdev' => qr/./,
        '-device' => qr/^(?:virtio-net|e1000|rtl8139)/,
    );
    for my $i (0 .. $#words - 1) {
        my ($option, $value) = @words[$i, $i + 1];
        push @lines, "$option $value" if $wanted{$option} && $value =~ $wanted{$option};
        push @lines, "-machine $1" if $option eq '-machine' && $value =~ m/(memory-backend=[^,]+)/;
    }
    return join("\n", @lines) . "\n";
}

# The words of a command line as `qm showcmd --pretty` prints it.
sub read_file($file) {
    open(my $handle, '<', $file) or die "$file: $!\n";
    my $text = do { local $/ = undef; <$handle> };
    close($handle) or die "$file: $!\n";
    return Text::ParseWords::shellwords($text =~ s/\\\n/ /gr);
}

# A case's expected lines, without its comments.
sub expected($file) {
    open(my $handle, '<', $file) or die "$file: $!\n";
    my @lines = grep { !m/^#/ } <$handle>;
    close($handle) or die "$file: $!\n";
    return join('', @lines);
}

# A case's directives: "# TEST: ...".
sub directives($description) {
    return { map { m/^\s*([A-Z_]+):\s*(.*?)\s*$/ ? ($1 => $2) : () } split(/\n/, $description) };
}

1;
