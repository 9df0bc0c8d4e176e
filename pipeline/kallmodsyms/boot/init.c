/*
 * /init of a kernel for whose machine there is no busybox. The kernel's command line has after `--` names of files, and behind
 * each that of the port that it goes to, with the status of the reading after it: `=0` if all of it was sent.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

static int opened(const char *name)
{
	struct termios raw;
	int port;

	/* A virtio port is there a little later than we are. */
	while ((port = open(name, O_WRONLY | O_NOCTTY)) < 0)
		usleep(10000);
	if (!tcgetattr(port, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(port, TCSANOW, &raw);
	}
	return port;
}

static int sent(const char *name, int port)
{
	static char bytes[1 << 16];
	ssize_t size, at, written;
	int file = open(name, O_RDONLY);

	if (file < 0) {
		perror(name);
		return 1;
	}
	while ((size = read(file, bytes, sizeof(bytes))) > 0)
		for (at = 0; at < size; at += written)
			if ((written = write(port, bytes + at, size - at)) < 0)
				return 1;
	return size < 0;
}

int main(int count, char **words)
{
	int index = 1;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	/* The kernel hands on what it does not know itself, first. */
	while (index < count && words[index][0] != '/')
		index++;
	for (; index + 1 < count; index += 2) {
		int port = opened(words[index + 1]);

		dprintf(port, "=%d\n", sent(words[index], port));
		tcdrain(port);
	}
	reboot(RB_AUTOBOOT);
	return 1;
}
