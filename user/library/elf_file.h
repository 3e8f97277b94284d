/* An ELF64 file of this machine, read in place with every access checked: see elf.c. Confined half only. */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ELF_FILE_MAX = 1 << 30, /* a longer file is refused */
	SEGMENTS_MAX = 64,      /* program headers; a file with more is refused */
};

struct elf_table {
	uint64_t offset, size; /* in the file; size 0: not there */
};

struct elf_file {
	const uint8_t *data; /* the whole file, mapped read-only for the life of the process */
	size_t size;
	bool fixed; /* ET_EXEC: wants its own addresses */
	bool alone; /* needs no other file: what it has of a libc is inside */
	Elf64_Phdr segments[SEGMENTS_MAX];
	size_t segments_count;
	struct elf_table symbols, names, hash; /* of PT_DYNAMIC; symbols and hash run at most to the segment's end */
	struct elf_table rela, plt_rela, relr;
	struct elf_table sections; /* section headers */
};

/* 0, or -errno with *ret_why a static string. fd stays the caller's. */
int elf_file_open(int fd, struct elf_file *ret, const char **ret_why);

bool elf_file_read(const struct elf_file *elf, uint64_t offset, void *out, size_t len);
/* File offset of len bytes at that virtual address, if they lie in the file's part of one loaded segment. */
bool elf_file_offset(const struct elf_file *elf, uint64_t address, uint64_t len, uint64_t *ret);
/* The loaded segment with all of these flags (PF_*) around an address, or NULL. */
const Elf64_Phdr *elf_file_segment(const struct elf_file *elf, uint64_t address, uint32_t flags);

/* A defined function by name, from .dynsym or else from .symtab; its address lies in the file's part of an executable
 * segment. */
bool elf_file_function(const struct elf_file *elf, const char *name, uint64_t *ret_address);
/* The same with its length as the symbol says. */
bool elf_file_function_sized(const struct elf_file *elf, const char *name, uint64_t *ret_address, uint64_t *ret_size);
/* The function that picks which code an indirect function (IFUNC) of that name is: a program with a libc inside has them. */
bool elf_file_resolver(const struct elf_file *elf, const char *name, uint64_t *ret_address);
/* The dynamic symbol that a relocation names. */
bool elf_file_symbol(const struct elf_file *elf, uint32_t index, Elf64_Sym *ret);
bool elf_file_symbol_is(const struct elf_file *elf, const Elf64_Sym *symbol, const char *name);

/* GNU build id into out; its length, or 0 if there is none of at most max bytes. */
size_t elf_file_build_id(const struct elf_file *elf, uint8_t *out, size_t max);

#endif
