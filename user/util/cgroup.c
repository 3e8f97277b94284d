/* /proc/PID/cgroup taken apart: see cgroup.h for what is believed and why.
 *
 * A line is "hierarchy:controllers:path" (cgroups(7)); the kernel lets no cgroup's name hold a newline or a slash. A path may
 * begin with "/.." when it is seen from another cgroup namespace, and end in " (deleted)". It is read from its root: slices are
 * passed over, the first other component that is named as a unit is the unit, the first that is named as container runtimes do it
 * is the container; below that nothing is looked at.
 *
 * Owns nothing. Each line is read at most three times. */
#include "cgroup.h"

#include <stdbool.h>
#include <string.h>

#include "util.h"

enum { ID_CHARS = 64 };

/* A stretch of the text, not ended by NUL. */
struct part {
	const char *text;
	size_t len;
};

static bool part_is(struct part part, const char *text)
{
	return part.len == strlen(text) && memcmp(part.text, text, part.len) == 0;
}

/* Takes a beginning away, if more than that is there. */
static bool begin_take(struct part *part, const char *begin)
{
	size_t len = strlen(begin);

	if (part->len <= len || memcmp(part->text, begin, len) != 0)
		return false;
	part->text += len;
	part->len -= len;
	return true;
}

static bool end_take(struct part *part, const char *end)
{
	size_t len = strlen(end);

	if (part->len <= len || memcmp(part->text + part->len - len, end, len) != 0)
		return false;
	part->len -= len;
	return true;
}

static bool part_ends(struct part part, const char *end)
{
	return end_take(&part, end);
}

/* The next component of a path; false at its end. */
static bool component_next(struct part *path, struct part *ret)
{
	const char *slash;

	while (path->len && *path->text == '/') {
		path->text++;
		path->len--;
	}
	if (!path->len)
		return false;
	slash = memchr(path->text, '/', path->len);
	ret->text = path->text;
	ret->len = slash ? (size_t)(slash - path->text) : path->len;
	path->text += ret->len;
	path->len -= ret->len;
	return true;
}

/* One byte of a name, with \xNN undone; a NUL stays as it is written, for it would end the text. */
static char byte_take(struct part *part)
{
	uint8_t byte;
	size_t len = 1;
	char found = *part->text;

	if (part->len >= 4 && part->text[0] == '\\' && part->text[1] == 'x' && hex_decode(part->text + 2, 2, &byte, 1) &&
	    byte) {
		found = (char)byte;
		len = 4;
	}
	part->text += len;
	part->len -= len;
	return found;
}

/* Leaves out untouched if the name does not fit. */
static void name_put(struct part part, char *out, size_t size)
{
	char name[CGROUP_UNIT_MAX] = "";
	size_t len = 0;

	while (part.len) {
		if (len == sizeof(name) - 1 || len == size - 1)
			return;
		name[len++] = byte_take(&part);
	}
	memcpy(out, name, len);
	out[len] = '\0';
}

static bool is_id(const char *text)
{
	for (size_t i = 0; i < ID_CHARS; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
	return true;
}

/* "ID", "docker-ID.scope", "crio-ID", "libpod-ID", "…:cri-containerd:ID": the runtime before it may be any, but for a monitor's
 * scope ("crio-conmon-ID.scope"), in which the container does not run. */
static bool id_find(struct part component, struct part *ret)
{
	struct part before;

	end_take(&component, ".scope");
	if (component.len < ID_CHARS || !is_id(component.text + component.len - ID_CHARS))
		return false;
	*ret = (struct part){.text = component.text + component.len - ID_CHARS, .len = ID_CHARS};
	before = (struct part){.text = component.text, .len = component.len - ID_CHARS};
	if (!before.len)
		return true;
	return (part_ends(before, "-") || part_ends(before, ":")) && !part_ends(before, "conmon-") &&
	       !part_is(before, "conmon-");
}

/* systemd-nspawn and LXC, by name. rest: the path below, not taken from. */
static bool machine_find(struct part component, struct part rest, struct part *ret)
{
	struct part below = {.text = "", .len = 0};

	*ret = component;
	component_next(&rest, &below);
	if (begin_take(ret, "systemd-nspawn@") && end_take(ret, ".service"))
		return !part_is(below, "supervisor");
	*ret = component;
	if (begin_take(ret, "machine-") && end_take(ret, ".scope"))
		return strncmp(ret->text, "qemu\\x2d", strlen("qemu\\x2d")) !=
		       0; /* a virtual machine's process is of this host */
	*ret = component;
	if (begin_take(ret, "lxc.payload."))
		return true;
	*ret = below;
	return below.len && (part_is(component, "lxc") || part_is(component, "lxc.payload"));
}

static bool is_unit(struct part component)
{
	static const char *const types[] = {".service", ".scope", ".socket", ".mount", ".swap"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (part_ends(component, types[i]))
			return true;
	return false;
}

static void path_read(struct part path, struct cgroup_place *place)
{
	struct part component, found;
	bool first = true;

	end_take(&path, " (deleted)");
	while (component_next(&path, &component)) {
		bool container;

		if (first && (part_is(component, "..") || part_ends(component, ".slice")))
			continue;
		begin_take(&component, "_"); /* systemd's, before what would be taken for a file of the kernel's */
		container = id_find(component, &found) || machine_find(component, path, &found);
		if (container && !place->container[0])
			name_put(found, place->container, sizeof(place->container));
		/* The service of an nspawn container is a unit of this host as well. */
		if (first && !place->unit[0] && is_unit(component) && (!container || part_ends(component, ".service")))
			name_put(component, place->unit, sizeof(place->unit));
		if (container)
			return;
		first = false;
	}
}

enum hierarchy { HIERARCHY_UNIFIED, HIERARCHY_SYSTEMD, HIERARCHY_OTHER };

/* False if the line is none of those that the kernel writes. */
static bool line_split(struct part line, enum hierarchy *ret, struct part *ret_path)
{
	const char *first = memchr(line.text, ':', line.len), *end = line.text + line.len, *second;
	struct part controllers;

	second = first ? memchr(first + 1, ':', (size_t)(end - first - 1)) : NULL;
	if (!second || second + 1 == end || second[1] != '/')
		return false;
	controllers = (struct part){.text = first + 1, .len = (size_t)(second - first - 1)};
	*ret = part_is(controllers, "name=systemd") ? HIERARCHY_SYSTEMD : HIERARCHY_OTHER;
	if (!controllers.len && first == line.text + 1 && *line.text == '0')
		*ret = HIERARCHY_UNIFIED;
	*ret_path = (struct part){.text = second + 1, .len = (size_t)(end - second - 1)};
	return true;
}

void cgroup_read(const char *text, struct cgroup_place *ret)
{
	*ret = (struct cgroup_place){0};
	for (enum hierarchy wanted = HIERARCHY_UNIFIED; wanted <= HIERARCHY_OTHER; wanted++) {
		for (const char *at = text; *at;) {
			struct part line = {.text = at, .len = strcspn(at, "\n")}, path;
			enum hierarchy found;

			if (line_split(line, &found, &path) && found == wanted)
				path_read(path, ret);
			at += line.len + (at[line.len] == '\n');
		}
	}
}
