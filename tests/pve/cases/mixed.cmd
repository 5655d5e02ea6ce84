# SPDX-License-Identifier: AGPL-3.0-or-later
/usr/bin/prlimit --memlock=3221225472:3221225472
-object memory-backend-memfd,id=virtiofs-mem,size=2048M,share=on
-chardev socket,id=vdpad-vm8006-net0,path=/run/vdpad/port/vm8006-net0.sock,reconnect-ms=200
-netdev type=vhost-user,id=net0,chardev=vdpad-vm8006-net0,queues=1
-device virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12,id=net0,rx_queue_size=1024,tx_queue_size=1024,bootindex=300,host_mtu=9000,host_tunnel=off,gso=off,packed=off,guest_rsc_ext=off
-netdev type=tap,id=net1,ifname=tap8006i1,script=/usr/libexec/qemu-server/pve-bridge,downscript=/usr/libexec/qemu-server/pve-bridgedown,vhost=on
-device virtio-net-pci,mac=BC:24:11:00:00:02,netdev=net1,bus=pci.0,addr=0x13,id=net1,rx_queue_size=1024,tx_queue_size=256,bootindex=301,host_mtu=1500,host_tunnel=off
-netdev type=vhost-vdpa,id=net2,vhostdev=/run/vdpad/port/vm8006-net2.vdpa,queues=1
-device virtio-net-pci,mac=BC:24:11:00:00:03,netdev=net2,bus=pci.0,addr=0x14,id=net2,rx_queue_size=1024,tx_queue_size=1024,bootindex=302,host_mtu=9000,host_tunnel=off,gso=off,packed=off,guest_rsc_ext=off
-netdev type=tap,id=net3,ifname=tap8006i3,script=/usr/libexec/qemu-server/pve-bridge,downscript=/usr/libexec/qemu-server/pve-bridgedown,vhost=on
-device virtio-net-pci,mac=BC:24:11:00:00:04,netdev=net3,bus=pci.0,addr=0x15,id=net3,rx_queue_size=1024,tx_queue_size=256,bootindex=303,host_mtu=1500,host_tunnel=off
-chardev socket,id=vdpad-vm8006-net4,path=/run/vdpad/port/vm8006-net4.sock,reconnect-ms=200
-netdev type=vhost-user,id=net4,chardev=vdpad-vm8006-net4,queues=1
-device virtio-net-pci,mac=BC:24:11:00:00:05,netdev=net4,bus=pci.0,addr=0x16,id=net4,rx_queue_size=1024,tx_queue_size=1024,bootindex=304,host_mtu=9000,host_tunnel=off,gso=off,packed=off,guest_rsc_ext=off
-machine memory-backend=virtiofs-mem
