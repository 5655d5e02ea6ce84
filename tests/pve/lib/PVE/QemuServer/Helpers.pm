# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::QemuServer::Helpers;

# Stand-in, see PVE::QemuServer.

use v5.36;

sub vm_running_locally { return 4711 }

1;
