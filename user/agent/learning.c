/* See learning.h. Runs without privilege, where no file can be opened: the text is put together in memory, and then written to
 * the descriptor that the warden has opened. What the collector holds is bounded (learned.c), so is the text. */
#include "learning.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "exit_codes.h"
#include "util.h"

enum { SHOW_MS = 900 }; /* between two lines of progress */

void learning_begin(struct learning *learning, const char *host, uint64_t seconds, bool progress)
{
	*learning = (struct learning){
		.learned = learned_new(),
		.session = {.host = host, .from = time(NULL)},
		.seconds = seconds,
		.progress = progress,
	};
}

void learning_started(struct learning *learning, uint64_t now_ns)
{
	if (learning->started)
		return;
	learning->started = true;
	learning->session.from = time(NULL);
	if (learning->seconds)
		learning->end_ns = now_ns + learning->seconds * 1000000000ULL;
	fprintf(stderr, "tlswarden learn: recording%s; Ctrl-C or SIGTERM ends it and writes the policy\n",
		learning->seconds ? "" : " until it is stopped");
}

static void show(struct learning *learning, uint64_t now_ns)
{
	struct learned_counts counts = learned_counts(learning->learned);

	learning->shown_ns = now_ns;
	fputs("\r\033[K", stderr);
	if (learning->end_ns > now_ns)
		fprintf(stderr, "%ju s left, ", (uintmax_t)((learning->end_ns - now_ns) / 1000000000ULL + 1));
	fprintf(stderr, "%ju verification%s, %zu name%s, %ju not learned", (uintmax_t)counts.verifications,
		counts.verifications == 1 ? "" : "s", counts.names, counts.names == 1 ? "" : "s",
		(uintmax_t)(counts.verifications - counts.learned));
	fflush(stderr);
}

bool learning_tick(struct learning *learning, uint64_t now_ns)
{
	if (learning->progress && learning->started && now_ns - learning->shown_ns >= SHOW_MS * 1000000ULL)
		show(learning, now_ns);
	return learning->end_ns && now_ns >= learning->end_ns;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, text, len);

		if (written < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (written < 0 && errno != EINTR)
			return -errno;
		else if (written > 0) {
			text += written;
			len -= (size_t)written;
		}
	}
	return 0;
}

static int policy_write(const struct learning *learning, int output)
{
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int err = memory ? learned_write(learning->learned, &learning->session, memory) : -ENOMEM;

	if (memory && fclose(memory) != 0 && !err)
		err = -EIO;
	return err ? err : write_all(output, text, len);
}

int learning_end(struct learning *learning, int output)
{
	struct learned_counts counts = learned_counts(learning->learned);
	uint64_t not_learned = counts.verifications - counts.learned;
	int err;

	learning->session.to = time(NULL);
	err = policy_write(learning, output);
	learned_free(TAKE_PTR(learning->learned));
	if (learning->progress && learning->started)
		fputs("\r\033[K", stderr);
	if (err) {
		fprintf(stderr, "tlswarden learn: the policy cannot be written: %s\n", strerror(-err));
		return EXIT_CANNOT;
	}
	fprintf(stderr, "tlswarden learn: %ju verification%s; learned: %zu name%s, %zu address%s without a name%s\n",
		(uintmax_t)counts.verifications, counts.verifications == 1 ? "" : "s", counts.names,
		counts.names == 1 ? "" : "s", counts.addresses, counts.addresses == 1 ? "" : "es",
		counts.clients ? ", certificates of clients" : "");
	if (not_learned)
		fprintf(stderr, "tlswarden learn: %ju not learned: see the end of the policy\n", (uintmax_t)not_learned);
	return EXIT_FINE;
}
