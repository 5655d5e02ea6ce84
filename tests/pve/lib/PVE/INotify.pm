# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::INotify;

# Stand-in, see PVE::QemuServer.

use v5.36;

sub nodename { return 'here' }

1;
