# SPDX-License-Identifier: AGPL-3.0-or-later
/usr/bin/prlimit --memlock=unlimited:unlimited
-object memory-backend-ram,id=ram-node0,size=1024M
-netdev type=vhost-vdpa,id=net0,vhostdev=/run/vdpad/port/vm8006-net0.vdpa,queues=1
-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=1024,bootindex=300,host_mtu=9000,host_tunnel=off,gso=off,packed=off,guest_rsc_ext=off
