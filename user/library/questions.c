/* What the questions to all libraries have in common: finding the function, plain accessors, the version's text, and
 * saying which question went without an answer. Trusts nothing that comes back; foreign code runs only inside guarded().
 */
#include "questions.h"

#include <errno.h>
#include <string.h>

bool question_function(struct questions *questions, const char *name, void **ret)
{
	uint64_t address;

	if (!elf_file_function(questions->elf, name, &address)) {
		snprintf(questions->reason, REASON_MAX, "it has no %s", name);
		return false;
	}
	*ret = (void *)(questions->image.bias + address);
	return true;
}

bool question_answered(struct questions *questions, const char *name, int r)
{
	if (r < 0)
		snprintf(questions->reason, REASON_MAX, "%s: %s", name,
			 r == -EMLINK ? "more than one field fits" : "no field fits");
	return r == 0;
}

static bool returns_pointer(uint8_t *object, void *function)
{
	return ((uint64_t(*)(void *))function)(object) == MARK_POINTER;
}

static bool returns_int(uint8_t *object, void *function)
{
	return ((uint32_t(*)(void *))function)(object) == MARK_INT;
}

bool question_accessors(struct questions *questions, const struct accessor *accessors, size_t count, void *layout)
{
	for (size_t i = 0; i < count; i++) {
		const struct accessor *accessor = &accessors[i];
		bool pointer = accessor->width == 8;
		void *function;
		__u16 offset;
		int r;

		if (!question_function(questions, accessor->name, &function))
			return false;
		object_fill(questions->object, 0);
		r = onehot_search(questions->object, accessor->width, pointer ? MARK_POINTER : MARK_INT,
				  pointer ? returns_pointer : returns_int, function, &offset);
		if (!question_answered(questions, accessor->name, r))
			return false;
		memcpy((char *)layout + accessor->at, &offset, sizeof(offset));
	}
	return true;
}

struct version {
	const char *(*function)(long);
	long argument;
	char *out;
	size_t size;
};

static bool copies_version(uint8_t *object, void *arg)
{
	struct version *version = arg;
	const char *text = version->function(version->argument);
	size_t len = 0;

	(void)object;
	for (; len + 1 < version->size && text[len] >= ' ' && text[len] <= '~'; len++)
		version->out[len] = text[len];
	version->out[len] = '\0';
	return len > 0;
}

bool question_version(struct questions *questions, const char *name, long argument, char *out, size_t size)
{
	struct version version = {.argument = argument, .out = out, .size = size};
	void *function;

	if (!question_function(questions, name, &function))
		return false;
	version.function = (const char *(*)(long))function;
	if (guarded(copies_version, NULL, &version, NULL))
		return true;
	snprintf(questions->reason, REASON_MAX, "%s does not answer", name);
	return false;
}
