// SPDX-License-Identifier: GPL-2.0-or-later
// vdpa-driver NODE: open a vhost-vdpa device and accept its features, as the driver in a guest does through
// QEMU. Says "ready" and the features when the device has taken them, and holds it until it is ended.
//
// Source: include/uapi/linux/vhost.h; virtio 1.2, 3.1.1 (driver requirements: device initialization).

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>

static void set_status(int device, uint8_t status) {
	if (ioctl(device, VHOST_VDPA_SET_STATUS, &status) < 0)
		err(1, "status %#x", status);
}

int main(int argc, char **argv) {
	uint8_t status = 0;
	uint64_t features;
	int device;

	if (argc != 2)
		errx(2, "usage: vdpa-driver NODE");
	device = open(argv[1], O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, VHOST_SET_OWNER) < 0)
		err(1, "%s", argv[1]);
	set_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_status(device, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	if (ioctl(device, VHOST_GET_FEATURES, &features) < 0 ||
	    ioctl(device, VHOST_SET_FEATURES, &features) < 0)
		err(1, "features");
	status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
	set_status(device, status);
	printf("ready %#llx\n", (unsigned long long)features);
	fflush(stdout);
	pause();
	return 0;
}
