/* TCP on the loopback, as little of it as there can be. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
}

static int without_delay(int peer)
{
	int one = 1;

	if (setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
		give_up("TCP_NODELAY");
	return peer;
}

int listen_on_loopback(void)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = loopback(0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 2) < 0)
		give_up("listen");
	return listener;
}

int port_of(int listener)
{
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);

	if (getsockname(listener, (struct sockaddr *)&address, &bytes) < 0)
		give_up("getsockname");
	return ntohs(address.sin_port);
}

int accept_peer(int listener)
{
	int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0)
		give_up("accept");
	return without_delay(peer);
}

int dial(int port, enum role role)
{
	uint32_t word = role;
	int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = loopback(port);

	if (peer < 0 || connect(peer, (struct sockaddr *)&address, sizeof(address)) < 0)
		give_up("connect");
	if (!transmit(without_delay(peer), &word, sizeof(word)))
		give_up("send");
	return peer;
}

bool receive(int peer, void *to, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t got = recv(peer, (char *)to + done, bytes - done, 0);

		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

bool transmit(int peer, const void *from, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t sent = send(peer, (const char *)from + done, bytes - done, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		done += (size_t)sent;
	}
	return true;
}
