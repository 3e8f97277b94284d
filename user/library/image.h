/* A library's segments, mapped and relocated without its dependencies and without running anything: see image.c. */
#ifndef IMAGE_H
#define IMAGE_H

#include "elf_file.h"

enum {
	IMAGE_SPAN_MAX = 1 << 30,       /* from the first segment to the last; a wider image is refused */
	IMAGE_WRITABLE_MAX = 256 << 20, /* of all writable segments; more is refused */
	RELOCATIONS_MAX = 1 << 22,      /* of one table; a longer one is refused */
	BINDINGS_MAX = 32,              /* later ones are not bound */
};

/* A name that shall lead elsewhere than with ld.so: imports of it do, and an indirect function (IFUNC) of that name. */
struct binding {
	const char *name;
	void *address;
	bool always; /* also where the file defines it itself, and calls it without asking for the name */
};

struct image {
	uint64_t bias; /* what is added to the file's addresses */
};

/* 0, or -errno with *ret_why a static string. */
int image_load(const struct elf_file *elf, int fd, struct image *ret, const char **ret_why);

/* Symbols that are neither bound nor defined here become trap; undefined weak ones 0, as with ld.so. */
int image_relocate(const struct image *image, const struct elf_file *elf, const struct binding *bindings, size_t count,
		   void *trap, const char **ret_why);

#endif
