/* Memory that is there or the process ends (util.h).
 *
 * The agent's needs are bounded by the constants of records.h and certificate.h, so running out means that the machine
 * itself has nothing left; going on with half a chain would give a wrong verdict. Sizes may come from an attacker's lengths:
 * every product is checked for overflow before it is used. */
#include "util.h"

#include <stdarg.h>
#include <string.h>

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "tlswarden: out of memory\n";

	/* No stdio: it may want memory itself. */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILURE);
	abort();
}

void *xcalloc(size_t count, size_t size)
{
	/* Never NULL, not even for nothing: NULL would read as "absent" elsewhere. */
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory();
	p = realloc(p, bytes ? bytes : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t len)
{
	char *copy;

	len = strnlen(s, len);
	copy = xcalloc(len + 1, 1);
	memcpy(copy, s, len);
	return copy;
}

char *xasprintf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		out_of_memory();
	return text;
}
