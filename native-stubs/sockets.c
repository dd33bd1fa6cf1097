/* Sockets, for what the JDK's cannot do: carry a descriptor, and fill memory that is known by its address only. */
#define _GNU_SOURCE
#include "ward.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One descriptor at a time; aligned as a header of control data has to be. */
union carried {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int32_t))];
};

static int64_t opened(const char *path, int (*take)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int64_t result;
	int fd;

	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || take(fd, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return fd < 0 ? -errno : fd;
	result = -errno;
	close(fd);
	return result;
}

int64_t ward_socket_connect(const char *path)
{
	return opened(path, connect);
}

int64_t ward_socket_listen(const char *path)
{
	int64_t fd = opened(path, bind);
	int64_t result;

	if (fd < 0 || listen((int)fd, SOMAXCONN) == 0)
		return fd;
	result = -errno;
	close((int)fd);
	return result;
}

int64_t ward_socket_accept(int32_t fd)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	return accepted < 0 ? -errno : accepted;
}

int64_t ward_socket_peer(int32_t fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ? -errno : peer.pid;
}

int64_t ward_socket_send(int32_t fd, uint64_t address, uint64_t length, int32_t descriptor)
{
	struct iovec data = { (void *)(uintptr_t)address, length };
	union carried carried = { .header = { .cmsg_len = CMSG_LEN(sizeof(descriptor)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t sent;

	if (descriptor >= 0) {
		memcpy(CMSG_DATA(&carried.header), &descriptor, sizeof(descriptor));
		message.msg_control = &carried;
		message.msg_controllen = sizeof(carried);
	}
	sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

int64_t ward_socket_receive(int32_t fd, uint64_t address, uint64_t length, int32_t *descriptor)
{
	struct iovec data = { (void *)(uintptr_t)address, length };
	union carried carried;
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &carried, .msg_controllen = sizeof(carried) };
	ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = received < 0 ? NULL : CMSG_FIRSTHDR(&message);

	*descriptor = -1;
	/* More than one does not fit: the kernel has closed the others. */
	if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(*descriptor)))
		memcpy(descriptor, CMSG_DATA(header), sizeof(*descriptor));
	return received < 0 ? -errno : received;
}

int64_t ward_socket_end(int32_t fd)
{
	return shutdown(fd, SHUT_RDWR) < 0 ? -errno : 0;
}

int64_t ward_socket_take(int32_t fd)
{
	int taken = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int flags = taken < 0 ? -1 : fcntl(taken, F_GETFL);
	int64_t result;

	if (flags >= 0 && fcntl(taken, F_SETFL, flags & ~O_NONBLOCK) == 0)
		return taken;
	result = -errno;
	if (taken >= 0)
		close(taken);
	return result;
}

int64_t ward_receive(int32_t fd, uint64_t address, uint64_t length, int32_t wait)
{
	ssize_t received = recv(fd, (void *)(uintptr_t)address, length, wait ? 0 : MSG_DONTWAIT);

	return received < 0 ? -errno : received;
}

int64_t ward_send(int32_t fd, uint64_t address, uint64_t length, int32_t more)
{
	int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
	ssize_t sent = send(fd, (const void *)(uintptr_t)address, length, flags);

	return sent < 0 ? -errno : sent;
}

int64_t ward_inputs_open(void)
{
	int inputs = epoll_create1(EPOLL_CLOEXEC);

	return inputs < 0 ? -errno : inputs;
}

int64_t ward_inputs_watch(int32_t inputs, int32_t fd, int32_t watch)
{
	struct epoll_event input = { .events = EPOLLIN };

	return epoll_ctl(inputs, watch ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &input) < 0 ? -errno : 0;
}

int64_t ward_inputs_await(int32_t inputs, int32_t timeout_milliseconds)
{
	struct epoll_event which; /* whoever waits looks at all of them */
	int ready = epoll_wait(inputs, &which, 1, timeout_milliseconds);

	return ready < 0 ? -errno : ready;
}
