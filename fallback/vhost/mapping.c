// SPDX-License-Identifier: GPL-2.0-or-later

#include "fallback/vhost/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "fallback/vhost/discard.h"

#define HUGE_ALIGN (UINT64_C(2) << 20) // so that shared memory can be backed by huge pages
#define MAX_SIZE (UINT64_C(1) << 46)   // of one mapping; half of the address space of a process

static uint64_t align_up(uint64_t n, uint64_t align) {
	return (n + align - 1) & ~(align - 1);
}

static int check_file(
	int fd, uint64_t end, bool sealed_only, uint64_t *ret_page_size, struct stat *ret_stat
) {
	// Only shared memory and huge pages have seals at all, and asking for them asks no file
	// system, which might take its time to answer. So this comes first.
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;

	if (seals < 0)
		return -ENOTSUP;
	if (sealed_only && (seals & F_SEAL_SHRINK) == 0)
		return -EPERM;
	if (fstat(fd, ret_stat) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (!S_ISREG(ret_stat->st_mode))
		return -ENOTSUP;
	if (ret_stat->st_size < 0 || end > (uint64_t)ret_stat->st_size)
		return -EINVAL;
	*ret_page_size = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : 4096;
	return 0;
}

int mapping_open(
	struct mapping *m, int fd, uint64_t offset, uint64_t size, bool sealed_only,
	struct sigbus_report *report
) {
	uint64_t page_size = 4096, end, align, first, map_size, reserved_size;
	uint8_t *reserved, *base;
	struct stat st;
	int guard, r;

	if (size == 0 || size > MAX_SIZE || offset > MAX_SIZE)
		return -EINVAL;
	end = offset + size;
	r = check_file(fd, end, sealed_only, &page_size, &st);
	if (r < 0)
		return r;

	first = offset & ~(page_size - 1);
	map_size = align_up(end, page_size) - first;
	align = map_size >= HUGE_ALIGN && page_size < HUGE_ALIGN ? HUGE_ALIGN : page_size;
	reserved_size = map_size + align + 2 * MAPPING_FENCE_SIZE;
	reserved =
		mmap(NULL, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	             -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	base = (uint8_t *)align_up((uintptr_t)reserved + MAPPING_FENCE_SIZE, align);
	if (mmap(base, map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
	         (off_t)first) == MAP_FAILED) {
		r = -errno;
		munmap(reserved, reserved_size);
		return r;
	}
	madvise(base, map_size, MADV_DONTDUMP); // a guest's secrets do not belong into a core file
	guard = sigbus_guard(base, map_size, report);
	if (guard < 0) {
		munmap(reserved, reserved_size);
		return guard;
	}
	*m = (struct mapping){
		.data = base + (offset - first),
		.reserved = reserved,
		.reserved_size = reserved_size,
		.guard = guard,
		.device = st.st_dev,
		.inode = st.st_ino,
		.offset = offset,
	};
	return 0;
}

bool mapping_is_of(const struct mapping *m, int fd, uint64_t offset) {
	struct stat st;

	// As in check_file(): no file system is asked that could let us wait.
	return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &st) == 0 && st.st_dev == m->device &&
		st.st_ino == m->inode && offset == m->offset;
}

void mapping_close(struct mapping *m) {
	if (m->reserved == NULL)
		return;
	sigbus_release(m->guard);
	discard_map(m->reserved, m->reserved_size);
	*m = (struct mapping){.guard = -1};
}
