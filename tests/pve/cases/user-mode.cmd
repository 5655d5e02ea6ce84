# SPDX-License-Identifier: AGPL-3.0-or-later
-netdev type=user,id=net0,hostname=vm8006
-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=256,bootindex=300,host_tunnel=off
