# SPDX-License-Identifier: AGPL-3.0-or-later
-object memory-backend-memfd,id=virtiofs-mem,size=768M,share=on
-chardev socket,id=vdpad-vm8006-net0,path=/run/vdpad/port/vm8006-net0.sock,reconnect-ms=200
-netdev type=vhost-user,id=net0,chardev=vdpad-vm8006-net0,queues=1
-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=1024,bootindex=300,host_tunnel=off,gso=off,packed=off,guest_rsc_ext=off
-machine memory-backend=virtiofs-mem
