# SPDX-License-Identifier: AGPL-3.0-or-later
-object memory-backend-memfd,id=virtiofs-mem,size=768M,share=on
-chardev socket,id=vdpad-vm8006-net0,path=/run/vdpad/port/vm8006-net0.sock,reconnect-ms=200
-netdev type=vhost-user,id=net0,chardev=vdpad-vm8006-net0,queues=2
-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,vectors=6,mq=on,packed=off,rx_queue_size=1024,tx_queue_size=1024,bootindex=300,host_tunnel=off,gso=off,guest_rsc_ext=off
-netdev type=tap,id=net1,ifname=tap8006i1,script=/usr/libexec/qemu-server/pve-bridge,downscript=/usr/libexec/qemu-server/pve-bridgedown,vhost=on
-device virtio-net-pci,mac=BC:24:11:00:00:02,netdev=net1,bus=pci.0,addr=0x13,id=net1,rx_queue_size=1024,tx_queue_size=256,bootindex=301,host_mtu=1500,host_tunnel=off
-machine memory-backend=virtiofs-mem
