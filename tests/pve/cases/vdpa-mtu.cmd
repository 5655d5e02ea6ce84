# SPDX-License-Identifier: AGPL-3.0-or-later
/usr/bin/prlimit --memlock=1879048192:1879048192
-netdev type=vhost-vdpa,id=net0,vhostdev=/run/vdpad/port/vm8006-net0.vdpa,queues=1
-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=1024,bootindex=300,host_tunnel=off,gso=off,packed=off,guest_rsc_ext=off
