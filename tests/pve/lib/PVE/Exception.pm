# SPDX-License-Identifier: AGPL-3.0-or-later
package PVE::Exception;

# Stand-in, see PVE::QemuServer.

use v5.36;

sub raise_param_exc { die { errors => $_[0] } }

1;
